//! A namespace's network, and scratch copies of it.

mod messages;

use std::{collections::BTreeSet, fs, io, ops::ControlFlow, thread};

use anyhow::{Context as _, Result, anyhow};
use ipnet::IpNet;
use netlink_packet_core::{NLM_F_APPEND, NLM_F_EXCL};
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::sched::{CloneFlags, unshare};
use pinif_ebpf::key::IfIndex;

use super::{
    numbered::{self, STAND_INS},
    wire::{
        ADDRESS, GET_HOP, HOP, IFF_UP, IFLA_IFNAME, INET, INET6, NEW_HOP, ROUTE, RTA_MULTIPATH,
        RULE, Raw,
    },
};
use crate::{
    host::{netlink::Requester, netns::NetNs, network::Network},
    text::escape::visible,
};

use messages::{networks, on_link, route_of, rule_of, stand_in, unused_name, usable};

/// What a namespace's routing is made of, as it was read.
pub struct Original {
    /// The namespace.
    pub netns: NetNs,
    /// Its interfaces and addresses.
    pub network: Network,
    /// The networks that unicast routes lead to, the default routes' included: each once.
    pub networks: BTreeSet<IpNet>,
    /// With the indexes of the copy's interfaces, as [`Self::hops`] and [`Self::routes`].
    pub(super) addresses: Vec<Raw>,
    pub(super) hops: Vec<Raw>,
    pub(super) routes: Vec<Raw>,
    pub(super) rules: Vec<Raw>,
    settings: Vec<(String, String)>,
}

/// Settings that routing goes by (Documentation/networking/ip-sysctl.rst).
const SETTINGS: [&str; 7] = [
    "net/ipv4/fib_multipath_hash_policy",
    "net/ipv4/fib_multipath_use_neigh",
    "net/ipv4/conf/all/ignore_routes_with_linkdown",
    "net/ipv6/fib_multipath_hash_policy",
    "net/ipv4/ip_nonlocal_bind",
    "net/ipv6/conf/all/keep_addr_on_down",
    "net/ipv4/conf/all/route_localnet",
];
/// Those that each interface has for itself.
const OF_LINKS: [(&str, &str); 2] = [("ipv6", "keep_addr_on_down"), ("ipv4", "route_localnet")];

/// Whether a setting is one that interfaces have: it can be set only once they are there.
fn is_of_links(key: &str) -> bool {
    OF_LINKS.iter().any(|(_, setting)| key.ends_with(setting))
}

impl Original {
    /// Reads a namespace.
    ///
    /// # Errors
    ///
    /// Where it may not be entered, or the kernel refuses netlink.
    pub fn read(netns: &NetNs) -> Result<Self> {
        let network = Network::read(netns)?;
        let own = network.links.iter();
        let own = own.flat_map(|link| {
            let key = |(family, setting)| format!("net/{family}/conf/{}/{setting}", link.name);
            OF_LINKS.map(key)
        });
        let keys: Vec<_> = SETTINGS.map(str::to_owned).into_iter().chain(own).collect();
        let all = |raws: Vec<Raw>, of_copy: fn(&Raw) -> Raw| raws.iter().map(of_copy).collect();
        let inside = || -> io::Result<Self> {
            let both = |kind, length| -> io::Result<Vec<Raw>> {
                let mut all = dump(kind, Raw::question(length, INET))?;
                all.extend(dump(kind, Raw::question(length, INET6))?);
                Ok(all)
            };
            let routes = both(libc::RTM_GETROUTE, ROUTE)?;
            Ok(Self {
                netns: netns.clone(),
                network,
                networks: networks(&routes),
                addresses: all(both(libc::RTM_GETADDR, ADDRESS)?, numbered::address),
                hops: all(dump(GET_HOP, Raw::question(HOP, 0))?, numbered::hop),
                routes: all(routes, numbered::route),
                rules: both(libc::RTM_GETRULE, RULE)?,
                settings: keys
                    .into_iter()
                    .filter_map(|key| read(key).transpose())
                    .collect::<io::Result<_>>()?,
            })
        };
        netns
            .run(inside)
            .and_then(|result| result)
            .with_context(|| {
                format!(
                    "the routes of the network namespace {} cannot be read",
                    netns.name
                )
            })
    }

    /// Whether some route has several next hops, of which each flow uses one. The setting `fib_multipath_hash_policy` says what
    /// chooses it.
    pub(super) fn has_several_next_hops(&self) -> bool {
        const RTA_NH_ID: u16 = 30;
        let several = |kind: &u16| [RTA_MULTIPATH, RTA_NH_ID].contains(kind);
        let mut routes = self.routes.iter();
        routes.any(|route| {
            route
                .attributes(ROUTE)
                .iter()
                .any(|(kind, _)| several(kind))
        })
    }

