//! What people read.
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use insta::assert_snapshot;
use pinif_ebpf::loss::Loss;
use pinif_ebpf::verdict::{CellVerdict, Kind, Severity};
use pinif_userspace::findings::finding::{Finding, FindingId, SentBy};
use pinif_userspace::findings::latent::Latent;
use pinif_userspace::findings::line::FindingLine;
use pinif_userspace::findings::summary::Cell;
use pinif_userspace::hub::Change;
use pinif_userspace::surfaces::journal::Journal;
use pinif_userspace::surfaces::{Level, Surface};

use super::hazards;
use super::stage::{self, Clock, Stream, human, no_terminal};
use super::story;

#[test]
fn names_cannot_forge_lines_for_people() -> io::Result<()> {
    let evil = "x\n<0>forged\u{1b}[2J\u{202e}".to_owned();
    let finding = hazards::finding(&evil);
    let cell = Cell {
        netns: evil.clone(),
        bound_device: Some(evil.clone()),
        ..story::cell(None, &evil, 1, 1)
    };
    let mut summary = story::summary(vec![cell], 1);
    summary.uncounted.insert(evil.clone(), 1);
    let mut ready = story::ready();
    ready.netns = vec![evil.clone()];
    ready.interfaces = vec![evil.clone()];
    ready.kernel = evil.clone();
    let (mut person, out, notes) = human(|| Some(40), false, &Clock::default());
    let lines = Stream::default();
    let mut journal = Journal::new(lines.clone(), Clock::default().reader());
    for sink in [&mut person as &mut dyn Surface, &mut journal] {
        sink.ready(&ready)?;
        sink.finding(&finding, Change::Opened)?;
        sink.finding(&stage::grown(&finding, 1000, 1000), Change::Grew)?;
        sink.finding(&hazards::with_another_cause(&finding, &evil), Change::Grew)?;
        sink.summary(&summary)?;
        sink.note(Level::Error, &evil)?;
    }
    for text in [out.text(), notes.text(), lines.text()] {
        assert!(text.contains("forged"), "{text}");
        assert!(
            !text.contains("\n<0>") && !text.contains(['\u{1b}', '\u{202e}']),
            "{text}"
        );
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n'),
            "{text}"
        );
    }
    Ok(())
}

#[test]
fn a_person_sees_a_finding_grow_seldom() -> io::Result<()> {
    let clock = Clock::default();
    let (mut sink, out, _) = human(no_terminal, false, &clock);
    let finding = story::device_escape();
    let mut shown = Vec::new();
    sink.finding(&finding, Change::Opened)?;
    for second in 1..=600 {
        clock.set(second);
        let before = out.writes().len();
        sink.finding(&stage::grown(&finding, 1 + second * 100, 66), Change::Grew)?;
        if out.writes().len() > before {
            shown.push(second);
        }
    }
    assert_eq!(
        shown,
        [1, 11, 23, 47, 95, 191, 383],
        "a burst at once, then ever more seldom"
    );
    assert!(
        out.text().ends_with(": 38,301 packets via eth1 so far\n"),
        "{}",
        out.text()
    );
    Ok(())
}

#[test]
fn what_is_learned_late_is_shown() -> io::Result<()> {
    let (mut sink, out, _) = human(no_terminal, false, &Clock::default());
    let known = story::device_escape();
    sink.finding(
        &Finding {
            process: None,
            causes: [].into(),
            ..known.clone()
        },
        Change::Opened,
    )?;
    sink.finding(&known, Change::Grew)?;
    sink.finding(&known, Change::Grew)?;
    let writes = out.writes();
    assert_eq!(writes.len(), 2);
    assert_eq!(
        writes[1],
        "\n2026-03-01T12:00:02Z  leak  device-escape  telemetryd (pid 4242), bound to fab0: 1 packet via eth1 so far (IP_PKTINFO \
         override)\n"
    );
    Ok(())
}

#[test]
fn a_narrow_terminal_in_colour() -> io::Result<()> {
    let (mut sink, out, notes) = human(|| Some(72), true, &Clock::default());
    stage::leaking(&mut sink)?;
    sink.note(Level::Warning, "the policy was not reloaded")?;
    assert_snapshot!(out.text().replace('\u{1b}', "␛"));
    assert_eq!(
        notes.text(),
        "Auditing 3 interfaces of card by tcx on Linux 6.18.44: eth1, fab0, lo.\nwarning: the policy was not reloaded\n"
    );
    Ok(())
}

