//! The bench: a card in a chassis, the real auditor over it, real senders on it, and assertions on everything it says.
//!
//! ```text
//! scenario("10 pktinfo-override-udp", &[], |bench| {
//!     let auditor = bench.audit(&[]);
//!     let sent = bench.send("udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9 --count 1000");
//!     auditor
//!         .stop()
//!         .expect()
//!         .finding(leak("device-escape").bound("fab0").egress("eth1").packets(1000).by(&sent))
//!         .nothing_else();
//! });
//! ```
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "every file of scenarios uses its own part of the bench"
)]

pub mod arrivals;
mod auditor;
pub mod carry;
mod expect;
mod group;
mod held;
pub mod joins;
pub mod lines;
mod need;
mod pinif;
pub mod plug;
mod policy;
mod promise;
mod record;
mod report;
mod running;
mod scrape;
mod sender;
mod serve;
mod settle;
mod share;
mod valid;
mod wait;
mod wanted;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use pinif_lab::{Cgroup, Chassis, Namespace};

pub use auditor::{Auditor, Began, Setup, Started};
pub(crate) use group::together;
pub use group::{MOST, in_words, run_together};
pub use held::{Account, Held};
pub use need::{Need, browser, prometheus, rotel, tshark, victoria_metrics};
pub use pinif::{Ended, Pinif};
pub use policy::{CONTROL_PLANE, CONTROL_PLANE_PINNED};
pub use report::{Report, made};
pub use running::Running;
pub use scrape::{Values, goes_on, scrape_until, values};
pub use sender::{SENDER, Sender, Sent};
pub use serve::{Server, serve, serve_after};
pub use settle::{
    connections, pairs_keep_sockets, received_by, renames_what_is_up, settle, time_wait_has_packets,
};
pub use valid::valid;
pub use wait::{Events, wait_until};
pub use wanted::{Finding, leak, note, risk};

use group::Group;
use record::Record;

/// Where senders and auditor meet: the chassis of [`pinif_lab::chassis`] and a cgroup.
pub struct Bench {
    /// The namespaces. The auditor watches the card.
    pub chassis: Chassis,
    cgroup: Cgroup,
    /// The group of scenarios that it shares its audits with.
    group: Option<Arc<Group>>,
    /// Further links of the card whose drivers' counters the report is held against.
    counting: RefCell<Vec<&'static str>>,
}

/// Runs a scenario of docs/developers/scenarios.md, whose name begins with the case's number, where the machine meets its needs. Where it
/// does not, says so loudly, and to the file that `PINIF_SCENARIO_DIR` asks for: a skipped scenario is not a passed one.
pub fn scenario(name: &str, needs: &[Need], body: impl FnOnce(&Bench)) {
    pinif_lab::sweep();
    let unmet = std::iter::once(&Need::Namespaces)
        .chain(needs)
        .find_map(Need::unmet);
    if let Some(reason) = unmet {
        return skipped(name, &reason);
    }
    let record = Record::begin(name);
    let group = Group::current();
    let cgroup = match &group {
        Some(group) => group.cgroup().below("bench"),
        None => Cgroup::new("bench"),
    };
    let bench = Bench {
        chassis: pinif_lab::chassis().expect("cannot build the chassis"),
        cgroup: cgroup.expect("cannot make a cgroup"),
        group,
        counting: RefCell::default(),
    };
    // The namespaces go before the panic does, so that they are gone when the runner learns of it.
    let outcome = catch_unwind(AssertUnwindSafe(|| body(&bench)));
    drop(bench);
    record.ended(outcome.is_ok());
    outcome.unwrap_or_else(|panic| resume_unwind(panic));
}

/// Says loudly that something cannot run here, and to the file that `PINIF_SCENARIO_DIR` asks for.
pub fn skipped(name: &str, reason: &str) {
    Record::begin(name).skipped(reason);
    eprintln!("SKIPPED scenario {name}: {reason}");
}

impl Bench {
    /// The namespace that is audited.
    pub fn card(&self) -> &Namespace {
        &self.chassis.card
    }

    /// Holds the report against this link's own counters too: a link of the card that the scenario has made.
    pub fn count_on(&self, link: &'static str) {
        self.counting.borrow_mut().push(link);
    }

