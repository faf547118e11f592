//! Addresses and neighbours.

use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use futures::TryStreamExt;
use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};

use crate::Namespace;
use crate::netlink::index;

impl Namespace {
    /// Gives the link an address, usable at once: IPv6 without duplicate address detection (`IFA_F_NODAD`).
    pub fn add_address(&self, link: &str, address: IpNet) -> Result<()> {
        self.netlink(async |handle| {
            let index = index(handle, link).await?;
            let mut request = handle
                .address()
                .add(index, address.addr(), address.prefix_len());
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
            request
                .execute()
                .await
                .with_context(|| format!("cannot give {link} the address {address}"))
        })
    }

    /// Takes an address from the link.
    pub fn delete_address(&self, link: &str, address: IpNet) -> Result<()> {
        self.netlink(async |handle| {
            let index = index(handle, link).await?;
            let all: Vec<_> = handle
                .address()
                .get()
                .set_link_index_filter(index)
                .execute()
                .try_collect()
                .await?;
            let Some(message) = all.into_iter().find(|message| carries(message, address)) else {
                bail!("{link} does not have the address {address}");
            };
            let deleted = handle.address().del(message).execute().await;
            deleted.with_context(|| format!("cannot take the address {address} from {link}"))
        })
    }

    /// Names for good the MAC address at which the link's neighbour is.
    pub fn add_neighbour(&self, link: &str, address: IpAddr, mac: &[u8]) -> Result<()> {
        self.netlink(async |handle| {
            let request = handle
                .neighbours()
                .add(index(handle, link).await?, address)
                .link_layer_address(mac);
            request
                .replace()
                .execute()
                .await
                .with_context(|| format!("cannot name the neighbour {address} on {link}"))
        })
    }
}

fn carries(message: &AddressMessage, address: IpNet) -> bool {
    message.header.prefix_len == address.prefix_len()
        && message.attributes.iter().any(|attribute| match attribute {
            AddressAttribute::Address(ip) | AddressAttribute::Local(ip) => *ip == address.addr(),
            _ => false,
        })
}
