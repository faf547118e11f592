//! Generic netlink (linux/genetlink.h): its families by their names, and the numbers in their messages.

use std::io;

use netlink_packet_core::parse_u16;
use netlink_packet_generic::{
    GenlMessage,
    ctrl::{GenlCtrl, GenlCtrlCmd, nlas::GenlCtrlAttrs},
};
use netlink_sys::protocols::NETLINK_GENERIC;

use super::{attributes::attributes, netlink::Requester};

/// `GENL_ID_CTRL`, the family that lists the others.
const CONTROLLER: u16 = 16;
/// `CTRL_ATTR_FAMILY_ID`.
const FAMILY_ID: u16 = 1;
/// `struct genlmsghdr`.
pub(super) const HEADER: usize = 4;

/// The number that this kernel gave to a family.
///
/// # Errors
/// `NotFound` where it has none of this name; else what the kernel says.
pub(super) fn family(name: &str) -> io::Result<u16> {
    let request = GenlMessage::from_payload(GenlCtrl {
        cmd: GenlCtrlCmd::GetFamily,
        nlas: vec![GenlCtrlAttrs::FamilyName(name.to_owned())],
    });
    Requester::open(NETLINK_GENERIC)?
        .request(CONTROLLER, &request, |_, payload| {
            number(payload, FAMILY_ID)
        })?
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The number of 16 bits in a message's attribute.
pub(super) fn number(payload: &[u8], attribute: u16) -> Option<u16> {
    let nla = attributes(payload.get(HEADER..)?).find(|nla| nla.kind() == attribute)?;
    parse_u16(nla.value()).ok()
}