/// What is foreseen of another finding's program.
fn latent() -> Latent {
    Latent {
        finding: story::address_escape(),
        condition: "fab0 down".to_owned(),
        is_closed: false,
        now: vec!["fab0".into()],
        source: None,
        network: None,
    }
}

/// What a leaking card with a wide matrix shows at a width.
fn wide(columns: fn() -> Option<usize>) -> io::Result<String> {
    let (mut sink, out, notes) = human(columns, false, &Clock::default());
    sink.ready(&story::ready())?;
    let (device, address) = (story::device_escape(), story::address_escape());
    sink.finding(&device, Change::Opened)?;
    sink.finding(&stage::grown(&device, 104, 6864), Change::Grew)?;
    sink.finding(&stage::grown(&device, 1040, 68_640), Change::Grew)?;
    sink.finding(&address, Change::Opened)?;
    sink.foreseen(&latent())?;
    sink.note(
        Level::Warning,
        "the policy was not reloaded, and the one before it stays in force",
    )?;
    let mut summary = story::leaking_summary();
    summary.matrix.extend(
        (2..27).map(|port| story::cell(Some(&format!("eth{port}")), &format!("eth{port}"), 10, 1)),
    );
    sink.summary(&summary)?;
    Ok(format!("{}{}", notes.text(), out.text()))
}

#[test]
fn what_people_read_at_sixty_columns() -> io::Result<()> {
    assert_snapshot!(wide(|| Some(60))?);
    Ok(())
}

#[test]
fn what_people_read_at_eighty_columns() -> io::Result<()> {
    assert_snapshot!(wide(|| Some(80))?);
    Ok(())
}

#[test]
fn what_people_read_at_a_hundred_columns() -> io::Result<()> {
    assert_snapshot!(wide(|| Some(100))?);
    Ok(())
}

