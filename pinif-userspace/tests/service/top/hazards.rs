//! A machine of many interfaces and namespaces, whose names somebody has chosen to break the screen.

use pinif_ebpf::verdict::Severity;
use pinif_userspace::control::protocol::InterfaceStatus;
use pinif_userspace::findings::line::FindingLine;
use pinif_userspace::findings::summary::GradedCell;
use pinif_userspace::surfaces::top::Fetched;
use pinif_userspace::survey::Socket;

use super::card;
use crate::output::story;

/// Names of others: controls, what turns the direction, what stands on another character, what is wide, what merges, what is long.
pub const NAMES: [&str; 12] = [
    "fab0",
    "\u{1b}[2J\u{1b}[H",
    "a\nb\rc\td",
    "\u{202e}gpj\u{2066}",
    "e\u{301}\u{300}\u{302}",
    "日本語ネット",
    "👍\u{1f3fd}👩\u{200d}🚀",
    "🇩🇪🇫🇷",
    "क्षि\u{fe0f}",
    "\u{9b}31m\u{0}",
    "a-name-that-is-longer-than-any-column-can-be-and-goes-on-and-on-and-on-and-on",
    "",
];

fn name(number: usize) -> String {
    NAMES[number % NAMES.len()].to_owned()
}

fn finding(number: usize, seconds: u64) -> FindingLine {
    let mut finding = card::findings(seconds)[number % 2].clone();
    finding.id = format!("{number:012x}");
    finding.netns = name(number / 3);
    finding.egress_interface = name(number);
    finding.bound_device = (!number.is_multiple_of(4)).then(|| name(number + 1));
    finding.packets = (number as u64).pow(5) * seconds;
    finding.cause = name(number + 2);
    finding.explanation = NAMES.join(" ");
    if let Some(process) = &mut finding.process {
        process.comm = name(number + 3);
        process.exe = Some(name(number + 4));
    }
    if number.is_multiple_of(5) {
        finding.process = None;
        finding.remedies.clear();
        finding.remedy = NAMES.concat();
    }
    finding
}

fn socket(number: usize) -> Socket<'static> {
    let mut socket = card::sockets().first[number % 3].clone();
    socket.netns = name(number / 3).into();
    socket.bound_device = number.is_multiple_of(4).then(|| name(number).into());
    socket.leaves_by = number.is_multiple_of(2).then(|| name(number + 1).into());
    socket.leaves_by_any_of = vec![name(number), name(number + 1)].into();
    socket.why = NAMES.join(" ").into();
    socket.processes.to_mut()[0].comm = name(number + 2);
    socket
}

/// What its auditor answers after so many seconds.
pub fn fetched(seconds: u64) -> Fetched {
    let mut fetched = card::fetched(seconds);
    let status = &mut fetched.status;
    status.interfaces = (0..100)
        .map(|number| InterfaceStatus {
            netns: name(number / 20),
            name: name(number),
            refused: (number % 3 == 0).then(|| name(number + 1)),
        })
        .collect();
    status.uncounted = [("unparsed".to_owned(), 7), (name(3), 9)].into();
    status.policy.source.failure = Some(vec![name(1), NAMES.join(" ")]);
    status.worst = (0..5).map(|number| finding(number, seconds)).collect();
    if let Some(matrix) = &mut fetched.matrix {
        matrix.matrix = (0..400)
            .map(|number| {
                let bound = name(number / 7);
                let egress = name(number);
                let packets = (number as u64).pow(4) * seconds;
                let mut cell = story::cell(
                    (number % 5 > 0).then_some(&*bound),
                    &egress,
                    packets,
                    packets,
                );
                cell.netns = name(number / 80);
                let cell = match number % 3 {
                    0 => story::of(cell, &story::device_escape()),
                    1 => story::of(cell, &story::dropped_escape()),
                    _ => cell,
                };
                let severity = cell.verdict.kind().map(|_| Severity::Leak);
                GradedCell { cell, severity }
            })
            .collect();
    }
    if let Some(findings) = &mut fetched.findings {
        findings.first = (0..300).map(|number| finding(number, seconds)).collect();
        findings.total = 65_536;
    }
    if let Some(sockets) = &mut fetched.sockets {
        sockets.first = (0..300).map(socket).collect();
        sockets.total = 16_384;
        sockets.unlisted_raw = 2;
    }
    if let Some(policy) = &mut fetched.policy {
        policy.described.rules[0].name = NAMES.concat();
        policy.described.zones[0].interfaces = NAMES.map(str::to_owned).to_vec();
    }
    fetched
}
