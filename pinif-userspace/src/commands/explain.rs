//! `pinif explain`: what a kind means, or a finding of an audit's output.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use pinif_ebpf::verdict::Kind;

use super::asking::Asked;
use crate::{
    findings::{finding::FindingId, kinds, line::FindingLine},
    text::{
        escape::{visible, visible_path},
        streams,
        words::{those_there, wrapped},
    },
};

mod text;

/// What `pinif explain` reads standard input for.
const STANDARD_INPUT: &str = "-";
/// How wide a page is where no terminal says it.
const WITHOUT_TERMINAL: usize = 100;
/// The least similarity (Jaro and Winkler) of a word and the kind that is suggested for it.
const SIMILARITY: f64 = 0.8;

/// The arguments of `pinif explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// A kind, such as device-escape, or the id of a finding: of the auditor that runs, or in --from [default: every finding in
    /// --from]
    #[arg(value_name = "KIND|ID", required_unless_present = "from")]
    what: Option<String>,

    /// What `pinif audit --format json` printed; `-` is standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    #[command(flatten)]
    asked: Asked,
}

/// Runs `pinif explain`.
///
/// # Errors
///
/// Where there is no such kind or finding, or what it is in cannot be read.
pub fn run(args: ExplainArgs) -> Result<ExitCode> {
    let columns = streams::columns(io::stdout());
    let text = match (&args.what, &args.from) {
        (Some(what), None) if FindingId::is_id(what) && named(what).is_none() => {
            let finding = of_running(what, &args.asked)?;
            let named = named_in(what, &finding);
            let named = named.map(|named| format!("{}\n\n", line(&format!("{named}:"), columns)));
            let whole = whole(&finding, columns);
            let next = line(&next_of_running(&finding), columns);
            format!("{}{whole}\n{next}\n", named.unwrap_or_default())
        }
        (Some(what), None) => {
            let kind = of_kind(what)?;
            let page = page_of(page(kind), columns);
            format!("{page}\n{}\n", line(&next_of_kind(kind), columns))
        }
        (what, Some(from)) => {
            let findings = read(from)?;
            match what {
                Some(what) => one(what, &findings, from, columns)?,
                None => all(&findings, columns),
            }
        }
        (None, None) => String::new(),
    };
    match streams::write(&text) {
        // Whoever read it may have read enough.
        Err(error) if error.downcast_ref().is_some_and(streams::is_closed) => {}
        outcome => outcome?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A line, broken between words where the terminal ends.
fn line(line: &str, columns: Option<usize>) -> String {
    columns.map_or_else(|| line.to_owned(), |columns| wrapped(line, columns, 0))
}

/// A page, as wide as the terminal is; where there is none, as wide as a person reads well.
fn page_of(page: &str, columns: Option<usize>) -> String {
    text::fitted(page, columns.unwrap_or(WITHOUT_TERMINAL))
}

/// A finding in short, as wide as the terminal is; where there is none, a line for each thing that is known of it.
fn short(finding: &FindingLine, columns: Option<usize>) -> String {
    let short = text::of(finding, columns);
    match columns {
        Some(columns) => text::fitted(&short, columns),
        None => short,
    }
}

/// What to try next where a kind is explained.
fn next_of_kind(kind: Kind) -> String {
    format!(
        "Next: `pinif findings --kind {}` lists those that a running auditor has.",
        kind.name()
    )
}

/// What to try next where a finding of a running auditor is explained.
fn next_of_running(finding: &FindingLine) -> String {
    let id = visible(&finding.id);
    format!(
        "Next: once it is fixed, `pinif findings {id}` shows whether its packets still grow; where it is meant to be so, `pinif accept {id}` \
         with a reason and a date keeps it from alerting."
    )
}

/// What to try next where what an auditor printed is explained.
const NEXT_OF_PRINTED: &str = "Next: once it is fixed, `pinif audit` shows whether it comes again.";

/// Shows a finding for a person, without the page of its kind.
///
/// # Errors
///
/// When it cannot be written.
pub fn show_in_short(finding: &FindingLine) -> Result<()> {
    let columns = streams::columns(io::stdout());
    streams::write(&short(finding, columns))
}

/// That a finding is named in another by now, where this other one was found in its place.
pub(super) fn named_in(id: &str, found: &FindingLine) -> Option<String> {
    (found.id != id).then(|| {
        format!(
            "{id} is named in {}, since its packets are of the same connections",
            visible(&found.id)
        )
    })
}

/// A finding of the auditor that runs, or the one that it is named in.
pub(super) fn of_running(id: &str, asked: &Asked) -> Result<FindingLine> {
    if !FindingId::is_id(id) {
        bail!(
            "`{}` is no id of a finding, which has {} hexadecimal digits; `pinif findings` lists them",
            visible(id),
            FindingId::DIGITS
        );
    }
    let finding = asked
        .ask(async |client| client.finding_or_whole(id).await)
        .with_context(|| {
            format!(
                "{id} is the id of a finding, which its auditor is asked for; where it does not run any more, name what `pinif audit \
                 --format json` printed with --from FILE"
            )
        })?;
    finding.with_context(|| {
        format!(
            "the auditor that runs has no finding {id}; `pinif findings` lists those that it has, and --from FILE names what another one printed"
        )
    })
}

/// The page of a kind, as Markdown.
pub fn page(kind: Kind) -> &'static str {
    kinds::of(kind).page
}

fn of_kind(word: &str) -> Result<Kind> {
    if let Some(kind) = named(word) {
        return Ok(kind);
    }
    // Part of an id, or one that was copied with something beside it.
    if word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!(
            "`{word}` is no kind, and no id of a finding, which has {} hexadecimal digits; `pinif findings` lists them",
            FindingId::DIGITS
        );
    }
    let similarity = |kind: &Kind| strsim::jaro_winkler(kind.name(), word);
    let nearest = Kind::ALL
        .into_iter()
        .max_by(|one, other| similarity(one).total_cmp(&similarity(other)))
        .filter(|kind| similarity(kind) >= SIMILARITY);
    match nearest {
        Some(kind) => bail!(
            "there is no kind `{}`; `{}` is the nearest",
            visible(word),
            kind.name()
        ),
        None => bail!(
            "there is no kind `{}`; there are {}",
            visible(word),
            Kind::ALL.map(Kind::name).join(", ")
        ),
    }
}

