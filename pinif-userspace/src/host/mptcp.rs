//! The endpoints of Multipath TCP's path manager (ip-mptcp(8), linux/mptcp_pm.h).

use std::{io, net::IpAddr};

use netlink_sys::protocols::NETLINK_GENERIC;
use pinif_ebpf::key::IfIndex;

use super::{
    attributes::attributes,
    generic::{HEADER, family},
    listing::list,
    netns::NetNs,
    raw::Raw,
};

/// An endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its number, by which it can be deleted.
    pub id: u8,
    /// Its address.
    pub address: IpAddr,
    /// The interface that its subflows are bound to (`dev`).
    pub interface: Option<IfIndex>,
}

/// `MPTCP_PM_CMD_GET_ADDR`.
const GET_ADDRESS: u8 = 3;
/// `MPTCP_PM_ENDPOINT_ADDR`, and what is in it: `MPTCP_PM_ADDR_ATTR_…`.
const ADDRESS: u16 = 1;
const ID: u16 = 2;
const ADDRESS_4: u16 = 3;
const ADDRESS_6: u16 = 4;
const INTERFACE: u16 = 7;

/// All endpoints of a namespace.
///
/// # Errors
/// Where the namespace may not be entered, or the kernel has no Multipath TCP.
pub fn endpoints(netns: &NetNs) -> io::Result<Vec<Endpoint>> {
    let listed = netns.visit(|| {
        let family = family("mptcp_pm")?;
        // `struct genlmsghdr`: the command and the version.
        let question = Raw(vec![GET_ADDRESS, 1, 0, 0]);
        list(NETLINK_GENERIC, family, &question, |_, payload| {
            Endpoint::read(payload.get(HEADER..)?)
        })
    })??;
    Ok(listed.what_there_is())
}

impl Endpoint {
    fn read(bytes: &[u8]) -> Option<Self> {
        let find = |bytes: &[u8], kind: u16| {
            let found = attributes(bytes).find(|nla| nla.kind() == kind);
            found.map(|nla| nla.value().to_vec())
        };
        let endpoint = find(bytes, ADDRESS)?;
        let four = find(&endpoint, ADDRESS_4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        let six = || find(&endpoint, ADDRESS_6).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        let interface = find(&endpoint, INTERFACE)
            .and_then(|bytes| Some(IfIndex(u32::from_ne_bytes(bytes.try_into().ok()?))));
        Some(Self {
            id: *find(&endpoint, ID)?.first()?,
            address: four.map(IpAddr::from).or_else(|| six().map(IpAddr::from))?,
            interface: interface.filter(|interface| interface.is_some()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read() {
        let inner = Raw(Vec::new())
            .with(ID, &[2])
            .with(ADDRESS_4, &[192, 0, 2, 1])
            .with(INTERFACE, &3u32.to_ne_bytes());
        let message = Raw(Vec::new()).with_nested(ADDRESS, &inner);
        let endpoint = Endpoint {
            id: 2,
            address: [192, 0, 2, 1].into(),
            interface: Some(IfIndex(3)),
        };
        assert_eq!(Endpoint::read(&message.0), Some(endpoint));
        for length in 0..message.0.len() {
            assert_eq!(Endpoint::read(&message.0[..length]), None);
        }
    }
}
