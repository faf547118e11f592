//! The keys, in one list: what each does, and what the help says of it. They are those of less(1), htop(1), k9s and vi(1).

use super::cursor::Move;

/// A key, as far as any means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// A letter or sign together with Ctrl.
    Control(char),
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// A screen up.
    PageUp,
    /// A screen down.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// To the next.
    Tab,
    /// The same with Shift.
    BackTab,
    /// The key that ends a line.
    Enter,
    /// The key at the corner.
    Escape,
    /// The key that takes the last character back.
    Backspace,
    /// A function key.
    Function(u8),
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ends.
    Quit,
    /// Goes back to what was before: from a finding to the list, from a filter to all.
    Back,
    /// Shows the keys.
    Help,
    /// Shows the view at this place.
    Show(usize),
    /// Shows the view after this one.
    Next,
    /// Shows the view before this one.
    Previous,
    /// Moves up or down.
    Go(Move),
    /// Moves to the columns at the left.
    Left,
    /// Moves to the columns at the right.
    Right,
    /// Opens what is selected.
    Open,
    /// Begins to write a filter.
    Filter,
    /// Sorts by something else.
    Sort,
    /// Holds what is shown, or goes on.
    Pause,
    /// Draws all anew.
    Redraw,
    /// Stops, as any program does by Ctrl-Z.
    Suspend,
}

/// What some keys do.
#[derive(Debug)]
pub struct Binding {
    /// The keys, each of which does it.
    keys: &'static [Key],
    /// The keys, as the help has them.
    pub shown: &'static str,
    /// What they do.
    pub does: &'static str,
    command: Command,
}

const fn binding(
    keys: &'static [Key],
    shown: &'static str,
    does: &'static str,
    command: Command,
) -> Binding {
    Binding {
        keys,
        shown,
        does,
        command,
    }
}

/// All keys, in the order of the help. What has no text there stands with the one before it.
pub const BINDINGS: [Binding; 27] = [
    binding(&[Key::Char('1')], "1 to 6", "show a view", Command::Show(0)),
    binding(&[Key::Char('2')], "", "", Command::Show(1)),
    binding(&[Key::Char('3')], "", "", Command::Show(2)),
    binding(&[Key::Char('4')], "", "", Command::Show(3)),
    binding(&[Key::Char('5')], "", "", Command::Show(4)),
    binding(&[Key::Char('6')], "", "", Command::Show(5)),
    binding(&[Key::Tab], "Tab", "show the next view", Command::Next),
    binding(
        &[Key::BackTab],
        "Shift-Tab",
        "show the view before",
        Command::Previous,
    ),
    binding(
        &[Key::Up, Key::Char('k'), Key::Control('p')],
        "↑ k",
        "up",
        Command::Go(Move::Up),
    ),
    binding(
        &[Key::Down, Key::Char('j'), Key::Control('n')],
        "↓ j",
        "down",
        Command::Go(Move::Down),
    ),
    binding(
        &[Key::Left, Key::Char('h')],
        "← h",
        "columns at the left; back from a finding",
        Command::Left,
    ),
    binding(
        &[Key::Right, Key::Char('l')],
        "→ l",
        "columns at the right",
        Command::Right,
    ),
    binding(
        &[Key::PageUp, Key::Control('b'), Key::Control('u')],
        "PgUp",
        "a screen up",
        Command::Go(Move::PageUp),
    ),
    binding(
        &[Key::PageDown, Key::Control('f'), Key::Control('d')],
        "PgDn",
        "a screen down",
        Command::Go(Move::PageDown),
    ),
    binding(
        &[Key::Home, Key::Char('g')],
        "Home g",
        "to the beginning",
        Command::Go(Move::First),
    ),
    binding(
        &[Key::End, Key::Char('G')],
        "End G",
        "to the end",
        Command::Go(Move::Last),
    ),
    binding(
        &[Key::Enter],
        "Enter",
        "open a finding: process, socket, route, cause, fix",
        Command::Open,
    ),
    binding(
        &[Key::Escape, Key::Backspace],
        "Esc",
        "back; show all findings again",
        Command::Back,
    ),
    binding(
        &[Key::Char('/')],
        "/",
        "filter the findings",
        Command::Filter,
    ),
    binding(
        &[Key::Char('s')],
        "s",
        "sort by something else",
        Command::Sort,
    ),
    binding(
        &[Key::Char(' '), Key::Char('p')],
        "Space",
        "hold what is shown, or go on",
        Command::Pause,
    ),
    binding(
        &[Key::Char('?'), Key::Function(1)],
        "?",
        "this help",
        Command::Help,
    ),
    binding(
        &[Key::Control('l')],
        "Ctrl-L",
        "draw all anew",
        Command::Redraw,
    ),
    binding(
        &[Key::Control('z')],
        "Ctrl-Z",
        "stop; fg goes on",
        Command::Suspend,
    ),
    binding(
        &[Key::Char('q'), Key::Function(10)],
        "q",
        "end",
        Command::Quit,
    ),
    binding(&[Key::Control('c')], "", "", Command::Quit),
    binding(&[Key::Control('\\')], "", "", Command::Quit),
];

/// What a key does; nothing, where it does nothing.
pub fn command(key: Key) -> Option<Command> {
    let mut bindings = BINDINGS.iter();
    let binding = bindings.find(|binding| binding.keys.contains(&key));
    binding.map(|binding| binding.command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things() {
        let keys: Vec<_> = BINDINGS.iter().flat_map(|binding| binding.keys).collect();
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{key:?}");
        }
    }

    #[test]
    fn a_capital_is_another_key() {
        assert_eq!(command(Key::Char('G')), Some(Command::Go(Move::Last)));
        assert_eq!(command(Key::Char('g')), Some(Command::Go(Move::First)));
        assert_eq!(command(Key::Control('c')), Some(Command::Quit));
        assert_eq!(command(Key::Char('c')), None);
    }
}
