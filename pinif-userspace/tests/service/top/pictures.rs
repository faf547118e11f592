//! The pictures of docs/top.md, made of what the views draw.

use pinif_userspace::surfaces::look::Look;

use super::card;
use super::screen::Screen;
use super::svg::picture;
use crate::output::examples;

#[test]
fn the_pictures_in_the_documentation_are_what_is_drawn() {
    for (name, keys, what) in [
        (
            "overview",
            "1",
            "The overview: two findings, and how the auditor is",
        ),
        (
            "matrix",
            "2",
            "The matrix: 1,041 packets bound to fab0 left via eth1, 104 a second",
        ),
        (
            "finding",
            "3<enter>",
            "A finding: process, socket, path, cause and fix",
        ),
    ] {
        let mut screen = Screen::new(Look { colour: true }, 84, 20);
        screen.fetched(card::fetched(9));
        screen.fetched(card::fetched(10));
        screen.keys(keys);
        examples::file(
            &format!("docs/top/{name}.svg"),
            &picture(&screen.buffer(), what),
        );
    }
}
