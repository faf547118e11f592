//! The scratch namespace in which one event after the other happens.
//!
//! An event is undone, and the kernel's addresses, next hops and routes are compared with those from before the event. The
//! next event uses the same namespace only where nothing differs, their order included. Otherwise it gets a new copy.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use anyhow::{Context as _, Error, Result, anyhow};
use netlink_packet_core::NLM_F_EXCL;
use netlink_sys::protocols::NETLINK_ROUTE;
use pinif_ebpf::key::IfIndex;

use super::{
    copy::{Copy, Original, add_routes, dump},
    event::Event,
    numbered::STAND_INS,
    route::RouteSpec,
    wire::{ADDRESS, GET_HOP, HOP, IFF_UP, INET, INET6, ROUTE, Raw},
};
use crate::{
    host::{
        addresses::LocalAddress,
        links::{Link, Links},
        namespaces::Enter,
        netlink::Requester,
        network::Network,
    },
    text::escape::visible,
};

/// Copies of one namespace, one at a time.
pub(super) struct Scratch<'a> {
    original: &'a Original,
    copy: Option<(Copy, State)>,
}

/// A copy in which something has happened.
pub(super) struct After {
    copy: Copy,
    /// How it was before.
    before: State,
    /// The interfaces that went down, in the order in which they did.
    down: Vec<IfIndex>,
    /// The original's interfaces and addresses, as they would be now.
    pub network: Network,
}

impl After {
    /// The copy.
    pub fn copy(&self) -> &Copy {
        &self.copy
    }
}

impl<'a> Scratch<'a> {
    /// None yet.
    pub fn of(original: &'a Original) -> Self {
        Self {
            original,
            copy: None,
        }
    }

    /// Lets an event happen in a copy.
    ///
    /// # Errors
    ///
    /// Where no scratch namespace can be made, or the kernel refuses the event, as it would in the original.
    pub fn happen(&mut self, event: &Event) -> Result<After> {
        let (copy, before) = match self.copy.take() {
            Some(copy) => copy,
            None => {
                let copy = self.original.copy()?;
                let before = State::read(&copy)?;
                (copy, before)
            }
        };
        let links = &self.original.network.links;
        let mut down = Vec::new();
        match event {
            Event::Down(name) => {
                let link = links.by_name(name).context("the interface is gone")?;
                down = falling(link, links);
                set(&copy, &down, 0).with_context(|| {
                    format!("{name} cannot be set down in the scratch namespace")
                })?;
            }
            Event::RouteAdded(route) | Event::RouteRemoved(route) => {
                let adds = matches!(event, Event::RouteAdded(_));
                let message = route
                    .message(links, adds)
                    .map_err(|name| anyhow!("there is no interface {name} for the {route}"))?;
                let verb = if adds { "added" } else { "removed" };
                inside(&copy, |requester| {
                    if adds {
                        requester.create(libc::RTM_NEWROUTE, NLM_F_EXCL, &message)
                    } else {
                        requester.order(libc::RTM_DELROUTE, &message)
                    }
                })
                .map_err(|error| {
                    let known = self.already(route, &error);
                    known.unwrap_or_else(|| error.context(format!("the {route} cannot be {verb}")))
                })?;
            }
        }
        let network = self.network(&copy)?;
        Ok(After {
            copy,
            before,
            down,
            network,
        })
    }

    /// What a refused route says of the namespace: it is not there, or is already.
    fn already(&self, route: &RouteSpec, error: &Error) -> Option<Error> {
        let netns = &self.original.netns;
        let error = error.downcast_ref::<io::Error>()?.raw_os_error()?;
        let is = match error {
            libc::ESRCH => "no such",
            libc::EEXIST => "such a",
            _ => return None,
        };
        let look = format!("ip {}route show table all", route.family());
        let look = Enter::of(netns).line(&look).unwrap_or(look);
        Some(anyhow!(
            "there is {is} {route} in the network namespace {}; `{look}` shows those that there are",
            visible(&netns.name)
        ))
    }

    /// The original's network after the event. Of the copy's interfaces, which are stand-ins, only whether they are up is
    /// true.
    fn network(&self, copy: &Copy) -> Result<Network> {
        let now = Network::read(&copy.netns).context("the scratch namespace cannot be read")?;
        let links = self.original.network.links.iter().map(|link| {
            let stand_in = now.links.get(STAND_INS.stand_in(link.index));
            Link {
                up: stand_in.is_some_and(|stand_in| stand_in.up),
                ..link.clone()
            }
        });
        let addresses = now.addresses.iter().filter_map(|local| {
            Some(LocalAddress {
                index: STAND_INS.stands_for(local.index)?,
                ..*local
            })
        });
        Ok(Network {
            links: links.collect(),
            addresses: addresses.collect(),
        })
    }

    /// Undoes what happened, and keeps the copy for the next event if it is as it was.
    pub fn undo(&mut self, after: After) {
        let After {
            mut copy,
            before,
            mut down,
            ..
        } = after;
        down.reverse();
        let uncopied = copy.uncopied.clone();
        let undone = set(&copy, &down, IFF_UP)
            .and_then(|()| self.restore(&mut copy, &before))
            .and_then(|()| State::read(&copy));
        if undone.is_ok_and(|state| state == before) {
            // What could not be copied at first, cannot be now.
            copy.uncopied = uncopied;
            self.copy = Some((copy, before));
        }
    }

