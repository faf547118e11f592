//! Notices in words: one sentence each, with its level. The texts are not safe to show yet.

use super::level::Level;
use crate::{
    capture::Stop,
    control::protocol::{NoticeLevel, NoticeLine},
    findings::latent::Latent,
    hub::notice::{Confirmed, Notice, SessionPolicy, Work},
    text::{
        age::ago,
        shell,
        words::{counted, duration},
    },
};

/// What a notice says, in one line or several.
pub fn lines(notice: &Notice) -> Vec<(Level, String)> {
    match notice {
        Notice::PolicyWrong(problems) => {
            let first = "the changed policy is wrong, and the one in force stays".to_owned();
            std::iter::once(first)
                .chain(problems.iter().cloned())
                .map(|text| (Level::Error, text))
                .collect()
        }
        _ => vec![(level(notice), text(notice))],
    }
}

/// The same, as the control socket has it.
pub fn words(notice: &Notice) -> Vec<NoticeLine> {
    let line = |(level, text)| NoticeLine {
        level: match level {
            Level::Info => NoticeLevel::Info,
            Level::Warning => NoticeLevel::Warning,
            Level::Error => NoticeLevel::Error,
        },
        text,
    };
    lines(notice).into_iter().map(line).collect()
}

/// How much a notice matters.
fn level(notice: &Notice) -> Level {
    match notice {
        Notice::MapsNotWritten { .. }
        | Notice::PolicyWrong(_)
        | Notice::PolicyRefused { .. }
        | Notice::PolicyTooLarge { .. }
        | Notice::SessionDropped {
            policy: SessionPolicy::Refused,
            ..
        }
        | Notice::SubscriberFailed { .. } => Level::Error,

        Notice::ArrivalsNotAudited { .. }
        | Notice::NamespaceRefused { .. }
        | Notice::NamespacesNotFollowed { .. }
        | Notice::PolicyWarning(_)
        | Notice::PolicyUnresolved { .. }
        | Notice::PolicyNotEnforced { .. }
        | Notice::PolicyNotWatched { .. }
        | Notice::AcceptanceOver { .. }
        | Notice::NothingToConfirm
        | Notice::EnforcementEnded
        | Notice::EnforcementNotContinued
        | Notice::EnforcementConfirmed {
            outcome: Confirmed::TooLate,
            ..
        }
        | Notice::SessionDropped { .. }
        | Notice::SessionNotChecked { .. }
        | Notice::NotForeseen { .. }
        | Notice::HookMissing(_)
        | Notice::InterfacesCameLate { .. }
        | Notice::RoomKept { .. }
        | Notice::CaptureStopped { .. }
        | Notice::NotAsked { .. }
        | Notice::SignalIgnored(_) => Level::Warning,

        // A file that was cut short, perhaps.
        Notice::PolicyInForce {
            zones: 0,
            rules: 0,
            accepts: 0,
        } => Level::Warning,

        Notice::Progress { .. }
        | Notice::InterfaceAudited(_)
        | Notice::PolicyFollows { .. }
        | Notice::InterfaceGone(_)
        | Notice::InterfaceRenamed { .. }
        | Notice::NamespaceAudited { .. }
        | Notice::NamespaceGone(_)
        | Notice::NamespaceRenamed { .. }
        | Notice::PolicyInForce { .. }
        | Notice::PolicyAbsent
        | Notice::EnforcementToConfirm { .. }
        | Notice::EnforcementConfirmed { .. }
        | Notice::ForeseenNoLonger(_)
        | Notice::XdpProgram { .. }
        | Notice::TookOver { .. }
        | Notice::StaysAttached { .. }
        | Notice::WaitsForReader => Level::Info,
    }
}

