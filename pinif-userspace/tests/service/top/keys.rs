//! What keys do, on a screen of memory.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use pinif_userspace::findings::alert_state::AlertState;
use pinif_userspace::surfaces::look::Look;
use pinif_userspace::surfaces::top::{Effect, Findings, Input, Linear};
use ratatui_core::style::Color;

use super::card;
use super::screen::Screen;

/// The card after ten seconds, of which two states are known.
fn screen(columns: u16, lines: u16) -> Screen {
    let mut screen = Screen::new(Look::PLAIN, columns, lines);
    screen.fetched(card::fetched(9));
    screen.fetched(card::fetched(10));
    screen
}

#[test]
fn each_view_at_eighty_columns() {
    for (key, name) in [
        ("1", "overview"),
        ("2", "matrix"),
        ("3", "findings"),
        ("4", "sockets"),
        ("5", "interfaces"),
        ("6", "policy"),
        ("?", "help"),
        ("3<enter>", "finding"),
    ] {
        let mut screen = screen(80, 24);
        screen.keys(key);
        assert_snapshot!(name, screen.text());
    }
}

#[test]
fn each_view_at_the_narrowest() {
    for (key, name) in [
        ("1", "overview"),
        ("2", "matrix"),
        ("3", "findings"),
        ("3<enter><end>", "finding"),
        ("4", "sockets"),
    ] {
        let mut screen = screen(30, 8);
        screen.keys(key);
        assert_snapshot!(format!("narrow-{name}"), screen.text());
    }
}

#[test]
fn what_is_held_stays_until_it_goes_on() {
    let mut screen = screen(80, 24);
    screen.keys("3 ");
    assert_eq!(screen.top.wanted(), None, "nothing is asked for");
    let held = screen.text();
    assert!(held.contains("held: Space goes on"), "{held}");
    let late = Input::Fetched(Box::new(card::fetched(20)));
    assert_eq!(screen.on(late), Effect::Nothing);
    assert_eq!(screen.keys(" "), Effect::Ask);
    screen.fetched(card::fetched(20));
    let text = screen.text();
    assert!(text.contains("2,081") && !text.contains("held"), "{text}");
}

#[test]
fn a_finding_opens_before_the_list_has_come() {
    let mut screen = Screen::new(Look::PLAIN, 80, 24);
    let mut fetched = card::fetched(9);
    fetched.findings = None;
    screen.fetched(fetched);
    screen.keys("3<enter>");
    let text = screen.text();
    assert!(text.contains("cause     IP_PKTINFO override"), "{text}");
    let wanted = screen.top.wanted().and_then(|wanted| wanted.finding);
    assert_eq!(wanted, Some(card::findings(9)[0].id.clone()));
}

#[test]
fn a_filter_is_asked_of_the_auditor() {
    let mut screen = screen(80, 24);
    screen.keys("/leak telemetr");
    assert!(
        screen.text().ends_with("/leak telemetr_\n"),
        "{}",
        screen.text()
    );
    let findings = |screen: &Screen| screen.top.wanted().and_then(|wanted| wanted.findings);
    assert_eq!(findings(&screen), Some((String::new(), 100)), "not yet");
    assert_eq!(screen.keys("<enter>"), Effect::Ask);
    assert_eq!(findings(&screen), Some(("leak telemetr".to_owned(), 100)));
    // The answer to the question before comes late.
    screen.fetched(card::fetched(11));
    assert!(
        screen.text().contains("2 findings with leak telemetr"),
        "{}",
        screen.text()
    );
    let mut fetched = card::fetched(12);
    fetched.findings = Some(Findings {
        filter: "leak telemetr".to_owned(),
        first: vec![card::findings(12)[0].clone()],
        total: 1,
    });
    screen.fetched(fetched);
    let text = screen.text();
    assert!(
        text.contains("1 finding with leak telemetr") && !text.contains("updated"),
        "{text}"
    );
    assert_eq!(screen.keys("<esc>"), Effect::Ask);
    assert_eq!(findings(&screen), Some((String::new(), 100)));
}

