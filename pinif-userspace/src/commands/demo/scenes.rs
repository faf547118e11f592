//! The story, as data: what happens in each scene, what pinif must find in it, and what is to be learned.

use pinif_ebpf::verdict::{Kind, Severity};

use super::daemon::Step;
use super::stage::Stage;
use crate::findings::finding::Finding;

/// The name that fabricd's findings carry.
const FABRICD: &str = "fabricd";

/// The chassis, as the newcomer sees it. The names are coloured when it is shown.
pub const DRAWING: [&str; 6] = [
    "      peer                         card                        outside",
    "  ┌──────────┐           ┌──────────────────────┐           ┌─────────────┐",
    "  │          │ backplane │       fabricd        │front port │             │",
    "  │ 10.0.0.2 ├───────────┤ fab0            eth1 ├───────────┤ 203.0.113.9 │",
    "  │          │           │ 10.0.0.1   192.0.2.1 │           │             │",
    "  └──────────┘           └──────────────────────┘           └─────────────┘",
];

/// What the drawing shows, a paragraph each.
pub const PREMISE: [&str; 2] = [
    "A card in a chassis. fabricd runs on it and talks to the peer card: that traffic must never leave via the front port. The \
     policy says so: whatever goes to 10.0.0.0/8 leaves via fab0 alone, from a socket that is bound to a device.",
    "All of this is made of network namespaces, and goes away at the end. No packet leaves this machine.",
];

/// A scene: one step of fabricd.
#[derive(Debug)]
pub struct Scene {
    /// Its title.
    pub title: &'static str,
    /// What happens, in a sentence or two.
    pub action: &'static str,
    /// What happens to the card before fabricd acts.
    pub before: Option<fn(&Stage) -> anyhow::Result<()>>,
    /// What fabricd does.
    pub step: Step,
    /// What must come of it.
    pub promise: Promise,
    /// What to learn.
    pub lesson: &'static str,
}

/// What must come of a step.
#[derive(Debug)]
pub enum Promise {
    /// All is sent, and nothing is found.
    Contained,
    /// All is sent, and this is found, in as many packets.
    Found(Expected),
    /// The kernel refuses to send.
    Refused,
}

/// A finding to come.
#[derive(Debug)]
pub struct Expected {
    /// Its kind.
    pub kind: Kind,
    /// Its severity.
    pub severity: Severity,
    /// The device that the socket is bound to.
    pub bound_device: Option<&'static str>,
    /// Where it left.
    pub egress_interface: &'static str,
}

impl Expected {
    /// Whether this is the one.
    pub fn is(&self, finding: &Finding) -> bool {
        finding.kind == self.kind
            && finding.severity == self.severity
            && finding.bound_device() == self.bound_device
            && finding.egress_interface() == self.egress_interface
            && finding
                .process
                .as_ref()
                .is_some_and(|process| process.comm == FABRICD)
    }
}

/// The story.
pub const SCENES: [Scene; 6] = [
    Scene {
        title: "as it should be",
        action: "fabricd binds a socket to the device fab0 (SO_BINDTODEVICE) and sends 3 datagrams to the peer.",
        before: None,
        step: Step::Pinned,
        promise: Promise::Contained,
        lesson: "They left via the device that the socket is bound to, so pinif is silent.",
    },
    Scene {
        title: "an address is not a device",
        action: "To keep a socket on the backplane, fabricd binds it to 10.0.0.1, the address of fab0, and sends 3 datagrams to 203.0.113.9.",
        before: None,
        step: Step::Address,
        promise: Promise::Found(Expected {
            kind: Kind::AddressEscape,
            severity: Severity::Leak,
            bound_device: None,
            egress_interface: "eth1",
        }),
        lesson: "bind() to an address chose where the packets claim to come from. The routing table chose where they left.",
    },
    Scene {
        title: "bound, and yet elsewhere",
        action: "fabricd binds a socket to the device fab0 and sends 3 datagrams to the peer with IP_PKTINFO that names \
                 eth1.",
        before: None,
        step: Step::Override,
        promise: Promise::Found(Expected {
            kind: Kind::DeviceEscape,
            severity: Severity::Leak,
            bound_device: Some("fab0"),
            egress_interface: "eth1",
        }),
        lesson: "The kernel lets one sendmsg() override the bound device. `ss` still shows a socket on fab0; only the packet \
                 shows it.",
    },
    Scene {
        title: "right, as long as the route is there",
        action: "fabricd sends 3 datagrams to the peer from a socket that is bound to nothing.",
        before: None,
        step: Step::Unpinned,
        promise: Promise::Found(Expected {
            kind: Kind::Unpinned,
            severity: Severity::Risk,
            bound_device: None,
            egress_interface: "fab0",
        }),
        lesson: "They used an allowed interface, but only because of the current route. A risk, not yet a leak.",
    },
    Scene {
        title: "the route goes away",
        action: "The link fab0 goes down. fabricd notices nothing, and sends 3 more from the same socket.",
        before: Some(Stage::cut_backplane),
        step: Step::Unpinned,
        promise: Promise::Found(Expected {
            kind: Kind::PolicyEscape,
            severity: Severity::Leak,
            bound_device: None,
            egress_interface: "eth1",
        }),
        lesson: "The route via fab0 went with the link, and the default route took over at once. Each send succeeded; on the \
                 card, only pinif reported it.",
    },
    Scene {
        title: "the fix",
        action: "fab0 is still down. fabricd applies pinif's fix: it binds that socket to the device fab0, and sends 3 more.",
        before: None,
        step: Step::Fixed,
        promise: Promise::Refused,
        lesson: "A bound socket fails where it would have leaked.",
    },
];
