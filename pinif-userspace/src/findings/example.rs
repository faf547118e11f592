//! Facts for tests.

use std::{sync::Arc, time::SystemTime};

use pinif_ebpf::verdict::Kind;

use super::finding::{Finding, FindingId, Place};
use super::ready::{Attach, Ready};
use super::samples::{DestinationSample, ProcessSample, Sampled, Samples, SocketSample};

/// The leak of a socket that is bound to `fab0`, with this number as its id.
pub(crate) fn finding(id: u64) -> Finding {
    let place = Place {
        netns: "card".into(),
        interface: Some("eth1".into()),
        bound_device: Some("fab0".into()),
        ..Place::default()
    };
    Finding {
        packets: 1,
        bytes: 60,
        ..Finding::new(
            FindingId(id),
            Kind::DeviceEscape,
            Arc::new(place),
            SystemTime::UNIX_EPOCH,
        )
    }
}

/// As much as a finding has seen at most.
pub(crate) fn samples() -> Samples {
    fn all<T>(sample: impl Fn(u32) -> T) -> Sampled<T> {
        Sampled {
            count: 16,
            more: true,
            samples: (0..16).map(sample).collect(),
        }
    }
    Samples {
        processes: all(|pid| ProcessSample {
            pid: Some(pid),
            comm: Some("sixteen-letters-".to_owned()),
            packets: 1,
        }),
        sockets: all(|cookie| SocketSample {
            socket_cookie: cookie.into(),
            packets: 1,
        }),
        destinations: all(|port| DestinationSample {
            protocol: "udp".to_owned(),
            destination: format!("[2001:db8:1111:2222:3333:4444:5555:6666]:{}", 40_000 + port),
            packets: 1,
        }),
    }
}

/// The same of findings that have in equal what they share.
pub(crate) fn like(base: &Finding, id: u64, samples: Option<Samples>) -> Finding {
    Finding {
        id: FindingId(id),
        samples: samples.map(Arc::new),
        ..base.clone()
    }
}

/// The beginning of an audit of nothing.
pub(crate) fn ready() -> Ready {
    Ready {
        enter: Default::default(),
        interfaces: Vec::new(),
        netns: Vec::new(),
        kernel: String::new(),
        attach: Attach::Tcx,
        enforce: false,
        policy: None,
        version: String::new(),
        run: String::new(),
        boot: None,
        host: None,
        labels: Default::default(),
    }
}