#[test]
fn a_wrong_filter_is_said_and_can_be_corrected() {
    let mut screen = screen(80, 24);
    screen.keys("/a b<enter>");
    let text = screen.text();
    assert!(
        text.ends_with("b: a filter has one process at most\n"),
        "{text}"
    );
    screen.keys("<backspace><backspace>");
    assert!(screen.text().ends_with("/a_\n"), "{}", screen.text());
    assert_eq!(screen.keys("<enter>"), Effect::Ask);
}

#[test]
fn an_auditor_that_is_lost_is_said_with_the_age_of_what_is_seen() {
    let mut screen = screen(80, 24);
    let lost = || Input::Lost("the auditor does not answer".to_owned());
    assert_eq!(screen.on(lost()), Effect::Draw);
    assert_eq!(screen.on(lost()), Effect::Draw, "it is older");
    let text = screen.text();
    let footer = text.lines().last().expect("a footer");
    assert!(
        footer.starts_with("no answer, asking again: the auditor does not answer"),
        "{text}"
    );
    assert!(
        footer.ends_with("2 s old") && text.contains("1 leak, 1 risk"),
        "{text}"
    );
    assert_eq!(screen.on(Input::Tick), Effect::Draw);
    assert!(screen.text().ends_with("3 s old\n"));
    screen.fetched(card::fetched(11));
    assert!(screen.text().ends_with("the auditor answers again\n"));
    let mut other = card::fetched(1);
    other.status.run = "another".to_owned();
    screen.fetched(other);
    let text = screen.text();
    assert!(
        text.contains("the auditor was restarted: its counts began anew"),
        "{text}"
    );
    screen.keys("2");
    assert!(
        !screen.text().contains("/s"),
        "nothing is compared with another's counts: {}",
        screen.text()
    );
}

#[test]
fn nothing_is_drawn_again_that_has_not_changed() {
    let mut screen = screen(80, 24);
    assert_eq!(screen.on(Input::Tick), Effect::Nothing);
    assert_eq!(screen.keys("x"), Effect::Nothing);
}

#[test]
fn without_colour_nothing_has_any() {
    let mut screen = screen(80, 24);
    for view in ["1", "2", "3", "3<enter>"] {
        screen.keys(view);
        for cell in screen.buffer().content() {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
        }
    }
}

#[test]
fn no_view_has_a_background_and_a_leak_is_red() {
    let mut screen = Screen::new(Look { colour: true }, 80, 24);
    screen.fetched(card::fetched(10));
    let mut colours = BTreeSet::new();
    for view in ["1", "2", "3", "4", "5", "6", "?", "3<enter>"] {
        screen.keys(view);
        for cell in screen.buffer().content() {
            assert_eq!(cell.bg, Color::Reset);
            colours.insert(cell.fg.to_string());
        }
    }
    assert_eq!(
        colours.into_iter().collect::<Vec<_>>(),
        ["Red", "Reset", "Yellow"]
    );
}

#[test]
fn lines_are_said_once_for_each_change() {
    let mut linear = Linear::default();
    let mut said = Vec::new();
    for seconds in [1, 2, 20] {
        said.push(format!("after {seconds} s"));
        said.extend(linear.on(Ok(&card::fetched(seconds))));
    }
    said.extend(linear.on(Err("the auditor does not answer")));
    said.extend(linear.on(Err("the auditor does not answer")));
    let mut fetched = card::fetched(21);
    if let Some(findings) = &mut fetched.findings {
        findings.first[0].state = AlertState::Quiet;
    }
    said.extend(linear.on(Ok(&fetched)));
    fetched.status.run = "another".to_owned();
    said.extend(linear.on(Ok(&fetched)));
    assert_snapshot!("linear", said.join("\n"));
    for line in linear.on(Ok(&super::hazards::fetched(1))) {
        assert!(
            !line.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{line:?}"
        );
    }
}
