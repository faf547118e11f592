//! The arguments of `pinif audit`, and how their values are read.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use clap::Args;
use globset::GlobMatcher;
use pinif_ebpf::capacity;

use super::{capture::CaptureArgs, labels::label};
use crate::{
    collector::fail_on::FailOn,
    kernel::{mode::Mode, persist},
    surfaces::{Format, journal::SOCKET as JOURNAL},
    text::{glob, span::span as duration},
};

/// The arguments of `pinif audit`.
#[derive(Args, Clone, Debug)]
pub struct AuditArgs {
    /// The policy file [default: /etc/pinif/policy.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Option<PathBuf>,

    /// A network namespace to audit: a name, a path or a process id, or a glob of names, also of those that come later; may
    /// be repeated [default: this one]
    #[arg(long, value_name = "NAME", conflicts_with = "all_netns")]
    pub(super) netns: Vec<String>,

    /// Audit every network namespace that has a name or a process in it, also those that come later
    #[arg(long)]
    pub(super) all_netns: bool,

    /// The interfaces to audit, as a name or a glob; may be repeated [default: all]
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    pub(super) interface: Vec<GlobMatcher>,

    /// Follow the sockets of this cgroup and those below it [default: the root of the v2 hierarchy]
    #[arg(long, value_name = "PATH")]
    pub(super) cgroup: Option<PathBuf>,

    /// How findings are shown
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(super) format: Format,

    /// Write findings to the journal, as entries with fields, beside what else shows them; to the one that listens at this socket
    /// [default: where standard error is the journal, in place of lines on it]
    #[arg(
        long,
        value_name = "SOCKET",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = JOURNAL,
        hide_default_value = true
    )]
    pub(super) journal: Option<PathBuf>,

    /// End after this time, such as 10s, 5m or 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) duration: Option<Duration>,

    /// The severity from which on a finding makes the exit status 2
    #[arg(long, value_enum, default_value_t = FailOn::Leak)]
    pub(super) fail_on: FailOn,

    /// A finding is quiet when none of its packets was seen for this time
    #[arg(long, value_name = "TIME", value_parser = time_to_be_quiet, default_value = "5m")]
    pub(super) quiet_after: Duration,

    /// What this machine is called in the first line of JSON, such as slot=3; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    pub(super) label: Vec<(String, String)>,

    /// Drop what leaks, where it would leave or arrives, and what a rule with `action = "drop"` is broken by
    #[arg(long)]
    pub(super) enforce: bool,

    /// The same for this time, such as 60s; then only audit, unless it is confirmed: by Enter on a terminal, or by SIGUSR1
    #[arg(long, value_name = "TIME", value_parser = time_to_enforce)]
    pub(super) enforce_for: Option<Duration>,

    /// Foresee at each change of the network what would leak if an interface went down
    #[arg(long)]
    pub(super) foresee: bool,

    /// Find all answers of UDP servers, bound to no device and no address, that leave by another interface than the request came in
    /// by; without this, only those that leave or enter a contained zone
    #[arg(long)]
    pub(super) replies: bool,

    /// Learn what is sent by whom, for `pinif learn` and `pinif policy test`: each socket's first packet to each destination is looked at
    #[arg(long)]
    pub(super) learn: bool,

    #[command(flatten)]
    pub(super) capture: CaptureArgs,

    /// How many sockets there is room for at a time, from 4096 to 4194304; of one user's, a quarter [default: one for each 64 KiB of
    /// memory, from 16384 to 131072]
    #[arg(long, value_name = "N", value_parser = sockets)]
    pub(super) max_sockets: Option<u32>,

    /// How the programs are attached [default: the better that this kernel has]
    #[arg(long, value_enum)]
    pub(super) attach: Option<Mode>,

    /// Leave the programs attached and counting when pinif ends, however it ends; the next `pinif audit --persist` takes over,
    /// and `pinif detach` ends it
    #[arg(
        long,
        value_name = "DIR",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = persist::DIRECTORY,
        hide_default_value = true
    )]
    pub(super) persist: Option<PathBuf>,

    /// Where `pinif status` and others ask this auditor [default: /run/pinif/pinif.sock of a service, /run/pinif/pinif-PID.sock else]
    #[arg(long, value_name = "PATH", conflicts_with = "no_socket")]
    pub(super) socket: Option<PathBuf>,

    /// Let nobody ask this auditor
    #[arg(long)]
    pub(super) no_socket: bool,

    /// What pinif and its programs log on standard error, for debugging
    #[arg(long, value_name = "LEVEL", default_value_t = log::LevelFilter::Off)]
    pub(super) log_level: log::LevelFilter,
}

/// A glob of names.
pub(super) fn glob(text: &str) -> Result<GlobMatcher, String> {
    glob::glob(text).map_err(|reason| format!("error parsing glob '{text}': {reason}"))
}

/// A time after which a finding is quiet.
fn time_to_be_quiet(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err(format!(
            "`{text}` is no time to wait for a packet; 1s is the least that makes a difference"
        )),
        time => Ok(time),
    }
}

/// A number of sockets.
fn sockets(text: &str) -> Result<u32, String> {
    const RANGE: RangeInclusive<u32> = capacity::LEAST_SOCKETS..=capacity::MOST_SOCKETS;
    let sockets = text.parse().ok().filter(|sockets| RANGE.contains(sockets));
    sockets.ok_or_else(|| {
        format!(
            "`{text}` is no number of sockets from {} to {}",
            RANGE.start(),
            RANGE.end()
        )
    })
}

/// A time to enforce for.
fn time_to_enforce(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err(format!(
            "`{text}` is no time to enforce for; give as long as it takes you to see that all works, such as 60s"
        )),
        time => Ok(time),
    }
}