#[test]
fn no_word_is_broken_at_any_width() -> io::Result<()> {
    static COLUMNS: AtomicUsize = AtomicUsize::new(0);
    let lines = [
        FindingLine::from(&story::device_escape()),
        FindingLine::from(&story::address_escape()),
        FindingLine::from(&latent()),
    ];
    let commands: Vec<String> = lines
        .into_iter()
        .flat_map(|line| line.remedies)
        .flat_map(|step| step.commands)
        .collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    for columns in 30..=140 {
        COLUMNS.store(columns, Relaxed);
        let text = wide(|| Some(COLUMNS.load(Relaxed)))?;
        for line in text.lines() {
            // A word that is longer than a line is alone on one, and so is a command.
            let is_one_word = line.split_whitespace().count() <= 1;
            let is_command = line.starts_with("      ") && commands.contains(&line.trim());
            assert!(
                line.chars().count() <= columns || is_one_word || is_command,
                "{columns}: {line}\n{text}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_wide_matrix_of_two_namespaces() -> io::Result<()> {
    let mut matrix: Vec<Cell> = (0..12)
        .map(|port| {
            story::cell(
                Some(&format!("eth{port}")),
                &format!("eth{port}"),
                10u64.pow(port % 7),
                1,
            )
        })
        .collect();
    matrix.push(story::of(
        story::cell(Some("eth2"), "eth10", 3, 1),
        &story::device_escape(),
    ));
    matrix.push(story::cell(Some("eth2"), "eth10", 4, 1));
    matrix.push(story::of(
        story::cell(None, "eth11", 2, 1),
        &story::address_escape(),
    ));
    matrix.push(Cell {
        origin: SentBy::Kernel,
        ..story::cell(None, "eth0", 6, 1)
    });
    matrix.push(Cell {
        netns: "peer".to_owned(),
        ..story::cell(None, "fab0", 5, 1)
    });
    let (mut sink, out, _) = human(|| Some(64), false, &Clock::default());
    sink.summary(&story::summary(matrix, 0))?;
    assert_snapshot!(out.text());
    Ok(())
}

#[test]
fn what_was_dropped_stands_beside_what_left() -> io::Result<()> {
    let (leak, dropped) = (story::device_escape(), story::dropped_escape());
    let cell = |egress, packets, finding| {
        story::of(story::cell(Some("fab0"), egress, packets, 1), finding)
    };
    let matrix = vec![
        story::cell(Some("fab0"), "fab0", 7, 1),
        cell("eth0", 1000, &dropped),
        cell("eth1", 1000, &dropped),
        cell("eth1", 40, &leak),
        story::cell(Some("fab0"), "eth1", 2, 1),
        cell("eth2", 1000, &dropped),
        story::cell(Some("fab0"), "eth2", 2, 1),
        Cell {
            verdict: CellVerdict::Found(Kind::IngressEscape),
            dropped: true,
            ..story::cell(None, "eth1", 700, 1)
        },
    ];
    let (mut sink, out, _) = human(no_terminal, false, &Clock::default());
    sink.finding(&stage::grown(&leak, 40, 1), Change::Opened)?;
    sink.summary(&story::summary(matrix, 1))?;
    let text = out.text();
    let end = text.lines().skip_while(|line| !line.starts_with("card: "));
    assert_snapshot!(end.collect::<Vec<_>>().join("\n"));
    Ok(())
}

#[test]
fn what_was_lost_is_said_in_words() -> io::Result<()> {
    let mut summary = story::leaking_summary();
    for (index, loss) in Loss::ALL.into_iter().enumerate() {
        summary
            .uncounted
            .insert(loss.name().to_owned(), index as u64 + 1);
    }
    let (mut sink, out, _) = human(no_terminal, false, &Clock::default());
    sink.summary(&summary)?;
    let text = out.text();
    let lost: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("uncounted"))
        .collect();
    assert_snapshot!(lost.join("\n"));
    Ok(())
}

#[test]
fn verdicts_are_true_sentences() -> io::Result<()> {
    let leak = story::device_escape();
    let risk = story::address_escape();
    let contained_zone = Finding {
        severity: Severity::Leak,
        id: FindingId(1),
        ..risk.clone()
    };
    let arrived = Finding {
        kind: Kind::IngressEscape,
        ..leak.clone()
    };
    let note = Finding {
        kind: Kind::CrossedBind,
        severity: Severity::Note,
        ..leak.clone()
    };
    let dropped = story::dropped_escape();
    let clean = |packets| story::cell(None, "fab0", packets, 1);
    let cell = |finding: &Finding, packets| {
        story::of(
            story::cell(finding.bound_device(), "eth1", packets, 1),
            finding,
        )
    };
    let mut verdicts = Vec::new();
    for (findings, cells) in [
        (vec![], vec![]),
        (vec![], vec![clean(1)]),
        (vec![], vec![clean(1000)]),
        (vec![leak.clone()], vec![cell(&leak, 1)]),
        (
            vec![stage::grown(&leak, 1040, 1), risk.clone()],
            vec![clean(11_304), cell(&leak, 1040), cell(&risk, 1)],
        ),
        (
            vec![stage::grown(&risk, 40, 1)],
            vec![clean(12_305), cell(&risk, 40)],
        ),
        (
            vec![
                stage::grown(&risk, 40, 1),
                stage::grown(&contained_zone, 2, 1),
            ],
            vec![clean(12_305), cell(&risk, 42)],
        ),
        (vec![note.clone()], vec![cell(&note, 5)]),
        (vec![arrived], vec![clean(5)]),
        (
            vec![stage::grown(&dropped, 1040, 1)],
            vec![clean(11_304), cell(&dropped, 1040)],
        ),
        (
            vec![leak.clone(), dropped.clone()],
            vec![clean(5), cell(&leak, 1), cell(&dropped, 1)],
        ),
        // The table of findings was full: the matrix alone knows.
        (vec![], vec![clean(5), cell(&leak, 7)]),
        (vec![], vec![clean(5), cell(&dropped, 7)]),
    ] {
        let (mut sink, out, _) = human(no_terminal, false, &Clock::default());
        for finding in &findings {
            sink.finding(finding, Change::Opened)?;
        }
        sink.summary(&story::summary(cells, findings.len() as u64))?;
        // What to try next follows.
        let text = out.text();
        verdicts.extend(text.lines().rev().take(2).map(str::to_owned));
    }
    assert_snapshot!(verdicts.join("\n"));
    Ok(())
}
