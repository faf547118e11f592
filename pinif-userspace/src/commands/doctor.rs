//! `pinif doctor`: what this kernel and these privileges allow, and the fix for what is missing.

use std::{
    env,
    io::{self, IsTerminal as _},
    path::Path,
    process::ExitCode,
};

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::{
    host::{
        capabilities::{self, Check, Outcome, gaps},
        netns::NetNs,
    },
    kernel::{
        attach, bypass,
        object::Object,
        persist::{self, Found, State},
    },
    policy::counted,
    text::{age::ago, escape::visible, json, shell, streams},
};

/// The arguments of `pinif doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person to read
    Human,
    /// JSON Lines, one object a check
    Json,
}

/// Looks at everything that pinif needs, and at what it cannot see here, and prints it. The exit status is 1 where nothing can be audited.
///
/// # Errors
/// Where standard output cannot be written.
pub fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let mut checks = vec![capabilities::inside(
        Object::Audit.bytes(),
        Object::Pins.bytes(),
    )];
    checks.extend(capabilities::check());
    let may_load = capabilities::may_load();
    // What is lacking is reported already, and each look would only report it again.
    let unasked = || capabilities::NEEDS_ROOT.to_owned();
    match NetNs::current() {
        Ok(netns) => {
            let sockets = match may_load {
                true => bypass::list_once().map_err(|error| format!("{error:#}")),
                false => Err(unasked()),
            };
            let ahead = match may_load {
                true => attach::at_egress(&netns)
                    .into_iter()
                    .map(|found| found.map(|(interface, what)| (interface, what.to_string())))
                    .collect(),
                false => vec![Err(io::Error::other(unasked()))],
            };
            checks.extend(gaps::check(&netns, &sockets, ahead));
        }
        Err(error) => checks.push(gaps::unknown(&match may_load {
            true => error.to_string(),
            false => unasked(),
        })),
    }
    checks.extend(persistent());
    let text = match args.format {
        Format::Human => human(&checks, width(), colours()),
        Format::Json => lines(&checks)?,
    };
    streams::answer(&text)?;
    let able = capabilities::obstacle(&checks).is_none();
    Ok(if able {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The auditors that outlive their collectors.
fn persistent() -> Vec<Check> {
    let found = match persist::find() {
        Ok(found) => found,
        Err(error) => {
            return vec![persistent_check(format!(
                "persistent auditors cannot be listed: {error:#}"
            ))];
        }
    };
    let text = |found: &Found| persistent_text(found.state(), &found.directory, &found.command());
    found.iter().map(|it| persistent_check(text(it))).collect()
}

fn persistent_check(text: String) -> Check {
    Check {
        name: "persistent",
        outcome: Outcome::Note(text),
    }
}

fn persistent_text(state: State, directory: &Path, detach: &str) -> String {
    let mut text = format!("an auditor, pinned in {}", directory.display());
    if state.interfaces > 0 {
        text += &format!(", attached to {}", counted(state.interfaces, "interface"));
    }
    if let Some(age) = state.age {
        text += &format!(" for {}", ago(age));
    }
    text += &match state.attended {
        Some(pid) => format!("; process {pid} collects what it counts"),
        None => format!(
            "; no collector runs, and it goes on counting: `pinif audit --persist={}` takes over, `{detach}` ends it",
            shell::path(directory)
        ),
    };
    text
}

/// One check, as `--format json` prints it. More fields may come; readers ignore those they do not know.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename = "check")]
#[schemars(title = "A line of pinif doctor --format json")]
pub struct Line<'a> {
    /// What was looked at.
    name: &'a str,
    /// `ok`; `note`, it is well enough; `lack`, something is missing.
    #[schemars(extend("enum" = ["ok", "note", "lack"]))]
    outcome: &'static str,
    /// What was found.
    detail: &'a str,
    /// What fixes it; only of a lack.
    #[serde(rename = "mend", skip_serializing_if = "Option::is_none")]
    fix: Option<&'a str>,
    /// Whether no audit can run without it; only of a lack.
    #[serde(skip_serializing_if = "Option::is_none")]
    fatal: Option<bool>,
}

impl<'a> Line<'a> {
    fn of(check: &'a Check) -> Self {
        let (outcome, detail, fix, fatal) = match &check.outcome {
            Outcome::Ok(detail) => ("ok", detail, None, None),
            Outcome::Note(detail) => ("note", detail, None, None),
            Outcome::Lack { why, fix, fatal } => ("lack", why, Some(fix.as_str()), Some(*fatal)),
        };
        Self {
            name: check.name,
            outcome,
            detail,
            fix,
            fatal,
        }
    }
}

fn lines(checks: &[Check]) -> serde_json::Result<String> {
    let mut text = String::new();
    for check in checks {
        text += &json::line(&Line::of(check))?;
    }
    Ok(text)
}

/// Whether standard output is a terminal that wants colours (no-color.org).
fn colours() -> bool {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    io::stdout().is_terminal() && !unwanted && !dumb
}

fn width() -> usize {
    terminal_size::terminal_size()
        .map_or(100, |(width, _)| usize::from(width.0))
        .clamp(60, 120)
}

fn human(checks: &[Check], width: usize, colours: bool) -> String {
    let longest = checks
        .iter()
        .map(|check| check.name.width())
        .max()
        .unwrap_or_default();
    let indent = "lack  ".len() + longest + 2;
    let room = width.saturating_sub(indent).max(20);
    let mut text = String::new();
    for check in checks {
        let line = Line::of(check);
        let style = if colours {
            style_of(&line)
        } else {
            Style::new()
        };
        let outcome = match line.fatal {
            Some(true) => "FAIL",
            _ => line.outcome,
        };
        text += &format!("{style}{outcome:<4}{style:#}  {:<longest$}  ", check.name);
        text += &wrapped(line.detail, room, indent);
        if let Some(fix) = line.fix {
            text += &" ".repeat(indent);
            text += &wrapped(&format!("→ {fix}"), room, indent + 2);
        }
    }
    let last = match capabilities::obstacle(checks) {
        None => "pinif can audit here.".to_owned(),
        Some(obstacle) => format!("pinif cannot audit here: {}.", visible(&obstacle)),
    };
    text + "\n" + &last + "\n"
}

fn style_of(line: &Line<'_>) -> Style {
    let colour = match line.outcome {
        "ok" => AnsiColor::Green,
        "note" => AnsiColor::Cyan,
        _ if line.fatal == Some(true) => AnsiColor::Red,
        _ => AnsiColor::Yellow,
    };
    colour.on_default()
}

/// Text in lines of at most `room` columns, the second and later ones indented; a newline ends it.
fn wrapped(text: &str, room: usize, indent: usize) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in visible(text).split_whitespace() {
        if column > 0 && column + 1 + word.width() > room {
            lines.push('\n');
            lines += &" ".repeat(indent);
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines += word;
        column += word.width();
    }
    lines + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> Vec<Check> {
        let lack = |why: &str, fix: &str, fatal| Outcome::Lack {
            why: why.to_owned(),
            fix: fix.to_owned(),
            fatal,
        };
        vec![
            Check {
                name: "kernel",
                outcome: Outcome::Ok("Linux 6.18\x1b[2J".to_owned()),
            },
            Check {
                name: "cgroup v2",
                outcome: lack("cgroup v2 is not mounted", "mount it", true),
            },
            Check {
                name: "JIT",
                outcome: lack("slow", "`sysctl a=1`", false),
            },
            Check {
                name: "cannot audit",
                outcome: Outcome::Note("one two three four five six seven eight".to_owned()),
            },
        ]
    }

    #[test]
    fn a_person_reads_aligned_lines_with_fixes() {
        let expected = "\
ok    kernel        Linux 6.18\\x1b[2J
FAIL  cgroup v2     cgroup v2 is not mounted
                    → mount it
lack  JIT           slow
                    → `sysctl a=1`
note  cannot audit  one two three four five
                    six seven eight

pinif cannot audit here: cgroup v2 is not mounted; mount it.
";
        assert_eq!(human(&checks(), 45, false), expected);
        assert!(human(&checks()[..1], 80, false).ends_with("\n\npinif can audit here.\n"));
    }

    #[test]
    fn a_persistent_auditor_is_reported_in_a_line() {
        let mut state = State {
            attended: Some(7),
            interfaces: 3,
            age: Some(std::time::Duration::from_secs(7500)),
        };
        let directory = Path::new("/sys/fs/bpf/pinif");
        let text =
            |state| persistent_text(state, directory, "pinif detach --persist=/sys/fs/bpf/pinif");
        assert_eq!(
            text(state),
            "an auditor, pinned in /sys/fs/bpf/pinif, attached to 3 interfaces for 2h 5m; process 7 collects what it counts"
        );
        state.attended = None;
        assert_eq!(
            text(state),
            "an auditor, pinned in /sys/fs/bpf/pinif, attached to 3 interfaces for 2h 5m; no collector runs, and it goes on \
             counting: `pinif audit --persist=/sys/fs/bpf/pinif` takes over, \
             `pinif detach --persist=/sys/fs/bpf/pinif` ends it"
        );
    }

    #[test]
    fn colours_change_nothing_else() {
        let coloured = human(&checks(), 80, true);
        assert!(
            coloured.contains("\x1b[31mFAIL\x1b[0m  cgroup v2")
                && coloured.contains("\x1b[33mlack\x1b[0m  JIT")
        );
        let mut plain = coloured.replace("\x1b[0m", "");
        for colour in ["\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"] {
            plain = plain.replace(colour, "");
        }
        assert_eq!(plain, human(&checks(), 80, false));
    }

    #[test]
    fn a_program_reads_an_object_a_line() {
        let text = lines(&checks()).expect("JSON");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(
            lines[1],
            r#"{"type":"check","name":"cgroup v2","outcome":"lack","detail":"cgroup v2 is not mounted","mend":"mount it","fatal":true}"#
        );
        assert!(lines[3].contains(r#""outcome":"note""#) && !lines[3].contains("fatal"));
    }
}