    /// Makes a copy in a namespace of its own, which goes when it is dropped.
    ///
    /// # Errors
    ///
    /// Where no namespace can be made, or the kernel refuses an interface in it.
    pub fn copy(&self) -> Result<Copy> {
        let made = thread::scope(|scope| {
            let thread = scope.spawn(|| -> Result<Copy> {
                unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| {
                    anyhow!("no scratch network namespace can be made: {errno}; this needs root (CAP_SYS_ADMIN)")
                })?;
                let netns = NetNs::current()?;
                let mut copy = Copy {
                    netns,
                    uncopied: Vec::new(),
                };
                self.fill(&mut copy)?;
                Ok(copy)
            });
            thread.join()
        });
        made.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// In the copy's thread.
    fn fill(&self, copy: &mut Copy) -> Result<()> {
        self.set(copy, |key| !is_of_links(key));
        // No address that the original has not: IN6_ADDR_GEN_MODE_NONE.
        copy.set("net/ipv6/conf/default/addr_gen_mode", "1");
        let mut requester = Requester::open(NETLINK_ROUTE)?;
        self.links(&mut requester)?;
        self.set(copy, is_of_links);
        self.remove_others(&mut requester)?;
        self.add_ends(&mut requester, copy);
        for family in [INET, INET6] {
            for rule in dump(libc::RTM_GETRULE, Raw::question(RULE, family))? {
                requester.order(libc::RTM_DELRULE, &rule_of(&rule))?;
            }
        }
        for rule in &self.rules {
            copy.add(&mut requester, libc::RTM_NEWRULE, &rule_of(rule), "a rule");
        }
        add_routes(&mut requester, self.routes.iter(), copy);
        Ok(())
    }

    /// Sets those of the settings that are `wanted`.
    fn set(&self, copy: &mut Copy, wanted: impl Fn(&str) -> bool) {
        for (key, value) in self.settings.iter().filter(|(key, _)| wanted(key)) {
            copy.set(key, value.trim());
        }
    }

    /// What routes need: addresses and next hops. Those that are there stay.
    pub(super) fn add_ends(&self, requester: &mut Requester, copy: &mut Copy) {
        for address in &self.addresses {
            copy.add(requester, libc::RTM_NEWADDR, &usable(address), "an address");
        }
        for hop in &self.hops {
            let mut hop = hop.clone();
            // nh_flags, after family, scope, protocol and a reserved byte.
            hop.0[4..8].fill(0);
            hop.0[1] = 0;
            copy.add(requester, NEW_HOP, &hop, "a next hop");
        }
    }

    /// Removes the addresses that the original has not: the kernel gives 127.0.0.1/8 to a loopback device, and with it takes all of
    /// 127.0.0.0/8 for the host's own. A card whose midplane has a part of it has another prefix there.
    fn remove_others(&self, requester: &mut Requester) -> io::Result<()> {
        let identity = |address: &Raw| {
            const IFA_ADDRESS: u16 = 1;
            const IFA_LOCAL: u16 = 2;
            let header = (address.0[0], address.0[1], numbered::interface(address));
            let its = |kind| address.find(ADDRESS, kind);
            (header, its(IFA_ADDRESS), its(IFA_LOCAL))
        };
        let wanted: BTreeSet<_> = self.addresses.iter().map(identity).collect();
        for family in [INET, INET6] {
            for address in dump(libc::RTM_GETADDR, Raw::question(ADDRESS, family))? {
                if !wanted.contains(&identity(&address)) {
                    requester.order(libc::RTM_DELADDR, &address)?;
                }
            }
        }
        Ok(())
    }

