//! A random topology of a card, as it is to be built: its devices, where its routes lead, what copies its packets, its policy, and who sends.

use std::net::IpAddr;

/// The place of a device in [`Topology::devices`].
pub type Id = usize;

/// All of a card. Its debug text is what a failure prints, with the seed.
#[derive(Clone, Debug)]
pub struct Topology {
    pub devices: Vec<Device>,
    /// The device of the default routes.
    pub default: Id,
    /// Networks beyond the links, and the devices that lead to them.
    pub routes: Vec<(u8, Id)>,
    pub taps: Vec<Tap>,
    /// A container behind the first device of [`Kind::Port`]; whether what it sends over IPv4 is masqueraded.
    pub masquerades: bool,
    /// A pair's other end gets packets with their socket.
    pub pairs_keep_sockets: bool,
    pub policy: Policy,
    /// Multipath TCP, where the namespace is set to make more than one subflow.
    pub multipath: Option<Multipath>,
    pub senders: Vec<Sender>,
}

#[derive(Clone, Debug)]
pub struct Device {
    pub name: String,
    pub kind: Kind,
    /// The number of its network: its addresses are `10.NET.0.1` and `fd00:NET::1`.
    pub net: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A cable to a namespace of its own.
    Leg(State),
    MacVlan(Id),
    Vlan(Id),
    IpVlan(Id),
    /// Its ports in the order in which they were put under it, and the one behind which all hosts are known to be, if any.
    Bridge {
        ports: Vec<Id>,
        learned: Option<Id>,
    },
    /// The host's own leg into a bridge, by this port of it.
    Host(Id),
    /// The other end of the host's leg, a port of this bridge.
    Plug(Id),
    /// A routing domain of these legs.
    Vrf(Vec<Id>),
    Dummy,
    Ifb,
    /// The card's end of a container's cable.
    Port,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Up,
    Down,
    /// The other end is down.
    NoCarrier,
}

/// Something that takes packets of `on` to `to`.
#[derive(Clone, Debug)]
pub struct Tap {
    pub how: How,
    pub on: Id,
    pub to: Id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// `tc … egress … mirred egress mirror`.
    Mirror,
    /// The same with `redirect`.
    Redirect,
    /// The same of what arrives, `mirror`.
    MirrorArriving,
    /// All that leaves is redirected to an IFB, which gives it back.
    Shape,
    /// The same of what arrives.
    ShapeArriving,
    /// nft's `dup` at the egress hook of netdev, of UDP to port 9.
    Dup,
    /// nft's `dup to GATEWAY device`, of UDP over IPv4 to port 9, behind routing: what xtables calls TEE.
    Tee,
}

#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub zones: Vec<Zone>,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
pub struct Zone {
    pub devices: Vec<Id>,
    pub contained: bool,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub to: Vec<Prefix>,
    pub only_via: Vec<usize>,
    pub pinned: bool,
    /// An exception, which demands nothing.
    pub allows: bool,
}

/// What a rule's destination is: networks of both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// A link's own network, or one beyond the links.
    Net(u8),
    /// All networks of links, and beyond.
    Inside,
}

/// A host that several cables lead to, and of which subflows the card's connections to it are made (ip-mptcp(8)).
#[derive(Clone, Debug)]
pub struct Multipath {
    /// The cables; the host's default route is by the first.
    pub cables: Vec<Id>,
    /// The family of all that is said here.
    pub v6: bool,
    /// The card's own endpoints, `subflow`.
    pub endpoints: Vec<Endpoint>,
    /// The devices on whose networks the host announces its address, `signal`.
    pub announced: Vec<Id>,
    /// The card connects to what is announced (`add_addr_accepted`).
    pub accepts: bool,
}

/// The address of a device.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    pub of: Id,
    /// `dev`: subflows are bound to the device.
    pub is_bound: bool,
}

