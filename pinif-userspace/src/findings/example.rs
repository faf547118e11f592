//! A finding for tests.

use pinif_ebpf::verdict::{Kind, Severity};

use super::{
    finding::{Direction, Finding, FindingId, Origin},
    samples::Samples,
};

/// The leak of a socket that is bound to `fab0`, with this number as its id.
pub(crate) fn finding(id: u64) -> Finding {
    Finding {
        id: FindingId(id).to_string(),
        time: "2026-03-01T12:00:00.000001Z".to_owned(),
        kind: Kind::DeviceEscape,
        severity: Severity::Leak,
        rule: Some("control-plane".to_owned()),
        netns: "card".to_owned(),
        direction: Direction::Out,
        bound_device: Some("fab0".to_owned()),
        bound_address: Some("10.0.0.1".to_owned()),
        egress_interface: "eth1".to_owned(),
        protocol: "udp".to_owned(),
        source: "10.0.0.1:40000".to_owned(),
        destination: "203.0.113.9:5000".to_owned(),
        packets: 1,
        bytes: 60,
        socket_cookie: Some(4711),
        process: None,
        subject: None,
        samples: Samples::default(),
        cause: "IP_PKTINFO override".to_owned(),
        explanation: "The socket of telemetryd is bound to fab0, but its udp to 203.0.113.9:5000 left by eth1, \
                      which carries nothing for fab0. It is policy-escape as well."
            .to_owned(),
        remedy: "send without IP_PKTINFO's ipi_ifindex, or set it to fab0".to_owned(),
        origin: Origin::Socket,
        dropped: false,
    }
}