    /// Interfaces with the same names, of a kind that every kernel has: routing looks at no more of them. A VRF is one,
    /// since it has a table.
    fn links(&self, requester: &mut Requester) -> Result<()> {
        free_names(requester)?;
        let mut far = self
            .network
            .links
            .iter()
            .map(|link| link.index.0)
            .max()
            .unwrap_or(1);
        for link in self
            .network
            .links
            .iter()
            .filter(|link| link.index != IfIndex::LOOPBACK)
        {
            far += 1;
            let message = stand_in(link, far);
            requester
                .create(libc::RTM_NEWLINK, NLM_F_EXCL, &message)
                .map_err(|error| {
                    anyhow!(
                        "the interface {} cannot be made in a scratch namespace: {error}",
                        visible(&link.name)
                    )
                })?;
            if link.vrf_table.is_none() {
                let end = STAND_INS.stand_in(IfIndex(far));
                requester.order(libc::RTM_NEWLINK, &Raw::link(end, IFF_UP, IFF_UP))?;
            }
        }
        let links = &self.network.links;
        for link in links.iter() {
            let vrf = link.controller.filter(|index| {
                links
                    .get(*index)
                    .is_some_and(|controller| controller.vrf_table.is_some())
            });
            let index = STAND_INS.stand_in(link.index);
            if let Some(vrf) = vrf {
                let vrf = STAND_INS.stand_in(vrf);
                let message = Raw::link(index, 0, 0).with(10, &vrf.0.to_ne_bytes());
                requester.order(libc::RTM_NEWLINK, &message)?;
            }
            if link.up {
                requester.order(libc::RTM_NEWLINK, &Raw::link(index, IFF_UP, IFF_UP))?;
            }
        }
        Ok(())
    }
}

/// Wide ones first, in the order of the dump: routes to one prefix keep it. A gateway may be reached by a
/// route that comes later, or be hidden by one that came before: then it is added as on the link, which it is, or
/// the original would not have the route.
pub(super) fn add_routes<'a>(
    requester: &mut Requester,
    routes: impl Iterator<Item = &'a Raw>,
    copy: &mut Copy,
) {
    let mut routes: Vec<_> = routes.map(route_of).collect();
    routes.sort_by_key(|route| route.0[1]);
    for route in &routes {
        let added = create(requester, libc::RTM_NEWROUTE, route)
            .or_else(|_| create(requester, libc::RTM_NEWROUTE, &on_link(route)));
        if let Err(error) = added {
            copy.uncopied.push(format!("a route: {error}"));
        }
    }
}

/// A copy of a namespace.
pub struct Copy {
    /// The namespace, of no name.
    pub netns: NetNs,
    /// What could not be copied, and why.
    pub uncopied: Vec<String>,
}

impl Copy {
    pub(super) fn add(&mut self, requester: &mut Requester, kind: u16, message: &Raw, what: &str) {
        if let Err(error) = create(requester, kind, message) {
            self.uncopied.push(format!("{what}: {error}"));
        }
    }

    /// Sets a setting. What this kernel does not have, the original had not either; where settings may not be written
    /// (`ProtectKernelTunables=` of systemd.exec(5)), one that has another value is reported.
    fn set(&mut self, key: &str, value: &str) {
        let path = setting(key);
        let has_another = || fs::read_to_string(&path).is_ok_and(|now| now.trim() != value);
        if let Err(error) = fs::write(&path, value)
            && has_another()
        {
            self.uncopied.push(format!("the setting {key}: {error}"));
        }
    }
}

/// Makes something; what the kernel has made by itself meanwhile is there already.
pub(super) fn create(requester: &mut Requester, kind: u16, message: &Raw) -> io::Result<()> {
    // Routes to one prefix keep their order.
    let flags = if kind == libc::RTM_NEWROUTE {
        NLM_F_APPEND
    } else {
        NLM_F_EXCL
    };
    match requester.create(kind, flags, message) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        result => result,
    }
}

/// A setting and its value; none that this kernel does not have.
fn read(key: String) -> io::Result<Option<(String, String)>> {
    match fs::read_to_string(setting(&key)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        value => Ok(Some((key, value?))),
    }
}

fn setting(key: &str) -> String {
    format!("/proc/sys/{key}")
}

pub(super) fn dump(kind: u16, question: Raw) -> io::Result<Vec<Raw>> {
    let mut all = Vec::new();
    let requester = Requester::open(NETLINK_ROUTE)?;
    let answered = requester.dump(kind, &question, |_, payload| {
        all.push(Raw(payload.to_vec()));
        ControlFlow::Continue(())
    });
    match answered {
        // A kernel without IPv6, or without next-hop objects.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(Vec::new()),
        Err(error) => Err(error),
        Ok(()) => Ok(all),
    }
}

/// Frees the names for the stand-ins: a new namespace may have tunnels that the kernel made by itself, and does not delete.
fn free_names(requester: &mut Requester) -> io::Result<()> {
    for link in dump(libc::RTM_GETLINK, Raw::link(IfIndex::NONE, 0, 0))? {
        let index = numbered::interface(&link);
        if index != IfIndex::LOOPBACK {
            let message = Raw::link(index, 0, 0).with(IFLA_IFNAME, &unused_name(index));
            requester.order(libc::RTM_NEWLINK, &message)?;
        }
    }
    Ok(())
}