    fn restore(&self, copy: &mut Copy, before: &State) -> Result<()> {
        let netns = copy.netns.clone();
        let restored = netns.run(|| -> io::Result<()> {
            let mut requester = Requester::open(NETLINK_ROUTE)?;
            self.original.add_ends(&mut requester, copy);
            // With the addresses, the kernel has brought some back itself.
            let now = groups(&State::read_here()?.routes);
            let before = groups(&before.routes);
            let is_other = |key: &&Destination| now.get(*key) != before.get(*key);
            let keys: BTreeSet<_> = now.keys().chain(before.keys()).filter(is_other).collect();
            // Of those to one destination, the order counts too: all of them are made anew.
            let none = Vec::new();
            for key in &keys {
                for route in now.get(*key).unwrap_or(&none) {
                    requester.order(libc::RTM_DELROUTE, route)?;
                }
            }
            let lost = keys.iter().filter_map(|key| before.get(*key)).flatten();
            add_routes(&mut requester, lost, copy);
            Ok(())
        });
        Ok(restored??)
    }
}

/// An interface that goes down, and the VLANs that go with it (`vlan_device_event`, but for those with loose binding): lower
/// ones first.
fn falling(link: &Link, links: &Links) -> Vec<IfIndex> {
    let mut down = vec![link.index];
    let mut next = 0;
    while let Some(&lower) = down.get(next) {
        let vlans = links.iter().filter(|link| {
            let on_it = link.lower == Some(lower);
            on_it && link.up && link.kind.as_deref() == Some("vlan")
        });
        for vlan in vlans {
            if !down.contains(&vlan.index) {
                down.push(vlan.index);
            }
        }
        next += 1;
    }
    down
}

/// Sets stand-ins up or down.
fn set(copy: &Copy, links: &[IfIndex], flags: u32) -> Result<()> {
    inside(copy, |requester| {
        let mut each = links.iter();
        each.try_for_each(|&index| {
            let index = STAND_INS.stand_in(index);
            requester.order(libc::RTM_NEWLINK, &Raw::link(index, flags, IFF_UP))
        })
    })
}

fn inside(copy: &Copy, run: impl FnOnce(&mut Requester) -> io::Result<()> + Send) -> Result<()> {
    let done = copy
        .netns
        .run(|| run(&mut Requester::open(NETLINK_ROUTE)?))?;
    Ok(done?)
}

/// What routing depends on, as the kernel reports it.
#[derive(Debug, PartialEq, Eq)]
struct State {
    addresses: Vec<Raw>,
    hops: Vec<Raw>,
    routes: Vec<Raw>,
}

impl State {
    fn read(copy: &Copy) -> Result<Self> {
        let read = copy.netns.run(Self::read_here);
        read.and_then(|result| result)
            .context("the scratch namespace cannot be read")
    }

    fn read_here() -> io::Result<Self> {
        /// `IFA_CACHEINFO`, with times, and `IFA_FLAGS`, of which the last are set when the kernel gets to it.
        const OF_ADDRESSES: [u16; 2] = [6, 8];
        /// `RTA_CACHEINFO`.
        const OF_ROUTES: [u16; 1] = [12];
        let both = |kind, length, passing: &[u16]| -> io::Result<Vec<Raw>> {
            let mut all = dump(kind, Raw::question(length, INET))?;
            all.extend(dump(kind, Raw::question(length, INET6))?);
            let lasting = |raw: &Raw| {
                raw.changed(length, |kind, value| {
                    (!passing.contains(&kind)).then_some(value)
                })
            };
            Ok(all.iter().map(lasting).collect())
        };
        let mut addresses = both(libc::RTM_GETADDR, ADDRESS, &OF_ADDRESSES)?;
        for address in &mut addresses {
            // The lower eight of the same flags.
            address.0[2] = 0;
        }
        Ok(Self {
            addresses,
            hops: dump(GET_HOP, Raw::question(HOP, 0))?,
            routes: both(libc::RTM_GETROUTE, ROUTE, &OF_ROUTES)?,
        })
    }
}

/// Family, table and prefix of a route.
type Destination = (u8, Option<Vec<u8>>, u8, Option<Vec<u8>>);

/// The routes to each destination, in their order.
fn groups(routes: &[Raw]) -> BTreeMap<Destination, Vec<Raw>> {
    const RTA_DST: u16 = 1;
    const RTA_TABLE: u16 = 15;
    let mut groups: BTreeMap<_, Vec<Raw>> = BTreeMap::new();
    for route in routes {
        let [family, length] = [route.0[0], route.0[1]];
        let (table, prefix) = (route.find(ROUTE, RTA_TABLE), route.find(ROUTE, RTA_DST));
        let group = groups.entry((family, table, length, prefix));
        group.or_default().push(route.clone());
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_fall_with_what_they_are_on() {
        let link = |index: u32, kind: &str, lower: u32, up| Link {
            kind: Some(kind.to_owned()),
            lower: Some(IfIndex(lower)).filter(|lower| lower.is_some()),
            up,
            ..Link::new(IfIndex(index), format!("if{index}"))
        };
        let links: Links = [
            link(2, "veth", 0, true),
            link(3, "vlan", 2, true),
            link(4, "vlan", 3, true),
            link(5, "macvlan", 2, true),
            link(6, "vlan", 2, false),
            link(7, "vlan", 5, true),
        ]
        .into_iter()
        .collect();
        let down = |index| falling(links.get(IfIndex(index)).expect("a link"), &links);
        assert_eq!(down(2), [2, 3, 4].map(IfIndex));
        assert_eq!(down(4), [4].map(IfIndex));
    }
}
