//! The random networks, and who sends in them.

use std::process::Command;

use pinif_lab::Chassis;

/// What differs between the networks.
#[derive(Debug)]
pub struct World {
    /// The scenario's name.
    pub name: &'static str,
    /// How many networks are looked at where nobody asks for more.
    pub seeds: u64,
    /// What stands before the arguments of ip(8).
    family: &'static str,
    routes: &'static [&'static str],
    selectors: &'static [&'static str],
    destinations: [&'static str; 3],
    own: [&'static str; 2],
    /// What forwards.
    settings: &'static [&'static str],
    /// The far end of fab0, for which the card forwards.
    peer: &'static str,
    /// fab0 is in it.
    pub vrf: Option<&'static str>,
}

const ROUTES: [&str; 8] = [
    "default via 192.0.2.2 dev eth1",
    "default via 10.0.0.2 dev fab0",
    "10.9.0.0/16 via 10.0.0.2 dev fab0",
    "10.9.0.0/16 via 192.0.2.2 dev eth1",
    "203.0.113.0/24 via 10.0.0.2 dev fab0",
    "203.0.113.0/24 via 192.0.2.2 dev eth1 src 10.0.0.1",
    "10.0.0.0/24 dev fab0",
    "10.0.0.0/24 via 192.0.2.2 dev eth1",
];

const SEVERAL: [&str; 6] = [
    "default nexthop via 192.0.2.2 dev eth1 nexthop via 10.0.0.2 dev fab0",
    "10.9.0.0/16 nexthop via 10.0.0.2 dev fab0 nexthop via 192.0.2.2 dev eth1 weight 2",
    "203.0.113.0/24 nexthop via 10.0.0.2 dev fab0 nexthop via 192.0.2.2 dev eth1",
    "10.9.0.0/16 via 192.0.2.2 dev eth1",
    "203.0.113.0/24 via 10.0.0.2 dev fab0",
    "default via 192.0.2.2 dev eth1",
];

const ROUTES_6: [&str; 11] = [
    "default via 2001:db8::2 dev eth1",
    "default via fd00::2 dev fab0",
    "fd00:9::/32 via fd00::2 dev fab0",
    "fd00:9::/32 via 2001:db8::2 dev eth1",
    "2001:db8:f::/48 via fd00::2 dev fab0",
    "2001:db8:f::/48 via 2001:db8::2 dev eth1 src fd00::1",
    "fd00::/64 dev fab0",
    "fd00::/64 via 2001:db8::2 dev eth1",
    "default nexthop via 2001:db8::2 dev eth1 nexthop via fd00::2 dev fab0",
    "fd00:9::/32 nexthop via fd00::2 dev fab0 nexthop via 2001:db8::2 dev eth1",
    "2001:db8:f::/48 nexthop via fd00::2 dev fab0 nexthop via 2001:db8::2 dev eth1",
];

const SELECTORS: [&str; 17] = [
    "fwmark 7",
    "not fwmark 7",
    "from 10.0.0.1",
    "from 192.0.2.1",
    "to 10.9.0.0/16",
    "to 203.0.113.0/24",
    "from 10.0.0.2",
    "not from 192.0.2.1",
    "uidrange 0-0",
    "uidrange 1000-1999",
    "not uidrange 0-0",
    "iif lo",
    "iif fab0",
    "ipproto udp dport 1-8",
    "ipproto udp dport 9",
    "tos 0x10",
    "from all",
];

const SELECTORS_6: [&str; 17] = [
    "fwmark 7",
    "not fwmark 7",
    "from fd00::1",
    "from 2001:db8::1",
    "to fd00:9::/32",
    "to 2001:db8:f::/48",
    "from fd00::2",
    "not from 2001:db8::1",
    "uidrange 0-0",
    "uidrange 1000-1999",
    "not uidrange 0-0",
    "iif lo",
    "iif fab0",
    "ipproto udp dport 1-8",
    "ipproto udp dport 9",
    "tos 0x10",
    "from all",
];

const SETTINGS: [&str; 3] = [
    "ipv4/ip_forward=1",
    "ipv4/conf/all/rp_filter=0",
    "ipv4/conf/fab0/rp_filter=0",
];

impl World {
    /// IPv4, with one next hop of each route.
    pub const PLAIN: Self = Self {
        name: "30 random routes",
        seeds: 12,
        family: "",
        routes: &ROUTES,
        selectors: &SELECTORS,
        destinations: ["10.0.0.2", "10.9.0.9", "203.0.113.9"],
        own: ["10.0.0.1", "192.0.2.1"],
        settings: &SETTINGS,
        peer: "10.0.0.2",
        vrf: None,
    };
    /// The same with several.
    pub const SEVERAL: Self = Self {
        name: "30 random routes of several next hops",
        seeds: 6,
        routes: &SEVERAL,
        ..Self::PLAIN
    };
    /// The same, and fab0 is in a VRF, whose table is one of them.
    pub const VRF: Self = Self {
        name: "30 random routes of a VRF",
        // It runs where the processor is emulated.
        seeds: 3,
        vrf: Some("red"),
        ..Self::PLAIN
    };
    /// IPv6.
    pub const IPV6: Self = Self {
        name: "30 random routes of IPv6",
        seeds: 8,
        family: "-6 ",
        routes: &ROUTES_6,
        selectors: &SELECTORS_6,
        destinations: ["fd00::2", "fd00:9::9", "2001:db8:f::9"],
        own: ["fd00::1", "2001:db8::1"],
        settings: &["ipv6/conf/all/forwarding=1"],
        peer: "fd00::2",
        vrf: None,
    };

