//! `pinif accept`: an `[[accept]]` for a finding, in a file of its own beside the policy's.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
    },
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::{asking::Asked, audit::DEFAULT_POLICY, explain};
use crate::{
    findings::{
        finding::ANY_INTERFACE,
        line::{FindingLine, Subject},
    },
    policy::{Policy, drop_in_directory},
    text::{
        escape::{visible, visible_path},
        streams,
    },
};

/// The mode of a file beside a policy that is not there.
const MODE: u32 = 0o644;
/// What others may not do with it.
const OTHERS_WRITE: u32 = 0o022;

/// The arguments of `pinif accept`.
#[derive(Args, Clone, Debug)]
pub struct AcceptArgs {
    /// The id of the finding
    #[arg(value_name = "ID")]
    id: String,

    /// Why it is accepted, for whoever reads it later
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// The last day on which it is, in UTC, such as 2030-12-31; or a moment, such as 2030-12-31T18:00:00Z
    #[arg(long, value_name = "DATE")]
    until: String,

    /// What `pinif audit --format json` printed; `-` is standard input [default: the auditor that runs is asked]
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,

    /// The policy file: the entry is written into a directory beside it, which is called policy.d beside policy.toml [default: that of
    /// the auditor that is asked, or /etc/pinif/policy.toml]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    #[command(flatten)]
    asked: Asked,
}

/// Runs `pinif accept`.
///
/// # Errors
///
/// Where there is no such finding, the reason or the date is none, or the file cannot be written, or others could change it.
pub fn run(args: AcceptArgs) -> Result<ExitCode> {
    let (finding, policy) = match &args.from {
        Some(from) => {
            let findings = explain::read(from)?;
            let finding = explain::with_id(&args.id, &findings, from)?;
            (finding.clone(), args.policy)
        }
        None => {
            let finding = explain::of_running(&args.id, &args.asked)?;
            if let Some(named) = explain::named_in(&args.id, &finding) {
                bail!("{named}; accept that one, and they go with it");
            }
            let policy = args
                .policy
                .map_or_else(|| in_force(&args.asked), |path| Ok(Some(path)));
            (finding, policy?)
        }
    };
    let policy = policy.unwrap_or_else(|| DEFAULT_POLICY.into());
    let text = entry(&finding, &args.reason, &args.until)?;
    check(&text)?;
    let written = write(&policy, &finding.id, &text)?;
    let policy = visible_path(&policy);
    streams::answer(&format!(
        "{}: written. An auditor that runs with {policy} takes it now; `pinif policy check {policy}` shows all that is accepted.\n\n{}",
        visible_path(&written),
        visible_lines(&text)
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The policy file of the auditor that runs; nothing where it has none.
fn in_force(asked: &Asked) -> Result<Option<PathBuf>> {
    let policy = asked.ask(async |client| client.policy().await)?;
    match policy.source.path {
        Some(path) if path.is_relative() => bail!(
            "the auditor that runs was given its policy as {}, and it is not known in which directory: name it with --policy FILE",
            visible_path(&path)
        ),
        path => Ok(path),
    }
}

/// The entry, as it is written: what distinguishes the finding from others, but for what it has seen so far.
fn entry(finding: &FindingLine, reason: &str, until: &str) -> Result<String> {
    if finding.latent == Some(true) {
        bail!(
            "finding {} is foreseen, and has not happened: there is nothing to accept",
            finding.id
        );
    }
    let mut lines = vec![
        "[[accept]]".to_owned(),
        format!("kind = {}", quoted(finding.kind.name())),
    ];
    let mut text = |key: &str, value: &str| lines.push(format!("{key} = {}", quoted(value)));
    if let Some(rule) = &finding.rule {
        text("rule", rule);
    }
    match &finding.subject {
        Some(Subject::Program { exe, uid, .. }) => {
            let Some(exe) = exe else {
                bail!(
                    "the program of finding {} is not known any more; write the entry by hand, by what is known of it",
                    finding.id
                );
            };
            text("executable", exe);
            lines.extend(uid.map(|uid| format!("user = {uid}")));
        }
        Some(Subject::OtherPrograms { uid }) => lines.push(format!("user = {uid}")),
        // Another subject's are another finding, such as those of a program that begins to listen there.
        Some(other) => {
            let subject = other.accepted_as();
            lines.extend(subject.map(|subject| format!("subject = {}", quoted(&subject))));
        }
        None => {}
    }
    let mut text = |key: &str, value: &str| lines.push(format!("{key} = {}", quoted(value)));
    if finding.egress_interface != ANY_INTERFACE {
        text("interface", &pattern(&finding.egress_interface));
    }
    text("reason", reason);
    text("until", until);
    Ok(lines.join("\n") + "\n")
}

/// A name as a pattern that matches nothing else.
fn pattern(name: &str) -> String {
    let special = |character| "*?[]{}\\".contains(character);
    let escaped = name.chars().flat_map(|character| {
        let backslash = special(character).then_some('\\');
        backslash.into_iter().chain([character])
    });
    escaped.collect()
}

/// A basic string of TOML. JSON's escapes are among its own, and it takes DEL for a control character.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}

/// That the policy takes it, and it is not over.
fn check(text: &str) -> Result<()> {
    let policy = Policy::parse(text, "the entry")?;
    let now = SystemTime::now();
    if policy
        .accepts
        .iter()
        .any(|accept| accept.until.is_over(now))
    {
        bail!("--until is over already: name a day that is to come");
    }
    Ok(())
}

/// Writes it into a file of its own: first beside its place, where it is looked at as pinif will look at it, then in one step in its
/// place.
fn write(policy: &Path, id: &str, text: &str) -> Result<PathBuf> {
    let directory = drop_in_directory(policy);
    let shown = visible_path(&directory);
    match DirBuilder::new().mode(0o755).create(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("the directory {shown} cannot be made"));
        }
        _ => {}
    }
    let place = directory.join(format!("accept-{id}.toml"));
    if place.exists() {
        bail!(
            "finding {id} is accepted in {} already: change it there, or remove it first",
            visible_path(&place)
        );
    }
    let new = directory.join(format!(".accept-{id}.toml"));
    let written = put(policy, &new, text)
        .and_then(|()| Ok(Policy::check_drop_in(&new)?))
        .and_then(|()| {
            // In one step, and in no other's place.
            fs::hard_link(&new, &place)
                .and_then(|()| File::open(&directory)?.sync_all())
                .with_context(|| format!("the file cannot be put into {shown}"))
        });
    let _ = fs::remove_file(&new);
    written.map(|()| place)
}

/// A file with the mode and the owner of the policy's.
fn put(policy: &Path, path: &Path, text: &str) -> Result<()> {
    let shown = || visible_path(path);
    let like = fs::metadata(policy).ok();
    let mode = like
        .as_ref()
        .map_or(MODE, |like| like.mode() & 0o777 & !OTHERS_WRITE);
    // Of an attempt that was cut short.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{} cannot be made", shown()))?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| match &like {
            Some(like) => fchown(&file, Some(like.uid()), Some(like.gid())),
            None => Ok(()),
        })
        .and_then(|()| file.set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all());
    written.with_context(|| format!("{} cannot be written", shown()))
}

