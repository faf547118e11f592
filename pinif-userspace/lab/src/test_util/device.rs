//! Devices that rest on others, or lead through them: which kinds there are, and how one is made.

use std::net::Ipv4Addr;

use anyhow::Result;
use netlink_packet_route::link::{
    BondMode, InfoData, InfoKind, InfoNetkit, IpVlanMode, LinkFlags, LinkMessage, MacVlanMode,
    NetkitMode,
};
use pinif_ebpf::key::IfIndex;
use rtnetlink::{
    LinkBond, LinkBridge, LinkDummy, LinkGeneve, LinkGre, LinkHsr, LinkIpIp, LinkIpVlan,
    LinkMacVlan, LinkMessageBuilder, LinkNetkit, LinkSit, LinkTeam, LinkUnspec, LinkVlan, LinkVrf,
    LinkVxlan, LinkWireguard, LinkXfrm,
};

use crate::Namespace;
use crate::link::local_mac;

/// The port that IANA gave to VXLAN (RFC 7348).
const VXLAN_PORT: u16 = 4789;

/// What a kernel may lack, being a module of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// Several links as one.
    Bond,
    /// A switch.
    Bridge,
    /// A device that drops all.
    Dummy,
    /// Ethernet in UDP (RFC 8926).
    Geneve,
    /// IP in IP, with a header between (RFC 2784).
    Gre,
    /// Ethernet in the same.
    GreTap,
    /// Each frame on two links (IEC 62439-3).
    Hsr,
    /// Where tc sends packets to be shaped; they go on from where they were.
    Ifb,
    /// IPv4 in IPv4 (RFC 2003).
    IpIp,
    /// A further IP address on another link.
    IpVlan,
    /// A further MAC address on another link.
    MacVlan,
    /// A pair whose ends are BPF programs' own.
    Netkit,
    /// IPv6 in IPv4 (RFC 4213).
    Sit,
    /// Several links as one, as userspace wants it.
    Team,
    /// IEEE 802.1Q on another link.
    Vlan,
    /// A routing domain.
    Vrf,
    /// Ethernet in UDP (RFC 7348).
    Vxlan,
    /// An encrypted tunnel.
    WireGuard,
    /// IPsec as an interface.
    Xfrm,
}

impl LinkKind {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Bond,
        Self::Bridge,
        Self::Dummy,
        Self::Geneve,
        Self::Gre,
        Self::GreTap,
        Self::Hsr,
        Self::Ifb,
        Self::IpIp,
        Self::IpVlan,
        Self::MacVlan,
        Self::Netkit,
        Self::Sit,
        Self::Team,
        Self::Vlan,
        Self::Vrf,
        Self::Vxlan,
        Self::WireGuard,
        Self::Xfrm,
    ];

    /// The name, as `ip link add … type` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bond => "bond",
            Self::Bridge => "bridge",
            Self::Dummy => "dummy",
            Self::Geneve => "geneve",
            Self::Gre => "gre",
            Self::GreTap => "gretap",
            Self::Hsr => "hsr",
            Self::Ifb => "ifb",
            Self::IpIp => "ipip",
            Self::IpVlan => "ipvlan",
            Self::MacVlan => "macvlan",
            Self::Netkit => "netkit",
            Self::Sit => "sit",
            Self::Team => "team",
            Self::Vlan => "vlan",
            Self::Vrf => "vrf",
            Self::Vxlan => "vxlan",
            Self::WireGuard => "wireguard",
            Self::Xfrm => "xfrm",
        }
    }

    /// Whether this kernel has such links: makes one, in a namespace of its own. Another failure than the lack of them
    /// is an error.
    pub fn is_available(self) -> Result<bool> {
        let scratch = Namespace::new("probe")?;
        scratch.veth("lower0", &scratch, "lower1", 0)?;
        let device = Device::new(self, "upper0")
            .id(1)
            .between(Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let device = match self {
            Self::Vlan | Self::MacVlan | Self::IpVlan => device.over("lower0"),
            Self::Hsr => device.over("lower0").and_over("lower1"),
            _ => device,
        };
        match scratch.add_device(device) {
            Ok(()) => Ok(true),
            Err(error) => match error.downcast_ref() {
                Some(rtnetlink::Error::NetlinkError(refused))
                    if refused.raw_code() == -libc::EOPNOTSUPP =>
                {
                    Ok(false)
                }
                _ => Err(error),
            },
        }
    }
}

/// A device that is to be made, down at first: `ip link add NAME type KIND …`. [`Namespace::add_device`] makes it.
#[derive(Clone, Copy, Debug)]
pub struct Device<'a> {
    kind: LinkKind,
    name: &'a str,
    lower: Option<&'a str>,
    second: Option<&'a str>,
    id: u16,
    ends: Option<(Ipv4Addr, Ipv4Addr)>,
    bond: BondMode,
    ipvlan: IpVlanMode,
}

impl<'a> Device<'a> {
    /// One of this kind and name. A bond is an active-backup one, an ipvlan of layer 2, a macvlan a bridge.
    pub fn new(kind: LinkKind, name: &'a str) -> Self {
        Self {
            kind,
            name,
            lower: None,
            second: None,
            id: 0,
            ends: None,
            bond: BondMode::ActiveBackup,
            ipvlan: IpVlanMode::L2,
        }
    }

    /// The link that it rests on, or that a tunnel's packets must leave by (`dev`). A bond's or bridge's ports are put
    /// under it later, by [`Namespace::enslave`].
    pub fn over(self, lower: &'a str) -> Self {
        Self {
            lower: Some(lower),
            ..self
        }
    }

    /// The second of the two links that HSR sends by.
    pub fn and_over(self, second: &'a str) -> Self {
        Self {
            second: Some(second),
            ..self
        }
    }

