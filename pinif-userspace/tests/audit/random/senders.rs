//! Who sends in a topology, each with a known number of packets.

use super::generate::Dice;
use super::oracle;
use super::topology::{
    BEYOND, BEYONDS, From, How, Id, Kind, Protocol, Sender, State, Target, Topology,
};

/// Some random senders.
pub fn choose(topology: &Topology, dice: &mut Dice) -> Vec<Sender> {
    let wanted = 6 + dice.below(6);
    let mut senders = Vec::new();
    // Most of what is drawn at random is of no use.
    for _ in 0..2000 {
        let sender = draw(topology, dice);
        if senders.len() < wanted && is_possible(topology, &sender) {
            senders.push(sender);
        }
    }
    senders
}

fn draw(topology: &Topology, dice: &mut Dice) -> Sender {
    let ids: Vec<_> = topology.ids().collect();
    let mut any = |percent| dice.chance(percent).then(|| ids[dice.below(ids.len())]);
    let (bound, source, names) = (any(55), any(30), any(25));
    let (on, far) = (any(100).unwrap_or(0), any(100).unwrap_or(0));
    let from = match dice.below(10) {
        0 => From::Far(far),
        1 | 2 => From::Container,
        _ => From::Card,
    };
    let of_card = from == From::Card;
    let protocol = match dice.below(10) {
        0 => Protocol::Tcp,
        1 => Protocol::Ping,
        2 => Protocol::Raw,
        _ => Protocol::Udp,
    };
    Sender {
        from,
        protocol,
        v6: dice.chance(35),
        bound: bound.filter(|_| of_card),
        source: source.filter(|_| of_card),
        // Few, so that what is translated has the port of another.
        port: [123, 4000, 4001][dice.below(3)],
        names: names.filter(|_| of_card),
        to: match dice.below(10) {
            0..4 => Target::OnLink(on),
            4 | 5 => Target::Beyond(BEYOND + dice.below(BEYONDS.into()) as u8),
            6 | 7 => Target::World,
            8 => Target::Local(on),
            _ => Target::Group,
        },
        // Of a connection, its packets are counted by the drivers.
        count: match protocol {
            Protocol::Tcp => 1,
            _ => 1 + dice.below(5) as u64,
        },
    }
}

/// Whether the kernel takes it as it is meant, and its packets can be known by number. What is left out here is not what pinif
/// must get right otherwise: it says what cannot be sent, or what the documentation says cannot be distinguished.
fn is_possible(topology: &Topology, sender: &Sender) -> bool {
    has_addresses(topology, sender)
        && is_in_its_domain(topology, sender)
        && is_sound(topology, sender)
        && match sender.from {
            From::Card => true,
            From::Container => topology.container().is_some() && is_forwarded(topology, sender),
            From::Far(leg) => {
                let taps = &topology.taps;
                *topology.kind(leg) == Kind::Leg(State::Up)
                    && topology.devices[leg].net.is_some()
                    && topology.domain(leg).is_none()
                    // It would answer and send by any of its cables.
                    && topology.cable(leg).is_none()
                    // Its host sends by its own device, without a tag.
                    && taps.iter().all(|tap| tap.to != leg)
                    && (sender.to == Target::Local(leg) || is_forwarded(topology, sender))
                    && sender.protocol != Protocol::Tcp
            }
        }
}

/// What is named has addresses.
fn has_addresses(topology: &Topology, sender: &Sender) -> bool {
    let is_home = |id: Id| topology.devices[id].net.is_some() && *topology.kind(id) != Kind::Port;
    let is_down = |id: Id| *topology.kind(id) == Kind::Leg(State::Down);
    let is_domain = |id: Id| matches!(topology.kind(id), Kind::Vrf(_));
    let to = match sender.to {
        Target::OnLink(id) | Target::Local(id) => Some(id),
        _ => None,
    };
    let homes = [sender.source, sender.names, to];
    homes.into_iter().flatten().all(is_home)
        && sender.bound.is_none_or(|id| is_home(id) || is_domain(id))
        // A link that goes down loses its IPv6 addresses, and keeps those of IPv4 (`addrconf_ifdown`).
        && !(sender.v6 && [sender.source, to].into_iter().flatten().any(is_down))
}

