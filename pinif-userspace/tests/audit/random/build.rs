//! A topology in namespaces of its own: the card, one behind each leg, and the container.

mod multipath;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{IpAddr, UdpSocket};
use std::process::{Command, Stdio};

use ipnet::IpNet;
use pinif_lab::{Device, LinkKind, Namespace, Route};

use super::topology::{
    BEYOND, BEYONDS, CONTAINER, How, Id, Kind, SERVER, SILENT, State, Tap, Topology, address, world,
};

/// A topology that was built.
pub struct Built {
    pub card: Namespace,
    /// What is behind each leg; of several that lead to the same host, behind the first.
    far: BTreeMap<Id, Namespace>,
    pub container: Option<Namespace>,
    /// The card's own port of datagrams is open, so that it answers none with an error.
    _discard: UdpSocket,
}

/// Whoever is in no namespace.
const NOBODY: [u8; 6] = [0x02, 0, 0, 0, 0, 0x77];

pub fn build(topology: &Topology) -> Built {
    let card = Namespace::new("card").expect("a namespace");
    let discard = card.run(|| UdpSocket::bind("[::]:9")).expect("the card");
    let mut built = Built {
        card,
        far: BTreeMap::new(),
        container: None,
        _discard: discard.expect("a free port"),
    };
    for id in topology.ids() {
        built.make(topology, id);
    }
    for id in topology.ids() {
        if let Kind::Bridge { ports, .. } | Kind::Vrf(ports) = topology.kind(id) {
            for &port in ports {
                let names = (topology.name(port), topology.name(id));
                built.card.enslave(names.0, names.1).expect("a port");
            }
        }
    }
    built.set_up(topology);
    for id in topology.ids() {
        built.settle_in(topology, id);
    }
    built.route(topology);
    built.copy(topology);
    if let Some(multipath) = &topology.multipath {
        multipath::set(&built, topology, multipath);
    }
    built
}

/// The far end of a leg.
fn far_end(leg: Id) -> String {
    format!("far{leg}")
}

/// The number of a device's MAC address; its other end has the next.
fn mac(id: Id) -> u8 {
    0x10 + 2 * id as u8
}

fn net(net: u8, host: u8, v6: bool) -> IpNet {
    let length = if v6 { 64 } else { 24 };
    IpNet::new(address(net, host, v6), length).expect("a network")
}

/// The leg that a device sends by, which is one that answers.
fn leg_below(topology: &Topology, id: Id) -> Option<Id> {
    match topology.kind(id) {
        Kind::Leg(_) => Some(id),
        Kind::MacVlan(over) | Kind::Vlan(over) | Kind::IpVlan(over) => Some(*over),
        Kind::Bridge { ports, .. } => ports.first().copied(),
        Kind::Host(plug) => match topology.kind(*plug) {
            Kind::Plug(bridge) => leg_below(topology, *bridge),
            _ => None,
        },
        _ => None,
    }
}

impl Built {
    /// What is behind a leg.
    pub fn host(&self, topology: &Topology, leg: Id) -> &Namespace {
        &self.far[&topology.host(leg)]
    }

    fn make(&mut self, topology: &Topology, id: Id) {
        let (card, name) = (&self.card, topology.name(id));
        let add = |device: Device<'_>| card.add_device(device).expect("a device");
        match topology.kind(id) {
            Kind::Leg(_) => {
                let far = self.far.entry(topology.host(id));
                let far = far.or_insert_with(|| Namespace::new("far").expect("a namespace"));
                card.veth(name, far, &far_end(id), mac(id))
                    .expect("a cable");
            }
            Kind::Port => {
                let container = Namespace::new("box").expect("a namespace");
                card.veth(name, &container, "eth0", mac(id))
                    .expect("a cable");
                self.container = Some(container);
            }
            // Both ends are made with the second.
            Kind::Plug(_) => (),
            Kind::Host(plug) => {
                let plug = topology.name(*plug);
                card.veth(name, card, plug, mac(id)).expect("a cable");
            }
            Kind::MacVlan(over) => {
                add(Device::new(LinkKind::MacVlan, name).over(topology.name(*over)));
            }
            Kind::Vlan(over) => {
                let device = Device::new(LinkKind::Vlan, name).over(topology.name(*over));
                add(device.id(100));
            }
            Kind::IpVlan(over) => {
                add(Device::new(LinkKind::IpVlan, name).over(topology.name(*over)));
            }
            Kind::Bridge { .. } => add(Device::new(LinkKind::Bridge, name)),
            Kind::Vrf(_) => {
                let table = u16::try_from(topology.table(id)).expect("few devices");
                add(Device::new(LinkKind::Vrf, name).id(table));
            }
            Kind::Dummy => add(Device::new(LinkKind::Dummy, name)),
            Kind::Ifb => add(Device::new(LinkKind::Ifb, name)),
        }
    }

