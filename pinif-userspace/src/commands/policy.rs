//! `pinif policy`: looks at a policy file without auditing anything.

use std::io::{Read, Write, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::{audit::DEFAULT_POLICY, occasion::occasion};
use crate::{
    host::{namespaces::Enter, netns::NetNs, network::Network},
    kernel::publish::{Unresolved, unresolved},
    policy::{Policy, Problem, counted},
    text::{
        escape::visible,
        streams::{UNWRITTEN, unless_closed},
    },
};

mod trial;

/// The arguments of `pinif policy`.
#[derive(Args, Clone, Debug)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum PolicyCommand {
    /// Check a policy file: show all of its errors, each with line, column and fix
    Check {
        /// The policy file; `-` is standard input [default: /etc/pinif/policy.toml]
        file: Option<PathBuf>,

        /// A network namespace whose interfaces and addresses it is compared with: a name, a path or a process id; may be repeated
        /// [default: this one]
        #[arg(long, value_name = "NAME")]
        netns: Vec<String>,
    },
    /// Show what of all that was seen would be a finding under a policy, before it is in force
    Test(trial::TestArgs),
}

/// Runs `pinif policy`. The exit code is 0 for a good policy and 1 for a bad one; of a test, as [`trial::run`] says.
///
/// # Errors
///
/// Where a network namespace is not there, or standard output cannot be written to.
pub fn run(args: PolicyArgs) -> anyhow::Result<ExitCode> {
    let (file, netns) = match args.command {
        PolicyCommand::Check { file, netns } => (file, netns),
        PolicyCommand::Test(args) => return trial::run(args),
    };
    let file = file.unwrap_or_else(|| DEFAULT_POLICY.into());
    let named = netns.iter().map(|name| NetNs::named(name));
    let named: Vec<NetNs> = named.collect::<Result<_, _>>()?;
    let good = check(
        &file,
        stdin(),
        |policy| on_this_host(policy, &named),
        &mut anstream::stdout(),
        &mut anstream::stderr(),
    )
    .context(UNWRITTEN)?;
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Warnings of what matches nothing in these network namespaces, or that of this process where none is named, or by its path on this host.
fn on_this_host(policy: &Policy, named: &[NetNs]) -> Vec<String> {
    let mut warnings: Vec<String> = match networks(named) {
        Ok((networks, enter)) => {
            let networks: Vec<_> = networks.iter().collect();
            let unmatched = policy.unmatched(&networks, &enter);
            unmatched.iter().map(Problem::styled).collect()
        }
        Err(error) => vec![format!(
            "warning: the interfaces of this host cannot be read, and were not compared with the policy: {}",
            visible(&format!("{error:#}"))
        )],
    };
    match unresolved(policy) {
        Ok(unresolved) => warnings.extend(unresolved.iter().map(|Unresolved { what, why }| {
            format!(
                "warning: {} is not on this host ({}): what names it matches nothing until it is",
                visible(what),
                visible(why)
            )
        })),
        Err(error) => warnings.push(format!("warning: {}", visible(&format!("{error:#}")))),
    }
    warnings
}

/// What is compared with the policy, and what leads a shell there where it is one namespace.
fn networks(named: &[NetNs]) -> anyhow::Result<(Vec<Network>, Enter)> {
    let namespaces = match named {
        [] => vec![NetNs::current()?],
        named => named.to_vec(),
    };
    let enter = match &namespaces[..] {
        [only] => Enter::of(only),
        _ => Enter::Own,
    };
    let networks = namespaces.iter().map(Network::read);
    Ok((networks.collect::<Result<_, _>>()?, enter))
}

/// Whether the policy is good. Writes with colours; the streams drop them where no terminal would show them.
fn check(
    file: &Path,
    stdin: impl Read,
    on_host: impl Fn(&Policy) -> Vec<String>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> std::io::Result<bool> {
    let (policy, origin) = if file == Path::new("-") {
        (Policy::read_from(stdin, "<stdin>"), "<stdin>".into())
    } else {
        (Policy::read(file, occasion()), file.to_string_lossy())
    };
    match policy {
        Ok(policy) => {
            for warning in &policy.warnings {
                // The exit status says what the policy is, whoever reads why.
                let _ = writeln!(err, "{}\n", Problem::styled(warning));
            }
            for warning in on_host(&policy) {
                let _ = writeln!(err, "{warning}\n");
            }
            let (zones, rules) = (
                counted(policy.zones.len(), "zone"),
                counted(policy.rules.len(), "rule"),
            );
            let accepted = match policy.accepts.len() {
                0 => String::new(),
                number => format!(", {number} accepted"),
            };
            let mut ok = format!("{}: ok, {zones}, {rules}{accepted}\n", visible(&origin));
            for accept in &policy.accepts {
                let line = format!(
                    "accepted until {}: {}: {} ({})",
                    accept.until,
                    accept.described(),
                    accept.reason,
                    accept.place
                );
                ok.push_str(&format!("{}\n", visible(&line)));
            }
            unless_closed(write!(out, "{ok}"))?;
            Ok(true)
        }
        Err(errors) => {
            let _ = writeln!(err, "{}", errors.styled());
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "[zone.a]\ninterfaces = \"fab*\"\n[[rule]]\nname = \"r\"\nport = 53\nonly_via = \"a\"\n";

    /// What `check` says, without colours: whether it is good, standard output, standard error.
    fn check_text(file: &Path, stdin: &str) -> (bool, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let good = check(file, stdin.as_bytes(), |_| Vec::new(), &mut out, &mut err)
            .expect("writing to memory");
        let plain = |bytes: Vec<u8>| anstream::adapter::strip_bytes(&bytes).into_vec();
        let text = |bytes| String::from_utf8(plain(bytes)).expect("UTF-8");
        (good, text(out), text(err))
    }

    #[test]
    fn a_good_policy_is_counted_on_standard_output() {
        let (good, out, err) = check_text(Path::new("-"), GOOD);
        assert!(good);
        assert_eq!(out, "<stdin>: ok, 1 zone, 1 rule\n");
        assert_eq!(err, "");
        let (good, out, err) = check_text(Path::new("-"), "");
        assert!(good);
        assert_eq!(out, "<stdin>: ok, 0 zones, 0 rules\n");
        assert_eq!(err, "");
    }

    #[test]
    fn what_is_accepted_is_shown() {
        let text = GOOD.to_owned()
            + "[[accept]]\nkind = [\"unpinned\", \"device-escape\"]\nrule = \"r\"\nexecutable = \"/bin/a\"\nuser = 7\n\
               destination = \"10.0.0.0/8\"\ninterface = \"eth*\"\nreason = \"TICKET-7 \u{202e}\"\nuntil = 2100-12-31\n";
        let (good, out, err) = check_text(Path::new("-"), &text);
        assert!(good, "{err}");
        assert_eq!(
            out,
            "<stdin>: ok, 1 zone, 1 rule, 1 accepted\n\
             accepted until 2100-12-31: unpinned and 1 more of rule r by /bin/a of user 7 to 10.0.0.0/8 via eth*: TICKET-7 \
             \\u{202e} (<stdin>:7)\n"
        );
    }

    #[test]
    fn warnings_go_to_standard_error_of_a_good_policy() {
        let twice = GOOD.to_owned() + "[[rule]]\nname = \"s\"\nport = 53\nonly_via = \"a\"\n";
        let (good, out, err) = check_text(Path::new("-"), &twice);
        assert!(good);
        assert_eq!(out, "<stdin>: ok, 1 zone, 2 rules\n");
        assert!(
            err.starts_with("warning: rule `s` never decides: `r` matches all"),
            "{err}"
        );
    }

    #[test]
    fn errors_go_to_standard_error() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("bad.toml");
        std::fs::write(&file, "rules = 1\n").expect("a file in it");
        let (good, out, err) = check_text(&file, "");
        assert!(!good);
        assert_eq!(out, "");
        assert!(err.starts_with("error: unknown key `rules`"), "{err}");
        assert!(err.ends_with("bad.toml: 1 error\n"), "{err}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let (good, out, err) = check_text(Path::new("/nowhere/policy.toml"), "");
        assert!(!good);
        assert_eq!(out, "");
        assert!(
            err.starts_with("error: cannot read /nowhere/policy.toml: there is no such file"),
            "{err}"
        );
    }
}
