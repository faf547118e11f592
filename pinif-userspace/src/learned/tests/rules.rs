//! A policy is tried by all that its rules look at: the trial of random rules says the same as the rules, said once more in other words.

use pinif_ebpf::verdict::Kind;
use proptest::prelude::*;

use super::{super::Traffic, CGROUPS, NETWORKS, PORTS, PROTOCOLS, executable, kinds, traffic};
use crate::policy::Policy;

/// What a rule demands that looks at who sends what: all of it by `fab0`.
#[derive(Clone, Debug)]
struct Wanted {
    user: Option<u32>,
    program: Option<u8>,
    cgroup: Option<usize>,
    protocol: Option<usize>,
    port: Option<usize>,
    source_port: Option<usize>,
    network: Option<usize>,
    pinned: bool,
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let some = |number: usize| proptest::option::weighted(0.3, 0..number);
    let who = (some(4), some(3), some(CGROUPS.len()), any::<bool>());
    let what = (
        some(2),
        some(PORTS.len()),
        some(PORTS.len()),
        some(NETWORKS.len()),
    );
    (who, what).prop_map(
        |((user, program, cgroup, pinned), (protocol, port, source_port, network))| Wanted {
            user: user.map(|user| user as u32),
            // A policy names no such program as the first.
            program: program.map(|program| program as u8 + 1),
            cgroup,
            protocol,
            port,
            source_port,
            network,
            pinned,
        },
    )
}

impl Wanted {
    fn policy(&self) -> Policy {
        // A string of JSON is one of TOML.
        let text = |text: &str| serde_json::to_string(text).expect("JSON");
        let lines = [
            self.user.map(|user| format!("user = {user}")),
            self.program
                .map(|program| format!("executable = {}", text(&executable(program)))),
            self.cgroup
                .map(|cgroup| format!("cgroup = {}", text(CGROUPS[cgroup]))),
            self.protocol
                .map(|protocol| format!("protocol = {}", text(PROTOCOLS[protocol].1))),
            self.port.map(|port| format!("port = {}", PORTS[port])),
            self.source_port
                .map(|port| format!("source_port = {}", PORTS[port])),
            Some(match self.network {
                Some(network) => format!("destination = {}", text(NETWORKS[network])),
                // A rule says which traffic it is for.
                None => "destination = [\"0.0.0.0/0\", \"::/0\"]".to_owned(),
            }),
        ];
        let lines: Vec<String> = lines.into_iter().flatten().collect();
        let policy = format!(
            "[zone.inside]\ninterfaces = \"fab0\"\n[[rule]]\nname = \"r\"\nonly_via = \"inside\"\npinned = {}\n{}\n",
            self.pinned,
            lines.join("\n")
        );
        Policy::parse(&policy, "policy.toml").unwrap_or_else(|errors| panic!("{errors}\n{policy}"))
    }

    /// Whether the rule is for this, said once more in other words.
    fn is_for(&self, one: &Traffic) -> bool {
        let network = |place: usize| NETWORKS[place].parse::<ipnet::IpNet>().expect("a network");
        let (to, from) = if one.serves {
            (None, one.port)
        } else {
            (one.port, None)
        };
        let cgroup = |place: usize| {
            let below = format!("{}/", CGROUPS[place]);
            one.cgroup
                .as_ref()
                .is_some_and(|cgroup| format!("{cgroup}/").starts_with(&below))
        };
        self.user.is_none_or(|user| one.uid == Some(user))
            && self
                .program
                .is_none_or(|program| one.exe == Some(executable(program)))
            && self.cgroup.is_none_or(cgroup)
            && self
                .protocol
                .is_none_or(|protocol| one.protocol == PROTOCOLS[protocol].0)
            && self.port.is_none_or(|port| to == Some(PORTS[port]))
            && self
                .source_port
                .is_none_or(|port| from == Some(PORTS[port]))
            && self
                .network
                .is_none_or(|place| network(place).contains(&one.destination))
    }

    fn finds(&self, one: &Traffic) -> Vec<Kind> {
        match self.is_for(one) {
            true if one.egress_interface != "fab0" => vec![Kind::PolicyEscape],
            true if self.pinned && one.is_unpinned() => vec![Kind::Unpinned],
            _ => vec![],
        }
    }
}

proptest! {
    /// A policy is tried by all that its rules look at, of all who send.
    #[test]
    fn a_trial_finds_what_a_rule_is_broken_by(wanted in wanted(), traffic in proptest::collection::vec(traffic(), 1..20)) {
        let policy = wanted.policy();
        for one in traffic {
            let expected = wanted.finds(&one);
            prop_assert_eq!(kinds(one.clone(), &policy), expected, "{:?}", one);
        }
    }
}
