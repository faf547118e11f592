//! Keys from what a terminal sends for them: characters, control characters, and the sequences of ECMA-48 as xterm and others have them.

use vte::{Params, Parser, Perform};

use super::keys::Key;

/// The control character that begins a sequence, and that the key at the corner sends alone.
const ESCAPE: u8 = 0x1b;
/// What the key sends that takes the last character back.
const DELETE: u8 = 0x7f;

/// Makes keys of bytes.
#[derive(Default)]
pub struct Decoder {
    parser: Parser,
    keys: Keys,
}

#[derive(Default)]
struct Keys {
    keys: Vec<Key>,
    /// The next character is a key's, as in `ESC O A` (SS3).
    is_third_set: bool,
}

impl Decoder {
    /// The keys of what was read at once. A terminal sends a sequence at once: an escape at the end is a key by itself.
    pub fn keys(&mut self, bytes: &[u8]) -> Vec<Key> {
        for byte in bytes {
            match *byte {
                DELETE => self.keys.keys.push(Key::Backspace),
                byte => self.parser.advance(&mut self.keys, &[byte]),
            }
        }
        if bytes.last() == Some(&ESCAPE) {
            self.parser = Parser::new();
            self.keys.keys.push(Key::Escape);
        }
        std::mem::take(&mut self.keys.keys)
    }
}

/// The key whose sequence ends in this letter.
const fn of_letter(letter: char) -> Option<Key> {
    Some(match letter {
        'A' => Key::Up,
        'B' => Key::Down,
        'C' => Key::Right,
        'D' => Key::Left,
        'F' => Key::End,
        'H' => Key::Home,
        'P' => Key::Function(1),
        'Z' => Key::BackTab,
        _ => return None,
    })
}

/// The key whose sequence has this number, and ends in `~`.
const fn of_number(number: u16) -> Option<Key> {
    Some(match number {
        1 | 7 => Key::Home,
        4 | 8 => Key::End,
        5 => Key::PageUp,
        6 => Key::PageDown,
        11 => Key::Function(1),
        21 => Key::Function(10),
        _ => return None,
    })
}

impl Perform for Keys {
    fn print(&mut self, character: char) {
        match std::mem::take(&mut self.is_third_set) {
            true => self.keys.extend(of_letter(character)),
            false => self.keys.push(Key::Char(character)),
        }
    }

    fn execute(&mut self, byte: u8) {
        self.is_third_set = false;
        let key = match byte {
            b'\r' | b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            0x08 => Key::Backspace,
            // Ctrl takes the two highest bits away.
            0x01..=0x1a => Key::Control(char::from(byte + b'a' - 1)),
            0x1c..=0x1f => Key::Control(char::from(byte + 0x40)),
            _ => return,
        };
        self.keys.push(key);
    }

    fn csi_dispatch(&mut self, params: &Params, _: &[u8], _: bool, action: char) {
        let number = params.iter().next().and_then(|param| param.first());
        let key = match (action, number) {
            ('~', Some(number)) => of_number(*number),
            (letter, _) => of_letter(letter),
        };
        self.keys.extend(key);
    }

    fn esc_dispatch(&mut self, _: &[u8], _: bool, byte: u8) {
        self.is_third_set = byte == b'O';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_known_by_what_terminals_send() {
        let keys = |bytes: &str| Decoder::default().keys(bytes.as_bytes());
        for (bytes, expected) in [
            ("q", vec![Key::Char('q')]),
            ("日G", vec![Key::Char('日'), Key::Char('G')]),
            ("\x1b[A\x1bOB", vec![Key::Up, Key::Down]),
            ("\x1b[1;5C\x1b[D", vec![Key::Right, Key::Left]),
            (
                "\x1b[H\x1b[4~\x1b[7~\x1bOF",
                vec![Key::Home, Key::End, Key::Home, Key::End],
            ),
            ("\x1b[5~\x1b[6~", vec![Key::PageUp, Key::PageDown]),
            ("\t\x1b[Z\r", vec![Key::Tab, Key::BackTab, Key::Enter]),
            ("\x1b", vec![Key::Escape]),
            ("a\x1b", vec![Key::Char('a'), Key::Escape]),
            ("\x7f\x08", vec![Key::Backspace, Key::Backspace]),
            (
                "\x03\x1a\x1c\x0c",
                vec![
                    Key::Control('c'),
                    Key::Control('z'),
                    Key::Control('\\'),
                    Key::Control('l'),
                ],
            ),
            (
                "\x1bOP\x1b[21~\x1b[15~",
                vec![Key::Function(1), Key::Function(10)],
            ),
            ("\x1bxq", vec![Key::Char('q')]),
            ("\x1b[200~q", vec![Key::Char('q')]),
        ] {
            assert_eq!(keys(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_character_may_come_in_two_parts() {
        let mut decoder = Decoder::default();
        let bytes = "é".as_bytes();
        assert_eq!(decoder.keys(&bytes[..1]), []);
        assert_eq!(decoder.keys(&bytes[1..]), [Key::Char('é')]);
        assert_eq!(decoder.keys(b"\x1b"), [Key::Escape]);
        assert_eq!(decoder.keys(b"[A"), [Key::Char('['), Key::Char('A')]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_too_strange(chunks in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..20), 0..9)) {
            let mut decoder = Decoder::default();
            for chunk in &chunks {
                decoder.keys(chunk);
            }
        }
    }
}