    /// Sets all up, each after what it is on. None takes part in multicast: a router would report its groups.
    fn set_up(&self, topology: &Topology) {
        let card = &self.card;
        for id in topology.ids() {
            if matches!(topology.kind(id), Kind::Leg(State::Up | State::Down)) {
                let far = self.host(topology, id);
                far.set_up(&far_end(id)).expect("a far end");
            }
        }
        if let Some(container) = &self.container {
            container.set_up("eth0").expect("the container");
        }
        for id in topology.ids() {
            let name = topology.name(id);
            card.set_multicast(name, false).expect("a device");
            if *topology.kind(id) != Kind::Leg(State::Down) {
                card.set_up(name).expect("a device");
            }
        }
        for id in topology.ids() {
            // Of the others the state stays unknown, and they send.
            if matches!(
                topology.kind(id),
                Kind::Leg(State::Up)
                    | Kind::MacVlan(_)
                    | Kind::Vlan(_)
                    | Kind::Bridge { .. }
                    | Kind::Host(_)
                    | Kind::Plug(_)
                    | Kind::Port
            ) {
                card.wait_until_operational(topology.name(id))
                    .expect("it is up");
            }
        }
        for (setting, value) in [
            ("ipv4/ip_forward", "1"),
            ("ipv4/conf/all/send_redirects", "0"),
            ("ipv6/conf/all/forwarding", "1"),
        ] {
            card.set_sysctl(setting, value).expect("IP is there");
        }
    }

    /// Gives a device its addresses, and its neighbours.
    fn settle_in(&self, topology: &Topology, id: Id) {
        let (card, name) = (&self.card, topology.name(id));
        let Some(number) = topology.devices[id].net else {
            return;
        };
        let is_down = *topology.kind(id) == Kind::Leg(State::Down);
        for v6 in [false, true] {
            // IPv6 has no addresses on a link that is down.
            if !(is_down && v6) {
                card.add_address(name, net(number, 1, v6))
                    .expect("an address");
            }
        }
        if is_down {
            return;
        }
        let leg = leg_below(topology, id);
        let mac = leg.map_or(NOBODY.to_vec(), |leg| {
            let far = self.host(topology, leg);
            far.mac(&far_end(leg)).expect("a MAC address")
        });
        self.introduce(topology, id, &mac);
        let here = card.mac(name).expect("a MAC address");
        match topology.kind(id) {
            Kind::Leg(State::Up) => {
                let is_router = topology.host(id) == id;
                let far = self.host(topology, id);
                self.serve(far, number, &far_end(id), &here, is_router);
            }
            Kind::MacVlan(over) => {
                let far = self.host(topology, *over);
                self.serve(far, number, &far_end(*over), &here, false);
            }
            Kind::Port => {
                let container = self.container.as_ref().expect("it was made");
                self.serve(container, CONTAINER, "eth0", &here, true);
            }
            Kind::Bridge {
                learned: Some(port),
                ..
            } => {
                let text: Vec<_> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
                let (mac, port) = (text.join(":"), topology.name(*port));
                run(
                    card,
                    "bridge",
                    &format!("fdb add {mac} dev {port} master static"),
                );
            }
            _ => (),
        }
    }

    /// Names the neighbours of a device for good: its own, and all hosts that a socket may take for such.
    fn introduce(&self, topology: &Topology, id: Id, mac: &[u8]) {
        let name = topology.name(id);
        let text: Vec<_> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        let mac = text.join(":");
        let own = topology.devices[id].net.expect("it has addresses");
        let nets = topology.devices.iter().filter_map(|device| device.net);
        let silent = nets
            .chain(BEYOND..BEYOND + BEYONDS)
            .map(|net| address(net, SILENT, false));
        let hosts = [SILENT, SERVER].map(|host| address(own, host, true));
        let all = silent
            .chain(hosts)
            .chain([address(own, SERVER, false), world(false)]);
        let lines = all.map(|host| format!("neigh replace {host} lladdr {mac} dev {name}\n"));
        let lines: String = lines.collect();
        batch(&self.card, &lines);
    }