    /// All addresses of the family, as a route is for them.
    pub const fn any(&self) -> &'static str {
        if self.family.is_empty() {
            "0.0.0.0/0"
        } else {
            "::/0"
        }
    }

    /// What is found: all that leaves.
    pub fn policy(&self) -> String {
        let all = self.any();
        format!(
            "[zone.nowhere]\ninterfaces = [\"none0\"]\n[[rule]]\nname = \"all\"\ndestination = [\"{all}\"]\nonly_via = \
             [\"nowhere\"]\n"
        )
    }

    /// What ip(8) answers on the card; none where it fails.
    pub fn ip(&self, chassis: &Chassis, arguments: &str) -> Option<String> {
        let mut command = Command::new("ip");
        let arguments = [self.family, arguments].concat();
        command.args(arguments.split_whitespace());
        let output = chassis.card.run(|| command.output()).expect("the card");
        let output = output.expect("ip");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(text)
    }

    /// The same network, made of the same dice.
    pub fn build(&self, chassis: &Chassis, dice: &mut Dice) -> Vec<String> {
        for setting in self.settings {
            let (key, value) = setting.split_once('=').expect("a setting");
            chassis.card.set_sysctl(key, value).expect("it is there");
        }
        let mut made = Vec::new();
        let mut make = |line: String| {
            // One that is there already is no other.
            if self.ip(chassis, &line).is_some() {
                made.push(line);
            }
        };
        if let Some(vrf) = self.vrf {
            make(format!("link add {vrf} type vrf table 100"));
            make(format!("link set {vrf} up"));
            make(format!("link set fab0 master {vrf}"));
        }
        for table in 100..103 {
            for _ in 0..1 + dice.below(3) {
                let route = dice.of(self.routes);
                make(format!("route add {route} table {table}"));
            }
        }
        for place in 1..=1 + dice.below(5) {
            let (selector, table) = (dice.of(self.selectors), 100 + dice.below(3));
            let suppressed = if dice.one_in(5) {
                " suppress_prefixlength 0"
            } else {
                ""
            };
            make(format!(
                "rule add pref {} {selector} lookup {table}{suppressed}",
                place * 10
            ));
        }
        made
    }
}

/// Random numbers of a seed (xorshift64*).
pub struct Dice(pub u64);

impl Dice {
    /// One of the numbers below this.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    /// One of these.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    /// Whether one of so many falls to it.
    pub fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }
}

/// What a sender asks routing for.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Where it sends.
    pub to: &'static str,
    bind: Option<&'static str>,
    device: Option<&'static str>,
    user: u32,
    mark: u32,
    tos: u8,
    raw: bool,
    /// The peer sends it, and the card passes it on.
    pub is_forwarded: bool,
    peer: &'static str,
}

impl Sender {
    /// One on the card.
    pub fn random(world: &World, dice: &mut Dice) -> Self {
        let [inside, outside] = world.own;
        let device = world.vrf.filter(|_| dice.one_in(2));
        // The first is the VRF's, and the other is not: only sockets that are there may be bound to it.
        let may_be =
            |address: &&str| world.vrf.is_none() || device.is_some() == (*address == inside);
        Self {
            to: dice.of(&world.destinations),
            bind: dice.of(&[None, Some(inside), Some(outside)]).filter(may_be),
            device,
            user: dice.of(&[0, 0, 1000]),
            mark: dice.of(&[0, 0, 7]),
            tos: dice.of(&[0, 0, 16]),
            raw: dice.one_in(4),
            is_forwarded: false,
            peer: world.peer,
        }
    }

    /// The peer, through the card.
    pub fn forwarded(world: &World, dice: &mut Dice) -> Self {
        Self {
            to: dice.of(&world.destinations[1..]),
            bind: None,
            device: None,
            user: 0,
            mark: 0,
            raw: false,
            is_forwarded: true,
            ..Self::random(world, dice)
        }
    }

    /// As the sender of the tests takes it.
    pub fn arguments(&self) -> String {
        let Self { to, mark, tos, .. } = self;
        let bind = self.bind.map(|bind| format!("--bind {bind}"));
        let device = self.device.map(|device| format!("--bind-device {device}"));
        let (kind, to, user) = match self.raw {
            true => ("raw", (*to).to_owned(), String::new()),
            false if to.contains(':') => {
                ("udp", format!("[{to}]:9"), format!("--user {}", self.user))
            }
            false => ("udp", format!("{to}:9"), format!("--user {}", self.user)),
        };
        format!(
            "{kind} {user} --mark {mark} --tos {tos} {} {} --to {to}",
            bind.unwrap_or_default(),
            device.unwrap_or_default()
        )
    }

    /// The question, as ip-route(8) asks it.
    pub fn question(&self) -> String {
        let Self { to, mark, tos, .. } = self;
        // A raw socket is root's.
        let (flow, user) = match self.raw {
            true => ("", 0),
            false => ("ipproto udp dport 9", self.user),
        };
        let device = self.device.map(|device| format!("oif {device}"));
        format!(
            "route get fibmatch {to} {} {} mark {mark} tos {tos:#x} uid {user} {flow}",
            self.from(),
            device.unwrap_or_default()
        )
    }

    /// Where it comes from, as ip-route(8) asks it.
    pub fn from(&self) -> String {
        match self.bind {
            _ if self.is_forwarded => format!("from {} iif fab0", self.peer),
            Some(bind) => format!("from {bind}"),
            None => String::new(),
        }
    }
}