fn named(word: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.name() == word)
}

/// The findings of an audit's output, each as its last line has it, in the order of their first lines.
pub(super) fn read(from: &Path) -> Result<Vec<FindingLine>> {
    let shown = || visible_path(from);
    let input: Box<dyn BufRead> = if from.as_os_str() == STANDARD_INPUT {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(from).with_context(|| format!("{} cannot be read", shown()))?;
        Box::new(BufReader::new(file))
    };
    let mut findings: Vec<FindingLine> = Vec::new();
    for (number, line) in input.lines().enumerate() {
        let line = line.with_context(|| format!("{} cannot be read", shown()))?;
        if line.trim().is_empty() {
            continue;
        }
        let what = || {
            let number = number + 1;
            format!(
                "line {number} of {} is none of `pinif audit --format json`",
                shown()
            )
        };
        if !line.trim_start().starts_with('{') {
            bail!(
                "{}: it is no JSON; name a file that this command wrote",
                what()
            );
        }
        let finding = FindingLine::read(&line).with_context(what)?;
        let Some(finding) = finding else { continue };
        match findings.iter_mut().find(|known| known.id == finding.id) {
            Some(known) => *known = finding,
            None => findings.push(finding),
        }
    }
    Ok(findings)
}

/// One finding, and the page of its kind with its own values; or a kind's page, with those of the first such finding.
fn one(
    what: &str,
    findings: &[FindingLine],
    from: &Path,
    columns: Option<usize>,
) -> Result<String> {
    let next = line(NEXT_OF_PRINTED, columns);
    if let Some(kind) = named(what) {
        let found = findings.iter().find(|finding| finding.kind == kind);
        let page = page(kind);
        let page = match found {
            Some(finding) => page_of(&text::page(finding, page), columns),
            None => page_of(page, columns),
        };
        return Ok(format!("{page}\n{next}\n"));
    }
    let whole = whole(with_id(what, findings, from)?, columns);
    Ok(format!("{whole}\n{next}\n"))
}

/// A finding, and the page of its kind with its own values.
fn whole(finding: &FindingLine, columns: Option<usize>) -> String {
    let page = page_of(&text::page(finding, page(finding.kind)), columns);
    format!("{}\n{page}", short(finding, columns))
}

/// The finding with an id.
pub(super) fn with_id<'f>(
    id: &str,
    findings: &'f [FindingLine],
    from: &Path,
) -> Result<&'f FindingLine> {
    if let Some(finding) = findings.iter().find(|finding| finding.id == id) {
        return Ok(finding);
    }
    let ids: Vec<_> = findings.iter().map(|finding| &*finding.id).collect();
    bail!(
        "there is no finding {} in {}; {}",
        visible(id),
        visible_path(from),
        if ids.is_empty() {
            "there is none at all".to_owned()
        } else {
            format!("there are {}", those_there(&ids))
        }
    );
}

/// All findings, each in short.
fn all(findings: &[FindingLine], columns: Option<usize>) -> String {
    if findings.is_empty() {
        let next = "Next: `pinif audit --format json` prints what it finds; `pinif sockets` shows where each socket would leave.";
        return format!("no finding\n\n{}\n", line(next, columns));
    }
    let mut text = String::new();
    for finding in findings {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&short(finding, columns));
        let kind = finding.kind.name();
        text.push_str(&format!("  more      pinif explain {kind}\n"));
    }
    text
}
