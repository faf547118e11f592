//! A finding that has seen several destinations.

use super::*;
use crate::findings::{
    samples::{DestinationSample, Sampled, Samples},
    ways::{OtherDestination, Reach, Way, Ways},
};

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
    let way = || Way {
        interface: "fab0".into(),
        reach: Reach::Direct,
        holds: true,
        is_for_unbound: false,
        source: None,
        network: "10.0.0.0/8".parse().expect("a network"),
        instead: Vec::new(),
        table: Some(254),
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
