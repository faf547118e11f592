//! WireGuard's listening ports, which its interfaces' own messages do not have (`wg_netdevice_notification`).

use std::{io, ops::ControlFlow};

use netlink_packet_generic::GenlMessage;
use netlink_packet_wireguard::{WireguardAttribute, WireguardCmd, WireguardMessage};
use netlink_sys::protocols::NETLINK_GENERIC;
use pinif_ebpf::key::IfIndex;

use super::{
    generic::{family, number},
    netlink::Requester,
};

/// `WGDEVICE_A_LISTEN_PORT` (linux/wireguard.h). The rest of the answer has keys in it, and is not looked at.
const LISTEN_PORT: u16 = 6;

/// The port that an interface of the calling thread's namespace sends from and listens on; zero until it is up.
///
/// # Errors
/// Where there is no such interface, or no right to ask (`CAP_NET_ADMIN`).
pub(super) fn listen_port(interface: IfIndex) -> io::Result<u16> {
    let family = family("wireguard")?;
    let mut port = 0;
    let request = GenlMessage::from_payload(WireguardMessage {
        cmd: WireguardCmd::GetDevice,
        attributes: vec![WireguardAttribute::IfIndex(interface.0)],
    });
    Requester::open(NETLINK_GENERIC)?.dump(family, &request, |_, payload| {
        // A device with many peers takes several messages; the first has its own settings.
        port = number(payload, LISTEN_PORT).unwrap_or(port);
        ControlFlow::Continue(())
    })?;
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_nothing_else() {
        let mut answer = vec![0, 1, 0, 0];
        answer.extend([8, 0, 1, 0, 7, 0, 0, 0]);
        answer.extend([6, 0, 6, 0, 0x6c, 0xca, 0, 0]);
        assert_eq!(number(&answer, LISTEN_PORT), Some(0xca6c));
        assert_eq!(number(&answer[..12], LISTEN_PORT), None);
        assert_eq!(number(&[], LISTEN_PORT), None);
    }
}
