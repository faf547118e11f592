//! Leaks that are to be found: of a socket that is bound to one device, and asks for another in a datagram (`IP_PKTINFO`).

use std::io;
use std::net::SocketAddr;

use pinif_lab::send::{Extras, send};
use pinif_lab::socket::as_user;
use socket2::{Domain, Socket, Type};

/// The first user; no account has it, nor those after it. What another user leaks is another finding.
pub const FIRST_USER: u32 = 3_000_000;

/// A user's socket for datagrams to such an address, bound to this device.
///
/// # Errors
/// Where the kernel refuses it.
pub fn socket(user: u32, to: SocketAddr, device: &str) -> io::Result<Socket> {
    let socket = as_user(user, || {
        Socket::new(Domain::for_address(to), Type::DGRAM, None)
    })?;
    socket.bind_device(Some(device.as_bytes()))?;
    Ok(socket)
}

/// Sends one datagram, by the interface with this index.
///
/// # Errors
/// Where the kernel does not take it.
pub fn leak(socket: &Socket, to: SocketAddr, leave_by: u32) -> io::Result<()> {
    let extras = Extras {
        packet_info: Some(leave_by),
        ..Extras::default()
    };
    send(socket, &[0; 18], Some(to), extras)?;
    Ok(())
}