fn text(notice: &Notice) -> String {
    match notice {
        Notice::Progress { what, done, all } => match what {
            Work::Attaching => format!("{done} of {all} interfaces are attached"),
            Work::AttachingIngress => {
                format!("what arrives is watched at {done} of {all} interfaces")
            }
            Work::DetachingIngress => {
                format!("what arrives is watched no more at {done} of {all} interfaces")
            }
            Work::Namespaces => format!("{done} of {all} network namespaces are attached"),
            Work::Detaching => {
                format!("{done} of {all} programs are detached from interfaces again")
            }
        },

        Notice::InterfaceAudited(name) => format!("{name} is audited from now on"),
        Notice::InterfaceGone(name) => format!("{name} is gone"),
        Notice::InterfaceRenamed { old, new } => format!("{old} is called {new} from now on"),
        Notice::ArrivalsNotAudited { interface, error } => {
            format!("what arrives by {interface} is not audited: {error}")
        }
        Notice::MapsNotWritten { error } => format!("{error}: verdicts may be wrong"),

        Notice::NamespaceAudited { name, interfaces } => {
            let interfaces = counted(*interfaces as u64, "interface");
            format!("the network namespace {name} is audited from now on, with {interfaces}")
        }
        Notice::NamespaceRefused { name, error } => {
            format!("the network namespace {name} cannot be audited: {error}")
        }
        Notice::NamespaceGone(name) => format!("the network namespace {name} is gone"),
        Notice::NamespaceRenamed { old, new } => {
            format!("the network namespace {old} is called {new} from now on")
        }
        Notice::NamespacesNotFollowed { error } => {
            format!("namespaces cannot be followed, /proc is not readable: {error}")
        }

        Notice::PolicyInForce {
            zones,
            rules,
            accepts,
        } => {
            let accepted = match accepts {
                0 => String::new(),
                accepts => format!(", {accepts} accepted"),
            };
            format!(
                "a new policy is in force: {}, {}{accepted}",
                counted(*zones as u64, "zone"),
                counted(*rules as u64, "rule")
            )
        }
        Notice::AcceptanceOver {
            place,
            what,
            reason,
        } => format!("not accepted any more, since its date is over ({place}): {what}: {reason}"),
        Notice::PolicyWrong(problems) => problems.join("; "),
        Notice::PolicyRefused { error } => format!("the policy in force stays: {error}"),
        Notice::PolicyTooLarge { error } => {
            format!("the new policy does not fit, and the one in force stays: {error}")
        }
        Notice::PolicyWarning(warning) => warning.clone(),
        Notice::PolicyUnresolved { what, why } => format!(
            "the policy's {what} is not on this machine ({why}): what names it matches nothing until it is"
        ),
        Notice::PolicyFollows { what } => {
            format!("the policy's {what} is a new one: its rules go on with it")
        }
        Notice::PolicyNotEnforced { rules } => {
            let subject = match rules.as_slice() {
                [name] => format!("rule {name} has"),
                names => format!("rules {} have", names.join(", ")),
            };
            format!("{subject} action = \"drop\", and nothing is dropped without --enforce")
        }
        Notice::PolicyNotWatched { error } => {
            format!("a changed policy is read at SIGHUP alone, its changes are not noticed: {error}")
        }
        Notice::PolicyAbsent => "there is no policy to read again".to_owned(),

        Notice::EnforcementToConfirm { time, confirm } => format!(
            "leaks are dropped for {}, and then only reported, unless you confirm it: {confirm}",
            duration(*time)
        ),
        Notice::EnforcementConfirmed { outcome, persists } => confirmed(*outcome, *persists),
        Notice::NothingToConfirm => {
            "SIGUSR1 confirms --enforce-for, and nothing is enforced: the audit goes on; SIGTERM ends it"
                .to_owned()
        }
        Notice::EnforcementEnded => {
            "not confirmed in time: nothing is dropped any more, leaks are reported and leave"
                .to_owned()
        }
        Notice::EnforcementNotContinued => {
            "the earlier collector dropped leaks; without --enforce they leave from now on"
                .to_owned()
        }
        Notice::SessionDropped { policy, objection } => match policy {
            SessionPolicy::OfStart => format!("--enforce-for {objection}"),
            SessionPolicy::Changed => format!("the changed policy {objection}"),
            SessionPolicy::Refused => {
                format!("the changed policy {objection}. The one in force stays")
            }
        },
        Notice::SessionNotChecked { error } => format!(
            "whether the changed policy would drop the session that pinif is run from is not known: {error}"
        ),

        Notice::ForeseenNoLonger(latent) => {
            let Latent {
                finding, condition, ..
            } = latent.as_ref();
            format!(
                "{} would not be a {} any more with {condition}",
                finding.id,
                finding.kind.name()
            )
        }
        Notice::NotForeseen {
            netns,
            error,
            in_part: false,
        } => format!("what would leak in the network namespace {netns} cannot be foreseen: {error}"),
        Notice::NotForeseen {
            netns,
            error,
            in_part: true,
        } => format!(
            "what would leak in the network namespace {netns} may be foreseen wrongly, not copied: {error}"
        ),

        Notice::XdpProgram { interface, program } => format!(
            "{interface} has the XDP program {program}: what it sends by itself (XDP_TX) is not seen"
        ),
        Notice::HookMissing(warning) => warning.clone(),

        Notice::InterfacesCameLate { names } => format!(
            "{} came while no collector ran: what left there until now was not audited",
            names.join(", ")
        ),
        Notice::TookOver { age, findings } => format!(
            "took over from an earlier collector: counts begin {} ago, with {}",
            ago(*age),
            counted(*findings as u64, "finding")
        ),
        Notice::RoomKept { sockets, asked } => format!(
            "what persists has room for {sockets} sockets, and keeps it: --max-sockets {asked} is taken once `pinif detach`, or \
             `systemctl stop pinif`, has ended that"
        ),
        Notice::StaysAttached { drops, directory } => {
            let and = if *drops { " and dropping" } else { "" };
            let directory = shell::path(directory);
            format!(
                "the programs stay attached, and go on counting{and}: `pinif audit --persist={directory}` takes over, `pinif detach \
                 --persist={directory}` ends it"
            )
        }

        Notice::CaptureStopped { path, stop } => match stop {
            Stop::Full => format!(
                "{} is as large as it may be (--capture-size): nothing is captured from here on; name another file, and start again",
                path.display()
            ),
            Stop::Failed(error) => format!("{error}: nothing is captured from here on"),
        },

        Notice::NotAsked { error } => {
            format!("{error}: the audit goes on, and `pinif status` cannot ask it")
        }
        Notice::WaitsForReader => {
            "the audit has ended, and waits until its output is read; another SIGTERM or Ctrl-C ends pinif without that"
                .to_owned()
        }
        Notice::SignalIgnored(name) => {
            format!("{name} means nothing to pinif: the audit goes on; SIGTERM ends it")
        }
        Notice::SubscriberFailed { name, error } => {
            format!("{name} has failed, and the audit goes on without it: {error}")
        }
    }
}

fn confirmed(outcome: Confirmed, persists: bool) -> String {
    let end = if persists {
        "`pinif detach`"
    } else {
        "pinif ends"
    };
    match outcome {
        Confirmed::Now => format!("confirmed: leaks are dropped until {end}"),
        Confirmed::Already => {
            format!("there is nothing to confirm: leaks are dropped until {end}")
        }
        Confirmed::TooLate => {
            "it is too late to confirm: nothing is dropped any more; start pinif audit --enforce anew"
                .to_owned()
        }
    }
}
