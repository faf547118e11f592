//! Facts for tests.

use std::{sync::Arc, time::SystemTime};

use pinif_ebpf::verdict::Kind;

use super::finding::{Finding, FindingId, Place};
use super::ready::{Attach, Ready};

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

/// The beginning of an audit of nothing.
pub(crate) fn ready() -> Ready {
    Ready {
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