/// An address of a domain is one of the domain's sockets alone (`inet_addr_type_table`).
fn is_in_its_domain(topology: &Topology, sender: &Sender) -> bool {
    let domain = |id: Id| match topology.kind(id) {
        Kind::Vrf(_) => Some(id),
        _ => topology.domain(id),
    };
    let of_socket = sender.bound.and_then(domain);
    let is_elsewhere = |id: Option<Id>| id.is_some_and(|id| domain(id) != of_socket);
    let is_local = matches!(sender.to, Target::Local(_));
    !is_elsewhere(sender.source)
        && (of_socket.is_none()
            || (sender.names.is_none() && sender.to != Target::Group && !is_local))
        && !matches!(sender.to, Target::Local(id) if domain(id).is_some())
}

fn is_sound(topology: &Topology, sender: &Sender) -> bool {
    let is_ipvlan = |id: Id| matches!(topology.kind(id), Kind::IpVlan(_));
    let named = sender.names.or(sender.bound);
    match sender.to {
        Target::Local(id) => {
            // The host answers other protocols.
            sender.protocol == Protocol::Udp
                && sender.names.is_none()
                && sender.bound.is_none_or(|bound| bound == id)
        }
        Target::Group => {
            matches!(sender.from, From::Card)
                && matches!(sender.protocol, Protocol::Udp | Protocol::Raw)
                // Without a device, the first multicast route of IPv6 is taken.
                && (!sender.v6 || named.is_some())
                // An ipvlan leaves them to a work queue (`ipvlan_multicast_enqueue`).
                && !named.or(sender.source).or(Some(topology.default)).is_some_and(is_ipvlan)
        }
        Target::OnLink(id) if sender.protocol == Protocol::Tcp => is_served(topology, sender, id),
        Target::OnLink(_) | Target::Beyond(_) | Target::World => {
            sender.protocol != Protocol::Tcp
                // `IPV6_PKTINFO` against the bound device is refused.
                && (!sender.v6 || sender.names.is_none())
        }
    }
}

/// Whether a connection's packets can be known by number.
fn is_served(topology: &Topology, sender: &Sender, on: Id) -> bool {
    let leg = match topology.kind(on) {
        Kind::Leg(State::Up) => on,
        Kind::MacVlan(over) => *over,
        _ => return false,
    };
    let is_apart = |tap: &super::topology::Tap| {
        // An answer is no packet of the connection's that leaves.
        let arriving = matches!(tap.how, How::MirrorArriving | How::ShapeArriving);
        tap.on == leg && (arriving || tap.how == How::Redirect)
    };
    sender.from == From::Card
        && (sender.source, sender.names) == (None, None)
        && sender.bound.is_none_or(|bound| bound == on)
        && topology.domain(on).is_none()
        && !topology.taps.iter().any(is_apart)
        // What is demanded of its process is not demanded of the kernel, which ends it; and its answers are held to the policy too.
        && oracle::is_free(topology, sender)
}

/// Whether the card forwards it, and elsewhere than where it came from.
fn is_forwarded(topology: &Topology, sender: &Sender) -> bool {
    let Some(by) = oracle::leaves(topology, sender) else {
        return false;
    };
    let below = oracle::reaches(topology, by);
    let is_translated = topology.masquerades && !sender.v6 && sender.from == From::Container;
    let is_back = matches!(sender.from, From::Far(leg) if below.contains(&leg) || by == leg);
    // What has no ports cannot be translated twice to the same ends (`nf_nat_l4proto_unique_tuple`).
    let clashes = is_translated && sender.protocol == Protocol::Raw;
    let is_elsewhere = !matches!(sender.to, Target::Local(_) | Target::Group);
    is_elsewhere && !is_back && !clashes && sender.protocol != Protocol::Tcp
}
