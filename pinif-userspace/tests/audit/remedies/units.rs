//! Remedies of services and containers that run: `pinif pin` holds their cgroups. A directory that is called as theirs stands for each.

use crate::bench::arrivals::Arrivals;
use crate::bench::carry::on_card;
use crate::bench::{
    Bench, CONTROL_PLANE, CONTROL_PLANE_PINNED, Need, Report, SENDER, Sender, scenario,
};
use crate::namespaces::containers::Container;
use pinif_userspace::findings::explain::{Step, Who};
use pinif_userspace::findings::line::FindingLine;

/// A mistake of a service that sends ten datagrams, and is pinned after five of them.
struct Service {
    name: &'static str,
    kind: &'static str,
    policy: Option<&'static str>,
    /// What is made of the chassis.
    make: fn(&Bench),
    /// What the service sends.
    sends: &'static str,
    /// What stands behind the remedy's first words.
    meets: &'static str,
    /// How many of the other five arrive where they belong.
    arrive: u64,
}

const HALF: u64 = 5;

/// What goes to the backplane's peer leaves by eth1.
fn misled(bench: &Bench) {
    bench.run("ip", "route add 10.0.0.0/30 via 192.0.2.2 dev eth1");
}

impl Service {
    fn is_held(&self) {
        scenario(self.name, &[], |bench| {
            (self.make)(bench);
            bench.knows("eth1", "10.0.0.2");
            let auditor = match self.policy {
                Some(policy) => bench.auditor().policy(policy),
                None => bench.auditor(),
            };
            let mut auditor = auditor.start();
            let service = bench.cgroup_below("fabricd.service");
            let sends = format!("{} --count 10 --pause-after 5", self.sends);
            let mut sender = bench.sender_below(bench.card(), &service, &sends);
            sender.wait_for("paused");
            let finding = auditor.wait_for_finding(self.kind);
            let words = "pin its service, with all its sockets, to fab0 by pinif pin";
            let step = step(&finding, &format!("{words}{} (`", self.meets));
            let line = format!(
                "pinif pin --netns {} --interface fab0 --cgroup {}",
                finding.netns,
                service.name()
            );
            assert_eq!(step.commands, [line]);
            let arrivals = Arrivals::at(bench);
            bench.shell(&step.commands[0]);
            sender.go_and_finish();
            arrivals.are(self.arrive, 0, step);
            bench.shell(&format!("pinif pin --undo --cgroup {}", service.name()));
            only(auditor.stop(), self.kind);
        });
    }
}

/// The remedy of an operator that begins so.
fn step<'a>(finding: &'a FindingLine, begin: &str) -> &'a Step {
    let mut steps = finding.remedies.iter();
    let is_it =
        |step: &&Step| step.who == Who::Operator && on_card(finding, &step.text).starts_with(begin);
    let found = steps.find(is_it);
    found.unwrap_or_else(|| panic!("no {begin}: {:#?}", finding.remedies))
}

/// The first five are all that was found.
fn only(report: Report, kind: &str) {
    let [finding] = &report.findings[..] else {
        panic!("one finding\n{report}");
    };
    assert_eq!(
        (finding.kind.name(), finding.packets),
        (kind, HALF),
        "{report}"
    );
}

#[test]
fn a_service_is_pinned_where_its_traffic_belongs() {
    Service {
        name: "30 service-route",
        kind: "policy-escape",
        policy: Some(CONTROL_PLANE),
        make: misled,
        sends: "udp --to 10.0.0.2:7009",
        meets: "",
        arrive: HALF,
    }
    .is_held();
}

#[test]
fn a_service_is_pinned_where_its_address_is() {
    Service {
        name: "30 service-address",
        kind: "address-escape",
        policy: None,
        make: misled,
        sends: "udp --bind 10.0.0.1 --to 10.0.0.2:7009",
        meets: "",
        arrive: HALF,
    }
    .is_held();
}

#[test]
fn a_service_is_pinned_that_is_to_be() {
    Service {
        name: "30 service-unpinned",
        kind: "unpinned",
        policy: Some(CONTROL_PLANE_PINNED),
        make: |_| (),
        sends: "udp --to 10.0.0.2:7009",
        meets: "",
        arrive: HALF,
    }
    .is_held();
}

