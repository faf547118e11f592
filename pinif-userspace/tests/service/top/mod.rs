//! `pinif top`: the views by data, and the program on a real terminal.

pub mod card;
mod ends;
mod hazards;
mod keys;
mod pictures;
mod place;
mod pty;
mod screen;
mod sizes;
mod svg;
mod terminal;