    /// A host on a network of the card's, and whether the card is its router.
    fn serve(&self, host: &Namespace, number: u8, link: &str, card: &[u8], is_router: bool) {
        for v6 in [false, true] {
            host.add_address(link, net(number, SERVER, v6))
                .expect("an address");
            let router: IpAddr = address(number, 1, v6);
            host.add_neighbour(link, router, card).expect("a neighbour");
            if is_router {
                host.add_route(Route::new(everything(v6), link).via(router))
                    .expect("a route");
            }
        }
    }

    fn route(&self, topology: &Topology) {
        let gateway = |id: Id, v6: bool| {
            let net = topology.devices[id].net.expect("it has addresses");
            address(net, SILENT, v6)
        };
        for v6 in [false, true] {
            let by = topology.default;
            let route = Route::new(everything(v6), topology.name(by)).via(gateway(by, v6));
            self.card.add_route(route).expect("a default route");
            for &(number, by) in &topology.routes {
                let length = if v6 { 32 } else { 16 };
                let to = IpNet::new(address(number, 0, v6), length).expect("a network");
                let route = Route::new(to, topology.name(by)).via(gateway(by, v6));
                let route = match topology.domain(by) {
                    Some(domain) => route.table(topology.table(domain)),
                    None => route,
                };
                self.card.add_route(route).expect("a route");
            }
        }
    }

    fn copy(&self, topology: &Topology) {
        let card = &self.card;
        for Tap { how, on, to } in &topology.taps {
            let (on, to) = (topology.name(*on), (topology.name(*to), *to));
            let tc = |direction: &str, action: &str| {
                run(card, "tc", &format!("qdisc add dev {on} clsact"));
                let filter =
                    format!("filter add dev {on} {direction} protocol all u32 match u32 0 0");
                run(
                    card,
                    "tc",
                    &format!("{filter} action mirred egress {action} dev {}", to.0),
                );
            };
            match how {
                How::Mirror => tc("egress", "mirror"),
                How::Redirect | How::Shape => tc("egress", "redirect"),
                How::MirrorArriving => tc("ingress", "mirror"),
                How::ShapeArriving => tc("ingress", "redirect"),
                How::Dup => {
                    run(card, "nft", "add table netdev lab");
                    let hook = format!("{{ type filter hook egress device {on} priority 0 ; }}");
                    run(card, "nft", &format!("add chain netdev lab {on} {hook}"));
                    let rule = format!("udp dport 9 dup to {}", to.0);
                    run(card, "nft", &format!("add rule netdev lab {on} {rule}"));
                }
                How::Tee => {
                    let net = topology.devices[to.1].net.expect("it has addresses");
                    let gateway = address(net, SILENT, false);
                    run(card, "nft", "add table ip tee");
                    let hook = "{ type filter hook postrouting priority 0 ; }";
                    run(card, "nft", &format!("add chain ip tee out {hook}"));
                    let rule = format!("oifname {on} udp dport 9 dup to {gateway} device {}", to.0);
                    run(card, "nft", &format!("add rule ip tee out {rule}"));
                }
            }
        }
        if topology.masquerades && topology.container().is_some() {
            run(card, "nft", "add table ip nat");
            let hook = "{ type nat hook postrouting priority 100 ; }";
            run(card, "nft", &format!("add chain ip nat out {hook}"));
            run(
                card,
                "nft",
                "add rule ip nat out ip saddr 10.7.0.0/24 masquerade",
            );
        }
    }
}

fn everything(v6: bool) -> IpNet {
    let text = if v6 { "::/0" } else { "0.0.0.0/0" };
    text.parse().expect("a network")
}

/// Runs lines of iproute2's in a namespace.
fn batch(namespace: &Namespace, lines: &str) {
    pipe(namespace, "ip", "-batch -", lines);
}

/// Runs a program in a namespace that reads what to do.
fn pipe(namespace: &Namespace, program: &str, arguments: &str, input: &str) {
    let output = namespace.run(|| {
        let mut command = Command::new(program);
        command
            .args(arguments.split_whitespace())
            .stdin(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        child.wait_with_output()
    });
    let output = output.expect("a namespace").expect("it is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{input}: {error}");
}

/// Runs a program on the card.
fn run(card: &Namespace, program: &str, arguments: &str) {
    let output = card.run(|| {
        Command::new(program)
            .args(arguments.split_whitespace())
            .output()
    });
    let output = output.expect("the card").expect("it is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {error}");
}