/// The kernel takes the interface from the message, and what would leave by that is dropped.
#[test]
fn a_service_that_overrides_its_device_is_held() {
    Service {
        name: "30 service-pktinfo",
        kind: "device-escape",
        policy: None,
        make: misled,
        sends: "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:7009",
        meets: ", which drops what would leave by another interface",
        arrive: 0,
    }
    .is_held();
}

/// Its socket stays bound to the other, and sends nothing.
#[test]
fn a_service_that_binds_elsewhere_is_held() {
    Service {
        name: "30 service-bound",
        kind: "policy-escape",
        policy: Some(CONTROL_PLANE),
        make: misled,
        sends: "udp --bind-device eth1 --to 10.0.0.2:7009",
        meets: ", which refuses to bind its sockets otherwise",
        arrive: 0,
    }
    .is_held();
}

/// A namespace without a name, as a container's is: its packets to the peer's 10.5.0.2 leave by eth1.
fn plugged(bench: &Bench) -> Container {
    let container = Container::new(bench, 5);
    let (peer, outside) = (bench.chassis.peer.name(), bench.chassis.outside.name());
    for (own, far, name) in [("fab0", peer, "far5"), ("eth1", outside, "far6")] {
        let pid = container.pid();
        bench.shell(&format!(
            "ip link add {own} netns {pid} type veth peer name {name} netns {far}; ip -n {far} link set {name} up"
        ));
    }
    bench.shell(&format!("ip -n {peer} address add 10.5.0.2/24 dev far5"));
    bench.shell(&format!(
        "ip -n {outside} address add 198.51.100.2/24 dev far6"
    ));
    for arguments in [
        "link set fab0 up",
        "link set eth1 up",
        "address add 10.5.0.1/24 dev fab0",
        "address add 198.51.100.1/24 dev eth1",
        "route add 10.5.0.0/30 via 198.51.100.2 dev eth1",
    ] {
        let done = container.enter("ip", arguments).status().expect("nsenter");
        assert!(done.success(), "ip {arguments}");
    }
    container
}

const SENDS: &str = "udp --to 10.5.0.2:7009 --count 10 --pause-after 5";

#[test]
fn a_container_is_pinned_and_a_program_is_started_in_its_namespace() {
    let needs = [Need::Program("nsenter"), Need::Program("ip")];
    scenario("30 container", &needs, |bench| {
        let container = plugged(bench);
        let audit = || bench.audit_with(CONTROL_PLANE, &["--netns", &Container::glob()]);
        let start = |cgroup| Sender::start_by(container.enter(*SENDER, ""), Some(cgroup), SENDS);

        let mut auditor = audit();
        let mut sender = start(container.cgroup());
        sender.wait_for("paused");
        let finding = auditor.wait_for_finding("policy-escape");
        let words =
            "pin its container, with all its sockets, to fab0 by pinif pin (`pinif pin --netns ";
        let pinned = step(&finding, words);
        let arrivals = Arrivals::at(bench);
        bench.shell(&pinned.commands[0]);
        sender.go_and_finish();
        arrivals.are(HALF, 0, pinned);
        drop(arrivals);
        only(auditor.stop(), "policy-escape");
        let cgroup = container.cgroup().display();
        bench.shell(&format!("pinif pin --undo --cgroup {cgroup}"));

        let mut auditor = audit();
        let mut sender = start(bench.cgroup_path());
        sender.wait_for("paused");
        let finding = auditor.wait_for_finding("policy-escape");
        sender.go_and_finish();
        auditor.stop();
        let run = step(
            &finding,
            "start the program by pinif run (`pinif run --netns ",
        );
        let auditor = audit();
        let arrivals = Arrivals::at(bench);
        let sends = format!("{} udp --to 10.5.0.2:7009 --count 10", *SENDER);
        bench.shell(&run.commands[0].replace("COMMAND", &sends));
        arrivals.are(2 * HALF, 0, run);
        let report = auditor.stop();
        assert!(report.findings.is_empty(), "after {run:#?}\n{report}");
    });
}