#[derive(Clone, Debug)]
pub struct Sender {
    pub from: From,
    pub protocol: Protocol,
    pub v6: bool,
    /// `SO_BINDTODEVICE`.
    pub bound: Option<Id>,
    /// Whose address it is bound to.
    pub source: Option<Id>,
    pub port: u16,
    /// `IP_PKTINFO` of each packet, or `sin6_scope_id` of an IPv6 group.
    pub names: Option<Id>,
    pub to: Target,
    pub count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Card,
    Container,
    /// A host behind a leg.
    Far(Id),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Udp,
    Raw,
    Ping,
    Tcp,
    /// `IPPROTO_MPTCP`; of the sender of a subflow, that the kernel makes it.
    Mptcp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host on the device's network.
    OnLink(Id),
    /// A host on a network beyond the links.
    Beyond(u8),
    /// A host that only the default route leads to.
    World,
    /// The card's own address on this device.
    Local(Id),
    /// A group.
    Group,
}

/// Networks beyond the links have this number, or one of the next.
pub const BEYOND: u8 = 100;
/// How many of them there may be.
pub const BEYONDS: u8 = 3;
/// The network of the container.
pub const CONTAINER: u8 = 7;
/// A host that takes all and answers nothing.
pub const SILENT: u8 = 9;
/// A host that serves connections.
pub const SERVER: u8 = 2;
/// The port of all datagrams.
pub const DISCARD: u16 = 9;
/// The port of all connections. Each of Multipath TCP has one of the next, by which its subflows are counted.
pub const SERVICE: u16 = 7000;

/// A host's address in a network.
pub fn address(net: u8, host: u8, v6: bool) -> IpAddr {
    let text = if v6 {
        format!("fd00:{net}::{host}")
    } else {
        format!("10.{net}.0.{host}")
    };
    text.parse().expect("an address")
}

/// A host of the world.
pub fn world(v6: bool) -> IpAddr {
    let text = if v6 { "2001:db8:f::9" } else { "203.0.113.9" };
    text.parse().expect("an address")
}

impl Topology {
    pub fn name(&self, id: Id) -> &str {
        &self.devices[id].name
    }

    pub fn kind(&self, id: Id) -> &Kind {
        &self.devices[id].kind
    }

    pub fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        0..self.devices.len()
    }

    /// The domain that a leg is in.
    pub fn domain(&self, leg: Id) -> Option<Id> {
        self.ids()
            .find(|&id| matches!(self.kind(id), Kind::Vrf(legs) if legs.contains(&leg)))
    }

    pub fn container(&self) -> Option<Id> {
        self.ids().find(|&id| *self.kind(id) == Kind::Port)
    }

    /// The leg that leads where a leg's other end is: the first of several to the same host.
    pub fn host(&self, leg: Id) -> Id {
        match &self.multipath {
            Some(multipath) if multipath.cables.contains(&leg) => multipath.cables[0],
            _ => leg,
        }
    }

    /// The leg that a device sends by, if it is one that leads to the host of several cables.
    pub fn cable(&self, id: Id) -> Option<Id> {
        let leg = match self.kind(id) {
            Kind::MacVlan(over) => *over,
            _ => id,
        };
        let cables = &self.multipath.as_ref()?.cables;
        cables.contains(&leg).then_some(leg)
    }

    /// The devices on whose networks that host has addresses.
    pub fn served(&self) -> impl Iterator<Item = Id> + '_ {
        let has_net = |&id: &Id| self.devices[id].net.is_some();
        self.ids()
            .filter(has_net)
            .filter(|&id| self.cable(id).is_some())
    }

    /// A table of its own for each domain.
    pub fn table(&self, domain: Id) -> u32 {
        1000 + domain as u32
    }

    /// Where a sender's packets go to.
    pub fn destination(&self, sender: &Sender) -> IpAddr {
        let v6 = sender.v6;
        let net = |id: Id| self.devices[id].net.expect("it has addresses");
        let host = match sender.protocol {
            Protocol::Tcp | Protocol::Mptcp => SERVER,
            Protocol::Udp | Protocol::Raw | Protocol::Ping => SILENT,
        };
        match sender.to {
            Target::OnLink(id) => address(net(id), host, v6),
            Target::Beyond(number) => address(number, host, v6),
            Target::Local(id) => address(net(id), 1, v6),
            Target::World => world(v6),
            Target::Group if v6 => "ff02::1:3".parse().expect("an address"),
            Target::Group => "239.1.2.3".parse().expect("an address"),
        }
    }
}
