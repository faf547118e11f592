//! What is done to a text.

use fastrand::Rng;

use super::words::WORDS;

/// A part is repeated so often at most.
const MOST_REPEATS: usize = 300;

/// Does one thing to a text, which gets no longer than `most` bytes by it. `other` is one that a part may be taken from.
pub fn damage(text: &mut String, other: &str, most: usize, random: &mut Rng) {
    let room = most.saturating_sub(text.len());
    match random.u8(..6) {
        0 => cut(text, random),
        1 => insert(text, WORDS[random.usize(..WORDS.len())], room, random),
        2 => repeat(text, room, random),
        3 => shift(text, random),
        4 => {
            let (from, to) = part(other, random);
            insert(text, &other[from..to], room, random);
        }
        _ => {
            let character = random.char(..);
            insert(text, character.encode_utf8(&mut [0; 4]), room, random);
        }
    }
}

fn cut(text: &mut String, random: &mut Rng) {
    let (from, to) = part(text, random);
    text.replace_range(from..to, "");
}

fn insert(text: &mut String, what: &str, room: usize, random: &mut Rng) {
    if what.len() <= room {
        let at = place(text, random);
        text.insert_str(at, what);
    }
}

fn repeat(text: &mut String, room: usize, random: &mut Rng) {
    let (from, to) = part(text, random);
    let most = room / (to - from).max(1);
    let again = text[from..to].repeat(random.usize(1..MOST_REPEATS).min(most));
    text.insert_str(to, &again);
}

/// Moves a part to another place.
fn shift(text: &mut String, random: &mut Rng) {
    let (from, to) = part(text, random);
    let moved: String = text.drain(from..to).collect();
    let at = place(text, random);
    text.insert_str(at, &moved);
}

/// Where a part begins and ends: a few bytes as often as any number of them.
fn part(text: &str, random: &mut Rng) -> (usize, usize) {
    let one = place(text, random);
    let other = if random.bool() {
        place(text, random)
    } else {
        boundary(text, (one + random.usize(..16)).min(text.len()))
    };
    (one.min(other), one.max(other))
}

fn place(text: &str, random: &mut Rng) -> usize {
    boundary(text, random.usize(..=text.len()))
}

/// The nearest place before that is between two characters.
fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
