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
        words::those_there,
    },
};

mod text;

/// What `pinif explain` reads standard input for.
const STANDARD_INPUT: &str = "-";
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
            match named_in(what, &finding) {
                Some(named) => format!("{named}:\n\n{}", whole(&finding, columns)),
                None => whole(&finding, columns),
            }
        }
        (Some(what), None) => of_kind(what)?,
        (what, Some(from)) => {
            let findings = read(from)?;
            match what {
                Some(what) => one(what, &findings, from, columns)?,
                None => all(&findings, columns),
            }
        }
        (None, None) => String::new(),
    };
    match show(&text, columns) {
        // Whoever read it may have read enough.
        Err(error) if error.downcast_ref().is_some_and(streams::is_closed) => {}
        outcome => outcome?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows a page, or a finding, as wide as the terminal is.
fn show(text: &str, columns: Option<usize>) -> Result<()> {
    match columns {
        Some(columns) => streams::write(&text::fitted(text, columns)),
        None => streams::write(text),
    }
}

/// Shows a finding for a person, without the page of its kind.
///
/// # Errors
///
/// When it cannot be written.
pub fn show_in_short(finding: &FindingLine) -> Result<()> {
    let columns = streams::columns(io::stdout());
    show(&text::of(finding, columns), columns)
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

fn of_kind(word: &str) -> Result<String> {
    if let Some(kind) = named(word) {
        return Ok(page(kind).to_owned());
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
    if let Some(kind) = named(what) {
        let found = findings.iter().find(|finding| finding.kind == kind);
        return Ok(found.map_or_else(
            || page(kind).to_owned(),
            |finding| text::page(finding, page(kind)),
        ));
    }
    let finding = with_id(what, findings, from)?;
    Ok(whole(finding, columns))
}

/// A finding, and the page of its kind with its own values.
fn whole(finding: &FindingLine, columns: Option<usize>) -> String {
    let (short, page) = (text::of(finding, columns), page(finding.kind));
    format!("{short}\n{}", text::page(finding, page))
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
        return "no finding\n".to_owned();
    }
    let mut text = String::new();
    for finding in findings {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&text::of(finding, columns));
        let kind = finding.kind.name();
        text.push_str(&format!("  more      pinif explain {kind}\n"));
    }
    text
}