    /// Starts the auditor on the card and waits until it is ready.
    pub fn audit(&self, arguments: &[&str]) -> Auditor<'_> {
        self.auditor().arguments(arguments).start()
    }

    /// Starts the auditor with this policy.
    pub fn audit_with(&self, policy: &str, arguments: &[&str]) -> Auditor<'_> {
        self.auditor().policy(policy).arguments(arguments).start()
    }

    /// An auditor of the card that is to be started otherwise.
    pub fn auditor(&self) -> Setup<'_> {
        Setup::new(self)
    }

    /// Lets a sender on the card do what `arguments` say, from begin to end.
    pub fn send(&self, arguments: &str) -> Sent {
        self.sender(arguments).finish()
    }

    /// Starts a sender on the card, in the audited cgroup.
    pub fn sender(&self, arguments: &str) -> Sender {
        self.sender_in(self.card(), arguments)
    }

    /// Starts a sender in a namespace, in the audited cgroup.
    pub fn sender_in(&self, namespace: &Namespace, arguments: &str) -> Sender {
        Sender::start(namespace, Some(self.cgroup.path()), arguments)
    }

    /// Starts a sender in a namespace, in a cgroup of its own below the audited one.
    pub fn sender_below(&self, namespace: &Namespace, cgroup: &Cgroup, arguments: &str) -> Sender {
        Sender::start(namespace, Some(cgroup.path()), arguments)
    }

    /// Starts a sender elsewhere, which the auditor does not see; or on the card, out of the audited cgroup.
    pub fn far_sender(&self, namespace: &Namespace, arguments: &str) -> Sender {
        Sender::start(namespace, None, arguments)
    }

    /// The cgroup of the card's senders, as a finding names it.
    pub fn cgroup(&self) -> String {
        self.cgroup.name()
    }

    /// Another cgroup below it.
    pub fn cgroup_below(&self, label: &str) -> Cgroup {
        self.cgroup.below(label).expect("cannot make a cgroup")
    }

    /// The directory of that cgroup.
    pub fn cgroup_path(&self) -> &Path {
        self.cgroup.path()
    }

    /// Runs a program on the card, in the audited cgroup, from begin to end; its process id.
    pub fn program(&self, program: &str, arguments: &str) -> u32 {
        self.on_card(self.in_cgroup(program), arguments).0
    }

    /// Starts a program on the card, in the audited cgroup.
    pub fn start(&self, program: &str, arguments: &str) -> Running {
        let mut command = self.in_cgroup(program);
        command.args(arguments.split_whitespace());
        Running::start(self.card(), command)
    }

    /// The shell joins the cgroup and becomes the program, with the same process id.
    fn in_cgroup(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo 0 > "$0/cgroup.procs" && exec "$@""#]);
        command.arg(self.cgroup.path()).arg(program);
        command
    }

    /// Runs `nft` or `tc` on the card.
    pub fn run(&self, program: &str, arguments: &str) {
        self.on_card(Command::new(program), arguments);
    }

    /// What `nft` or `tc` says of the card.
    pub fn ask(&self, program: &str, arguments: &str) -> String {
        self.on_card(Command::new(program), arguments).1
    }

    /// Lets the card pass on what others send through it.
    pub fn let_forward(&self) {
        let card = self.card();
        for link in ["fab0", "eth1"] {
            card.set_multicast(link, false).expect("it is there");
        }
        for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            card.set_sysctl(setting, "1").expect("it is there");
        }
    }

    /// What pinif says where the card has no such interface, up to those that there are, which `message` goes on with. Some
    /// kernels give every namespace a device of each kind of tunnel.
    pub fn lacks(&self, interface: &str, message: &str) {
        let there = message.strip_prefix(&format!(
            "pinif: there is no interface {interface} in the network namespace {}; those that there are: ",
            self.card().name()
        ));
        let there: Vec<_> = there.expect(message).trim_end().split(", ").collect();
        for name in ["eth1", "fab0", "lo"] {
            assert!(there.contains(&name), "{message}");
        }
    }

    /// The process id, and what was said on standard output.
    fn on_card(&self, mut command: Command, arguments: &str) -> (u32, String) {
        command
            .args(arguments.split_whitespace())
            .stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self
            .card()
            .run(|| command.spawn())
            .expect("the card is there");
        let child = child.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let pid = child.id();
        let output = child.wait_with_output().expect("a child");
        assert!(
            output.status.success(),
            "{command:?}: {}, and said: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        (pid, String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
