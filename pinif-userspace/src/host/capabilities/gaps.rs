//! What of this namespace's traffic cannot be seen, now or ever: a check each.

use std::collections::{BTreeMap, BTreeSet};

use pinif_ebpf::{bypass::Bypass, key::IfIndex};

use super::outcome::{Check, Outcome};
use crate::host::{
    gaps::{
        Found, netconsole, pktgen,
        sockets::{self, BypassMethod},
        xdp,
    },
    links::Links,
    netns::{HOST, NetNs},
    network::Network,
    processes,
};

/// Looks at each way past TC egress that the host shows. `sockets` are the kernel's list of those that may have one,
/// and `ahead` what others have at the egress of interfaces, each with the interface's name.
pub fn check(
    netns: &NetNs,
    sockets: &Result<Vec<Bypass>, String>,
    ahead: Found<(String, String)>,
) -> Vec<Check> {
    // Without them, interfaces are shown by their numbers.
    let links = Network::read(netns)
        .map(|network| network.links)
        .unwrap_or_default();
    vec![
        Check::new(
            "packet sockets",
            bypassing(netns, &links, sockets, BypassMethod::QdiscBypass),
        ),
        Check::new(
            "AF_XDP",
            bypassing(netns, &links, sockets, BypassMethod::Xdp),
        ),
        Check::new("XDP programs", xdp_programs(xdp::programs(netns), &links)),
        Check::new("before pinif", others(ahead)),
        Check::new("pktgen", generator("pktgen", pktgen::devices(netns))),
        Check::new("netconsole", {
            let devices = if netns.name == HOST {
                netconsole::devices()
            } else {
                Vec::new()
            };
            generator("netconsole", devices)
        }),
        Check::new("out of sight", never_seen()),
    ]
}

/// That nothing could be looked for.
pub fn unknown(error: &str) -> Check {
    Check::new(
        "out of sight",
        Outcome::Note(format!(
            "what sends past TC egress here is unknown: {error}"
        )),
    )
}

/// What was found, and in a sentence what could not be looked for.
fn sorted<T>(found: Found<T>) -> (Vec<T>, Option<String>) {
    let (mut all, mut unknown) = (Vec::new(), None);
    for one in found {
        match one {
            Ok(one) => all.push(one),
            Err(error) => unknown = Some(format!("not all could be looked for: {error}")),
        }
    }
    (all, unknown)
}

fn bypassing(
    netns: &NetNs,
    links: &Links,
    sockets: &Result<Vec<Bypass>, String>,
    way: BypassMethod,
) -> Outcome {
    let (none, fix) = match way {
        BypassMethod::QdiscBypass => (
            "none sends past TC egress (PACKET_QDISC_BYPASS)",
            "let it send without PACKET_QDISC_BYPASS, or take CAP_NET_RAW from it",
        ),
        BypassMethod::Xdp => (
            "no AF_XDP socket sends",
            "audit the next hop, or take CAP_NET_RAW from it",
        ),
    };
    let listed = match sockets {
        Ok(listed) => listed,
        Err(error) => return Outcome::Note(format!("unknown: {error}")),
    };
    let unlisted = match sockets::unlisted(netns, listed) {
        Ok(unlisted) => unlisted,
        Err(error) => return Outcome::Note(format!("unknown: {error}")),
    };
    let here = listed.iter().chain(&unlisted).filter(|socket| {
        socket.netns == netns.cookie && BypassMethod::of_family(socket.family) == Some(way)
    });
    let mut unknown = None;
    let mut found = Vec::new();
    for socket in here {
        match sockets::state(socket) {
            Ok(Some(state)) if state.bypasses => found.push(sender(socket, state.interface, links)),
            Ok(_) => {}
            Err(error) => {
                let process = processes::recorded(&socket.owner);
                unknown = Some(format!("those of {process} cannot be asked: {error}"));
            }
        }
    }
    found.dedup();
    match (found.is_empty(), unknown) {
        (false, _) => Outcome::lack(format!("{} past TC egress", found.join("; ")), fix),
        (true, Some(unknown)) => Outcome::Note(unknown),
        (true, None) => Outcome::Ok(none.to_owned()),
    }
}

/// `tcpreplay (pid 4242) sends by eth1`.
fn sender(socket: &Bypass, interface: Option<IfIndex>, links: &Links) -> String {
    let process = processes::recorded(&socket.owner);
    let interface = match interface {
        Some(index) => name_of(index, links),
        None => "any interface".to_owned(),
    };
    format!("{process} sends by {interface}")
}

fn name_of(index: IfIndex, links: &Links) -> String {
    links
        .get(index)
        .map_or_else(|| format!("if{}", index.0), |link| link.name.clone())
}

fn xdp_programs(found: Found<xdp::Program>, links: &Links) -> Outcome {
    let (programs, unknown) = sorted(found);
    let shown = |program: &xdp::Program| {
        let interface = name_of(program.interface, links);
        match program.name.as_str() {
            "" => format!("{} on {interface}", program.id),
            name => format!("{name} (id {}) on {interface}", program.id),
        }
    };
    let senders: Vec<String> = programs
        .iter()
        .filter(|program| program.sends)
        .map(shown)
        .collect();
    if !senders.is_empty() {
        return Outcome::lack(
            format!(
                "{} may redirect packets to other interfaces, past TC egress",
                senders.join(", ")
            ),
            "audit the next hop; `bpftool net` shows the programs",
        );
    }
    let all: Vec<String> = programs.iter().map(shown).collect();
    match (all.is_empty(), unknown) {
        (_, Some(unknown)) => Outcome::Note(unknown),
        (true, None) => Outcome::Ok("none".to_owned()),
        (false, None) => Outcome::Note(format!(
            "{}: what it sends back by itself (XDP_TX) is not seen",
            all.join(", ")
        )),
    }
}