    /// A VLAN's tag, a VRF's table, a VXLAN's or GENEVE's network, an xfrm interface's `if_id`.
    pub fn id(self, id: u16) -> Self {
        Self { id, ..self }
    }

    /// The two ends of a tunnel, this one first.
    pub fn between(self, local: Ipv4Addr, remote: Ipv4Addr) -> Self {
        Self {
            ends: Some((local, remote)),
            ..self
        }
    }

    /// How a bond chooses among its ports.
    pub fn bond_mode(self, bond: BondMode) -> Self {
        Self { bond, ..self }
    }

    /// The layer that an ipvlan works on.
    pub fn ipvlan_mode(self, ipvlan: IpVlanMode) -> Self {
        Self { ipvlan, ..self }
    }

    fn message(&self, lower: Option<IfIndex>, second: Option<IfIndex>) -> LinkMessage {
        let name = self.name;
        let number = lower.map_or(0, |lower| lower.0);
        let mut message = match self.kind {
            LinkKind::Bond => LinkBond::new(name).mode(self.bond).miimon(100).build(),
            LinkKind::Bridge => LinkMessageBuilder::<LinkBridge>::new(name)
                .mcast_snooping(false)
                .build(),
            LinkKind::Dummy => LinkMessageBuilder::<LinkDummy>::new(name).build(),
            LinkKind::Geneve => {
                let device = LinkGeneve::new(name, self.id.into());
                match self.ends {
                    Some((_, remote)) => device.remote(remote).build(),
                    None => device.build(),
                }
            }
            LinkKind::Gre => self.gre(LinkGre::new(name), lower),
            LinkKind::GreTap => self.gre(LinkGre::new_gretap(name), lower),
            LinkKind::Hsr => LinkHsr::new(name)
                .port1(number)
                .port2(second.map_or(0, |second| second.0))
                .build(),
            LinkKind::Ifb => LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Ifb)
                .name(name.to_owned())
                .build(),
            LinkKind::IpIp => {
                let mut device = LinkIpIp::new(name);
                if let Some((local, remote)) = self.ends {
                    device = device.local(local).remote(remote);
                }
                match lower {
                    Some(lower) => device.dev(lower.0).build(),
                    None => device.build(),
                }
            }
            LinkKind::IpVlan => LinkIpVlan::new(name, number, self.ipvlan).build(),
            LinkKind::MacVlan => LinkMacVlan::new(name, number, MacVlanMode::Bridge).build(),
            LinkKind::Netkit => {
                LinkNetkit::new(name, &format!("{name}-peer"), NetkitMode::L2).build()
            }
            LinkKind::Sit => {
                let mut device = LinkSit::new(name);
                if let Some((local, remote)) = self.ends {
                    device = device.local(local).remote(remote);
                }
                match lower {
                    Some(lower) => device.dev(lower.0).build(),
                    None => device.build(),
                }
            }
            LinkKind::Team => LinkTeam::new(name).build(),
            LinkKind::Vlan => LinkVlan::new(name, number, self.id).build(),
            LinkKind::Vrf => LinkVrf::new(name, self.id.into()).build(),
            LinkKind::Vxlan => self.vxlan(lower),
            LinkKind::WireGuard => LinkWireguard::new(name).build(),
            LinkKind::Xfrm => {
                let device = LinkMessageBuilder::<LinkXfrm>::new(name).if_id(self.id.into());
                match lower {
                    Some(lower) => device.dev(lower.0).build(),
                    None => device.build(),
                }
            }
        };
        // As a veth of this laboratory: it resolves no addresses, and reports no groups.
        message.header.flags |= LinkFlags::Noarp;
        message.header.change_mask |= LinkFlags::Noarp;
        message
    }

    fn gre(&self, mut device: LinkMessageBuilder<LinkGre>, lower: Option<IfIndex>) -> LinkMessage {
        if let Some((local, remote)) = self.ends {
            device = device.local(local).remote(remote);
        }
        if let Some(lower) = lower {
            device = device.dev(lower.0);
        }
        device.build()
    }

    fn vxlan(&self, lower: Option<IfIndex>) -> LinkMessage {
        let mut device = LinkVxlan::new(self.name, self.id.into()).port(VXLAN_PORT);
        if let Some((local, remote)) = self.ends {
            device = device.local(local).remote(remote);
        }
        if let Some(lower) = lower {
            device = device.dev(lower.0);
        }
        device.build()
    }
}

impl Namespace {
    /// Makes a device. Its id is the only thing that some kinds have, and they take no notice of the rest.
    pub fn add_device(&self, device: Device<'_>) -> Result<()> {
        let index = |link: Option<&str>| link.map(|link| self.index(link)).transpose();
        let message = device.message(index(device.lower)?, index(device.second)?);
        self.add_link(device.name, message)
    }

    /// Makes a pair of netkit devices, `name` here and `far_name` in `far`, as [`Namespace::veth`] makes one of veths.
    pub fn netkit(&self, name: &str, far: &Namespace, far_name: &str, mac: u8) -> Result<()> {
        let far_end = LinkMessageBuilder::<LinkUnspec>::new()
            .name(far_name)
            .address(local_mac(mac.wrapping_add(1)))
            .arp(false)
            .setns_by_fd(far.raw_fd())
            .build();
        let pair = LinkNetkit::new(name, far_name, NetkitMode::L2)
            .address(local_mac(mac))
            .arp(false)
            .set_info_data(InfoData::Netkit(vec![
                InfoNetkit::Mode(NetkitMode::L2),
                InfoNetkit::Peer(far_end),
            ]))
            .build();
        self.add_link(name, pair)
    }
}