/// A text whose lines are safe to show.
fn visible_lines(text: &str) -> String {
    let lines = text.lines().map(|line| format!("{}\n", visible(line)));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{example, subject::KernelPacket};

    #[test]
    fn what_is_no_program_is_accepted_by_its_subject() {
        let address = || Some("10.0.0.1".to_owned());
        let udp = || "udp".to_owned();
        for (subject, text) in [
            (
                Subject::Receiver {
                    address: address(),
                    protocol: "icmp".to_owned(),
                },
                "receiver icmp 10.0.0.1",
            ),
            (
                Subject::Kernel {
                    what: KernelPacket::Tunnel,
                    address: address(),
                    protocol: Some(udp()),
                },
                "kernel tunnel udp 10.0.0.1",
            ),
            (
                Subject::Forwarded {
                    interface: "fab0".to_owned(),
                    protocol: Some(udp()),
                },
                "forwarded fab0 udp",
            ),
            (Subject::Others, "others"),
        ] {
            let mut finding = FindingLine::from(&example::finding(1));
            finding.subject = Some(subject);
            let entry = entry(&finding, "known", "2100-12-31").expect("it happened");
            let line = format!("\nsubject = \"{text}\"\n");
            assert!(entry.contains(&line), "{entry}");
            check(&entry).expect("the policy takes it");
        }
    }

    #[test]
    fn a_text_is_quoted_as_toml_reads_it() {
        for text in ["", "a\"b\\c", "\u{7f}\u{1b}\n\t", "\u{202e}ä"] {
            let line = format!("key = {}", quoted(text));
            let read: toml::Table = line.parse().expect("TOML");
            assert_eq!(read["key"].as_str(), Some(text));
        }
    }

    #[test]
    fn a_name_is_no_pattern() {
        assert_eq!(pattern("eth1.100"), "eth1.100");
        assert_eq!(pattern("a*b[1]"), "a\\*b\\[1\\]");
    }
}
