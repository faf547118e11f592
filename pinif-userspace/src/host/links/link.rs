//! An interface.

use std::{collections::BTreeSet, net::IpAddr};

use pinif_ebpf::{intent::Name, key::IfIndex, tunnel::Signature};

/// An interface, as the kernel last reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index in its namespace.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
    /// The same in the kernel's own bytes, which need not be text.
    pub kernel_name: Name,
    /// The kind of virtual device (`IFLA_INFO_KIND`: `veth`, `bond`, `vlan`, …); none for hardware and loopback.
    pub kind: Option<String>,
    /// Set up by the administrator (`IFF_UP`).
    pub up: bool,
    /// Up, and able to pass packets (`IFF_RUNNING`, RFC 2863's operational state).
    pub running: bool,
    /// A loopback device (`IFF_LOOPBACK`).
    pub loopback: bool,
    /// The bond, team, bridge or VRF that it belongs to (`IFLA_MASTER`).
    pub controller: Option<IfIndex>,
    /// The interface that it is stacked on (`IFLA_LINK`), where that is in the same namespace.
    pub lower: Option<IfIndex>,
    /// The other end of a pair (veth, netkit, vxcan), where that is in the same namespace.
    pub peer: Option<IfIndex>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The routing table of a VRF device (`IFLA_VRF_TABLE`).
    pub vrf_table: Option<u32>,
    /// The interfaces that an HSR or PRP device sends each frame by (`IFLA_HSR_SLAVE1`, …).
    pub ring: Vec<IfIndex>,
    /// An ipvlan that routes (modes `l3` and `l3s`): what it sends goes through the IP layer again on its way down.
    pub routes: bool,
    /// The headers of a tunnel's outer packets, whatever interface a route sends them by.
    pub outer: BTreeSet<Signature>,
    /// The source address of a tunnel's outer packets, where its settings have one (`local`).
    pub local: Option<IpAddr>,
}

impl Link {
    /// An interface with a name and nothing else: down, alone, of no kind.
    pub fn new(index: IfIndex, name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            index,
            kernel_name: Name::of(name.as_bytes()),
            name,
            kind: None,
            up: false,
            running: false,
            loopback: false,
            controller: None,
            lower: None,
            peer: None,
            mtu: 0,
            vrf_table: None,
            ring: Vec::new(),
            routes: false,
            outer: BTreeSet::new(),
            local: None,
        }
    }

    /// Whether nothing that it sends ever leaves the machine: addresses on it name the host, not an interface
    /// (router-id and service addresses).
    pub fn is_internal(&self) -> bool {
        self.loopback || self.kind.as_deref() == Some("dummy")
    }
    /// Whether nothing leaves the host by this interface as such: what it sends ends here, as on an IFB, from which it goes back to
    /// where it was (drivers/net/ifb.c), or goes on by another interface that is audited as well. On a VRF's own device a packet is either
    /// for this host or looked up again (`vrf_local_xmit`, `vrf_process_v4_outbound`).
    pub(super) fn ends_here(&self) -> bool {
        let kind = self.kind.as_deref();
        self.is_internal() || matches!(kind, Some("ifb" | "nlmon" | "vsockmon" | "vrf"))
    }

    /// Whether it is an IFB, which gives what it gets back to the interface that tc took it from (`ifb_ri_tasklet`).
    pub fn gives_back(&self) -> bool {
        self.kind.as_deref() == Some("ifb")
    }

    /// Whether it sends by its ports alone.
    pub(super) fn has_ports(&self) -> bool {
        matches!(self.kind.as_deref(), Some("bridge" | "bond" | "team"))
    }
}
