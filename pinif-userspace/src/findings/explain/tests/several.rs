//! What routes the remedies give, and to which destinations.

use pinif_ebpf::sighting::Origin;

use super::*;
use crate::findings::{
    explain::Route,
    samples::{DestinationSample, Sampled, Samples},
    ways::{ChosenBy, OtherDestination, Reach, Way, Ways},
};
use crate::host::{
    neighbours::Unanswered,
    nft::{Applies, Does, MarkSet, NftRule},
};

fn way() -> Way {
    Way {
        interface: "fab0".into(),
        reach: Reach::Direct,
        silent: None,
        holds: true,
        is_for_unbound: false,
        source: None,
        network: "10.0.0.0/8".parse().expect("a network"),
        instead: Vec::new(),
        table: Some(254),
    }
}

/// A rule of nftables marks a packet once it has its source, by the route without the mark: it keeps that on the route by which the mark leads it
/// home.
#[test]
fn what_is_marked_behind_its_first_route_is_translated_as_well() {
    let first_of = |may_set: Vec<NftRule>| {
        let marked = CauseKind::Marked {
            mark: 7,
            by: Origin::Process,
            may_set,
        };
        let route = Route {
            prefix: "10.9.0.0/16".parse().expect("a network"),
            device: Some("eth1".to_owned()),
            table: "100".to_owned(),
            table_number: 100,
            rule: Some("rule 100 (fwmark 0x7)".to_owned()),
            priority: Some(100),
            by_mark: true,
            ..Route::default()
        };
        let causes = [marked, CauseKind::Route(route)].map(Cause::certain);
        let mut finding = Circumstance {
            source: "192.0.2.1:7",
            destination: "10.9.0.7:9",
            source_owner: Some("eth1"),
            rule: Some("control-plane"),
            only_via_interfaces: &["fab0"],
            causes: &causes,
            ..circumstance(Kind::PolicyEscape)
        }
        .finding();
        let way = Way {
            source: Some([10, 0, 0, 1].into()),
            table: None,
            ..way()
        };
        finding.ways = Arc::new(Ways {
            home: vec![way],
            chosen_by: ChosenBy::Kernel,
            ..Ways::default()
        });
        steps(&finding).remove(0).text
    };
    let rule = NftRule {
        family: "ip",
        table: "lab".to_owned(),
        chain: "out".to_owned(),
        handle: 4,
        does: Does::Mark(Some(MarkSet::whole(7))),
        applies: Applies::default(),
    };
    let route = "give 10.9.0.7 a route via fab0 in table 100";
    assert!(first_of(vec![rule]).starts_with(&format!(
        "{route}, and translate the source 192.0.2.1 there to an address of fab0 (`"
    )));
    assert!(first_of(Vec::new()).starts_with(&format!("{route} (`")));
}

/// What routing was not asked about yet is in no command: another table may have led it out.
#[test]
fn no_route_is_given_to_what_was_not_asked_about() {
    let causes = [Cause::certain(default_route())];
    let c = Circumstance {
        destination: "10.0.0.2:9",
        rule: Some("control-plane"),
        only_via: &["backplane"],
        only_via_interfaces: &["fab0"],
        causes: &causes,
        ..circumstance(Kind::PolicyEscape)
    };
    let sample = |destination: &str| DestinationSample {
        protocol: "udp".to_owned(),
        destination: destination.to_owned(),
        packets: 1,
    };
    let mut finding = c.finding();
    let ways = Ways {
        home: vec![way()],
        ..Ways::default()
    };
    finding.ways = Arc::new(ways.clone());
    finding.samples = Some(Arc::new(Samples {
        destinations: Sampled {
            count: 2,
            more: false,
            samples: vec![sample("10.0.0.2:9"), sample("10.9.0.2:9")],
        },
        ..Samples::default()
    }));
    let first = |finding: &Finding| steps(finding).remove(0);
    let step = first(&finding);
    assert_eq!(
        step.text,
        "give 10.0.0.2 a route via fab0, and it is not known yet what leads 10.9.0.2 (`ip route replace 10.0.0.2 dev fab0`)"
    );
    finding.ways = Arc::new(Ways {
        others: vec![OtherDestination {
            address: [10, 9, 0, 2].into(),
            is_as_first: true,
            way: Some(way()),
        }],
        ..ways
    });
    assert_eq!(
        first(&finding).text,
        "give 10.0.0.2 and 10.9.0.2 a route via fab0 (`ip route replace 10.0.0.2 dev fab0; ip route replace 10.9.0.2 dev fab0`)"
    );
}

/// The rule demands a bound socket, which would not find the route that there is.
/// The neighbour's state is said where a router is silent, and another interface whose router answers comes before it.
#[test]
fn a_router_that_does_not_answer_is_named_and_comes_last() {
    let causes = [Cause::certain(default_route())];
    let mut finding = Circumstance {
        destination: "10.9.0.9:9",
        rule: Some("control-plane"),
        only_via_interfaces: &["fab0", "fab1"],
        causes: &causes,
        ..circumstance(Kind::PolicyEscape)
    }
    .finding();
    let by = |interface: &str, last, silent| Way {
        interface: interface.into(),
        reach: Reach::Via {
            gateway: [10, 0, 0, last].into(),
            is_onlink: false,
        },
        silent,
        ..way()
    };
    let silent = by("fab0", 66, Some(Unanswered::Failed));
    let mut first = |home: Vec<Way>| {
        finding.ways = Arc::new(Ways {
            home,
            ..Ways::default()
        });
        steps(&finding).remove(0).text
    };
    assert_eq!(
        first(vec![silent.clone()]),
        "give 10.9.0.9 a route via fab0, but the router 10.0.0.66 does not answer on fab0 (FAILED) (`ip route replace 10.9.0.9 via \
         10.0.0.66 dev fab0`)"
    );
    assert_eq!(
        first(vec![silent, by("fab1", 2, None), by("fab2", 3, None)]),
        "give 10.9.0.9 a route via fab1 (`ip route replace 10.9.0.9 via 10.0.0.2 dev fab1`)"
    );
}

#[test]
fn a_route_that_no_bound_socket_follows_is_no_way() {
    let causes = [Cause::certain(default_route())];
    let mut finding = Circumstance {
        also: &[Kind::Unpinned],
        destination: "10.0.0.2:9",
        rule: Some("control-plane"),
        only_via_interfaces: &["fab0"],
        causes: &causes,
        ..circumstance(Kind::PolicyEscape)
    }
    .finding();
    let text = |finding: &Finding| steps(finding).remove(0).text;
    let mut ways = Ways {
        home: vec![Way {
            holds: false,
            is_for_unbound: true,
            ..way()
        }],
        ..Ways::default()
    };
    finding.ways = Arc::new(ways.clone());
    assert_eq!(
        text(&finding),
        "decide how 10.0.0.2 is reached: its route via fab0 is behind a next-hop object or one of a group of them, and no bound \
         socket follows it; give it a route there without such objects, or let rule control-plane allow eth1"
    );
    ways.home[0].reach = Reach::Nowhere;
    finding.ways = Arc::new(ways);
    assert!(
        text(&finding).starts_with("decide where 10.0.0.2 belongs: no route leads there via fab0")
    );
}