fn others(ahead: Found<(String, String)>) -> Outcome {
    let (ahead, unknown) = sorted(ahead);
    let mut by_interface: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (interface, what) in ahead {
        by_interface.entry(interface).or_default().push(what);
    }
    let shown: Vec<String> = by_interface
        .iter()
        .map(|(interface, others)| format!("{} at {interface}", others.join(", ")))
        .collect();
    match (shown.is_empty(), unknown) {
        (true, Some(unknown)) => Outcome::Note(unknown),
        (true, None) => Outcome::Ok("nobody has programs or filters at the egress here".to_owned()),
        (false, unknown) => Outcome::Note(format!(
            "at the egress there are {}; `pinif audit` goes before them where it can, and reports where it cannot{}",
            shown.join("; "),
            unknown.map_or_else(String::new, |unknown| format!("; {unknown}"))
        )),
    }
}

fn generator(name: &str, found: Found<String>) -> Outcome {
    let (devices, unknown) = sorted(found);
    let devices = Vec::from_iter(BTreeSet::from_iter(devices));
    match (devices.is_empty(), unknown) {
        (true, Some(unknown)) => return Outcome::Note(unknown),
        (true, None) => return Outcome::Ok("not in use".to_owned()),
        (false, _) => {}
    }
    Outcome::lack(
        format!(
            "{name} is set up to send by {}, past TC egress",
            devices.join(", ")
        ),
        match name {
            "pktgen" => "`rmmod pktgen` ends it",
            _ => "send the log by a syslog daemon, or audit the next hop",
        },
    )
}

/// What no kernel shows.
fn never_seen() -> Outcome {
    Outcome::Note(
        "what hardware forwards (switchdev, tc with skip_sw, offloaded flowtables), and what RDMA, DPDK and VFIO send, never \
         reaches TC egress, and nothing here shows it"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::host::links::Link;

    #[test]
    fn a_program_that_redirects_is_distinguished_from_one_that_may_not() {
        let links = Links::from_iter([Link::new(IfIndex(3), "eth1")]);
        let program = xdp::Program {
            interface: IfIndex(3),
            id: 7,
            name: "filter".to_owned(),
            sends: false,
        };
        let none = xdp_programs(Vec::new(), &links);
        assert_eq!(none, Outcome::Ok("none".to_owned()));
        let Outcome::Note(note) = xdp_programs(vec![Ok(program.clone())], &links) else {
            panic!("a note");
        };
        assert!(note.starts_with("filter (id 7) on eth1: "), "{note}");
        let redirecting = xdp::Program {
            sends: true,
            name: String::new(),
            ..program
        };
        let Outcome::Lack { why, fatal, .. } = xdp_programs(vec![Ok(redirecting)], &links) else {
            panic!("a gap");
        };
        assert!(why.starts_with("7 on eth1 may redirect"), "{why}");
        assert!(!fatal);
    }

    #[test]
    fn what_is_not_there_is_no_gap() {
        assert!(matches!(generator("pktgen", Vec::new()), Outcome::Ok(_)));
        assert!(matches!(others(Vec::new()), Outcome::Ok(_)));
        assert!(matches!(
            generator("pktgen", vec![Ok("eth1".to_owned())]),
            Outcome::Lack { fatal: false, .. }
        ));
    }

    #[test]
    fn what_could_not_be_looked_for_is_not_taken_for_none() {
        fn failed<T>() -> Found<T> {
            vec![Err(io::ErrorKind::PermissionDenied.into())]
        }
        let unknown = Outcome::Note("not all could be looked for: permission denied".to_owned());
        let links = Links::default();
        assert_eq!(xdp_programs(failed(), &links), unknown);
        assert_eq!(others(failed()), unknown);
        assert_eq!(generator("pktgen", failed()), unknown);
        let mut some = failed();
        some.push(Ok(("eth1".to_owned(), "bpf filter at pref 1".to_owned())));
        let Outcome::Note(note) = others(some) else {
            panic!("a note");
        };
        assert!(
            note.starts_with("at the egress there are bpf filter at pref 1 at eth1; "),
            "{note}"
        );
        assert!(
            note.ends_with("not all could be looked for: permission denied"),
            "{note}"
        );
    }

    #[test]
    fn a_list_that_cannot_be_had_is_unknown() {
        let Ok(netns) = NetNs::current() else {
            return;
        };
        let refused = Err("no".to_owned());
        let outcome = bypassing(&netns, &Links::default(), &refused, BypassMethod::Xdp);
        assert_eq!(outcome, Outcome::Note("unknown: no".to_owned()));
        let none = Ok(Vec::new());
        let outcome = bypassing(&netns, &Links::default(), &none, BypassMethod::QdiscBypass);
        assert!(matches!(outcome, Outcome::Ok(_)));
    }
}
