//! Links: pairs of them, their state, and what they count.

use anyhow::{Context, Result};
use netlink_packet_route::link::{InfoData, InfoVeth, LinkAttribute, LinkFlags, LinkMessage};
use pinif_ebpf::key::IfIndex;
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth};

use crate::Namespace;
use crate::netlink::{index, link};

/// What a link's driver says it has sent: an account that is independent of the auditor's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that the other end took.
    pub packets: u64,
    /// Their bytes, with the link-layer header.
    pub bytes: u64,
    /// Packets that the other end had no room for. They left all the same.
    pub dropped: u64,
}

impl Namespace {
    /// Makes a pair of virtual Ethernet devices, `name` here and `far_name` in `far`, with the MAC addresses
    /// `02:…:mac` and `02:…:mac+1`. They begin down.
    ///
    /// Neither resolves addresses (`IFF_NOARP`): every packet leaves at once, for a neighbour that
    /// [`Namespace::add_neighbour`] named, and no ARP, neighbour discovery or MLD mixes with what is counted.
    pub fn veth(&self, name: &str, far: &Namespace, far_name: &str, mac: u8) -> Result<()> {
        let far_end = LinkMessageBuilder::<LinkUnspec>::new()
            .name(far_name)
            .address(local_mac(mac.wrapping_add(1)))
            .arp(false)
            .setns_by_fd(far.raw_fd())
            .build();
        let pair = LinkMessageBuilder::<LinkVeth>::new(name, far_name)
            .address(local_mac(mac))
            .arp(false)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(far_end)))
            .build();
        self.add_link(name, pair)
    }

    pub(crate) fn add_link(&self, name: &str, link: LinkMessage) -> Result<()> {
        self.netlink(async |handle| {
            let added = handle.link().add(link).execute().await;
            added.with_context(|| format!("cannot make the link {name} in {}", self.name()))
        })
    }

    /// Sets the link up (`ip link set … up`).
    pub fn set_up(&self, name: &str) -> Result<()> {
        self.set_link(name, LinkMessageBuilder::up)
            .with_context(|| format!("cannot set {name} up"))
    }

    /// Sets the link down. The routes through it are gone when this returns; its IPv4 addresses stay.
    pub fn set_down(&self, name: &str) -> Result<()> {
        self.set_link(name, LinkMessageBuilder::down)
            .with_context(|| format!("cannot set {name} down"))
    }

    /// Lets the link resolve addresses, or not (`ip link set … arp`).
    pub fn set_arp(&self, name: &str, on: bool) -> Result<()> {
        self.set_link(name, |link| link.arp(on))
            .with_context(|| format!("cannot set ARP of {name}"))
    }

    /// Lets the link take part in multicast, or not (`ip link set … multicast`): without it, a router joins no groups.
    pub fn set_multicast(&self, name: &str, on: bool) -> Result<()> {
        self.set_link(name, |link| link.multicast(on))
            .with_context(|| format!("cannot set multicast of {name}"))
    }

    /// Makes `port` a port of the bridge, bond or team, or a slave of the VRF, `controller`. A bond and a team take a link
    /// that is down, and set it up.
    pub fn enslave(&self, port: &str, controller: &str) -> Result<()> {
        let controller_index = self.index(controller)?.0;
        self.set_link(port, |link| link.controller(controller_index))
            .with_context(|| format!("cannot put {port} under {controller}"))
    }

    /// Removes the link (and a veth's other end).
    pub fn delete_link(&self, name: &str) -> Result<()> {
        self.netlink(async |handle| {
            let deleted = handle
                .link()
                .del(index(handle, name).await?)
                .execute()
                .await;
            deleted.with_context(|| format!("cannot remove the link {name}"))
        })
    }

    fn set_link(
        &self,
        name: &str,
        change: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec> + Send,
    ) -> Result<()> {
        self.netlink(async |handle: &Handle| {
            // The flags go as a whole, so they begin as they are.
            let now = link(handle, name).await?;
            let mut message = change(LinkUnspec::new_with_index(now.header.index)).build();
            let changed = message.header.change_mask;
            message.header.flags |= now.header.flags & LinkFlags::from_bits_retain(!changed.bits());
            Ok(handle.link().set(message).execute().await?)
        })
    }

    /// The link's index, in this namespace.
    pub fn index(&self, name: &str) -> Result<IfIndex> {
        Ok(IfIndex(self.link_message(name)?.header.index))
    }

    /// The link's MAC address.
    pub fn mac(&self, name: &str) -> Result<Vec<u8>> {
        let link = self.link_message(name)?;
        let address = link
            .attributes
            .into_iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::Address(address) => Some(address),
                _ => None,
            });
        address.with_context(|| format!("the link {name} has no MAC address"))
    }

    /// What the link has sent until now.
    pub fn sent(&self, name: &str) -> Result<Counters> {
        let link = self.link_message(name)?;
        let counters = link
            .attributes
            .into_iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::Stats64(stats) => Some(Counters {
                    packets: stats.tx_packets,
                    bytes: stats.tx_bytes,
                    dropped: stats.tx_dropped,
                }),
                _ => None,
            });
        counters.with_context(|| format!("the link {name} has no counters"))
    }
}

/// A locally administered MAC address (IEEE 802).
pub(crate) fn local_mac(last: u8) -> Vec<u8> {
    vec![0x02, 0, 0, 0, 0, last]
}
