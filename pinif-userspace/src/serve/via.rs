//! `--via`: each socket of `pinif serve` is bound to an interface before it is connected or listens, so that no route leads it elsewhere
//! (`SO_BINDTODEVICE`, socket(7)).

use std::{fmt, io, net::SocketAddr, str::FromStr};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::address::is_loopback;
use crate::text::escape::visible;

/// The longest name of an interface (`IFNAMSIZ` of the kernel, less its NUL).
const LONGEST: usize = 15;
/// What loopback addresses are reached by.
const LOOPBACK: &str = "lo";
/// How many connections wait to be accepted.
const BACKLOG: u32 = 128;

/// The interface by which all connections are made and accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via(String);

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// It cannot be bound to the interface, and so is not used.
    #[error("{}", unbound(.interface, .error))]
    Unbound {
        /// The interface.
        interface: String,
        /// What the kernel says.
        error: io::Error,
    },
    /// The kernel refuses something else.
    #[error(transparent)]
    Failed(#[from] io::Error),
}

/// Why a socket is not bound to an interface, with what helps.
fn unbound(interface: &str, error: &io::Error) -> String {
    let interface = visible(interface);
    match error.raw_os_error() {
        Some(libc::ENODEV) => format!("there is no interface {interface} (--via)"),
        Some(libc::EPERM) => format!(
            "this kernel lets only root bind a socket to {interface} (--via): Linux 5.7 and later let each user; \
             give pinif-serve CAP_NET_RAW (AmbientCapabilities=)"
        ),
        _ => format!("a socket cannot be bound to {interface} (--via): {error}"),
    }
}

impl FromStr for Via {
    type Err = String;

    /// The name of an interface, which need not be there yet.
    fn from_str(name: &str) -> Result<Self, String> {
        // `dev_valid_name()` of the kernel.
        let is_name = !matches!(name, "" | "." | "..")
            && name.len() <= LONGEST
            && !name.contains(|c: char| matches!(c, '/' | ':' | '\0') || c.is_ascii_whitespace());
        if is_name {
            Ok(Self(name.to_owned()))
        } else {
            Err(format!(
                "`{}` is no name of an interface; `ip link` shows them",
                visible(name)
            ))
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Via {
    /// What a socket for this address is bound to. A loopback address is reached by `lo` alone.
    fn device(&self, address: SocketAddr) -> &str {
        if is_loopback(address.ip()) {
            LOOPBACK
        } else {
            &self.0
        }
    }
}

/// Connects to an address.
///
/// # Errors
///
/// Why there is no connection. Where the socket cannot be bound to the interface, nothing was sent.
pub async fn connect(address: SocketAddr, via: Option<&Via>) -> Result<TcpStream, SocketError> {
    Ok(socket(address, via)?.connect(address).await?)
}

/// Listens at an address. Whoever is answered is answered by the interface, too: a connection is bound to what its listener is
/// (`inet_request_bound_dev_if()`).
///
/// # Errors
///
/// Why it cannot.
pub fn listen(address: SocketAddr, via: Option<&Via>) -> Result<TcpListener, SocketError> {
    let socket = socket(address, via)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket.listen(BACKLOG)?)
}

/// A socket that is bound to the interface, and to nothing else yet.
fn socket(address: SocketAddr, via: Option<&Via>) -> Result<TcpSocket, SocketError> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    if let Some(via) = via {
        let device = via.device(address);
        socket
            .bind_device(Some(device.as_bytes()))
            .map_err(|error| SocketError::Unbound {
                interface: device.to_owned(),
                error,
            })?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_would_take_are_taken() {
        for name in ["eth0", "mgmt.7", "fifteen-letters", "µ"] {
            assert_eq!(
                name.parse::<Via>().map(|via| via.to_string()),
                Ok(name.to_owned())
            );
        }
        for name in [
            "",
            ".",
            "..",
            "sixteen-letters-",
            "a/b",
            "a b",
            "a\n",
            "a:1",
        ] {
            let error = name.parse::<Via>().expect_err(name);
            assert!(error.contains("is no name of an interface"), "{error}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let error = |number| unbound("mgmt0", &io::Error::from_raw_os_error(number));
        assert_eq!(error(libc::ENODEV), "there is no interface mgmt0 (--via)");
        assert!(error(libc::EPERM).contains("Linux 5.7"));
    }

    /// The interface that a socket is bound to.
    fn device(socket: &impl std::os::fd::AsFd) -> Option<Vec<u8>> {
        socket2::SockRef::from(socket).device().expect("a socket")
    }

    #[tokio::test]
    async fn all_ends_of_a_connection_are_bound() {
        let lo = Some(b"lo".to_vec());
        let via = Via("lo".to_owned());
        for address in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = listen(address.parse().expect(address), Some(&via)).expect(address);
            let port = listener.local_addr().expect("it is bound").port();
            let to = SocketAddr::from(([127, 0, 0, 1], port));
            let (stream, accepted) = tokio::join!(connect(to, Some(&via)), listener.accept());
            let (stream, accepted) = (stream.expect("a connection"), accepted.expect("one").0);
            assert_eq!(
                [device(&listener), device(&stream), device(&accepted)],
                [lo.clone(), lo.clone(), lo.clone()]
            );
        }
        let free = listen(([127, 0, 0, 1], 0).into(), None).expect("a listener");
        assert_eq!(device(&free), None);
    }

    #[tokio::test]
    async fn what_cannot_be_bound_is_not_connected() {
        let via = Via("not-there".to_owned());
        let address = SocketAddr::from(([192, 0, 2, 1], 9));
        let refused = connect(address, Some(&via))
            .await
            .expect_err("it is not there");
        assert_eq!(
            refused.to_string(),
            "there is no interface not-there (--via)"
        );
        let refused = listen(address, Some(&via)).expect_err("it is not there");
        assert_eq!(
            refused.to_string(),
            "there is no interface not-there (--via)"
        );
    }

    #[test]
    fn loopback_addresses_are_of_lo() {
        let via = Via("mgmt0".to_owned());
        for (address, device) in [
            ("127.0.0.1:1", "lo"),
            ("[::1]:1", "lo"),
            ("192.0.2.1:1", "mgmt0"),
            ("[fe80::1]:1", "mgmt0"),
        ] {
            assert_eq!(via.device(address.parse().expect(address)), device);
        }
    }
}
