//! One connection's bytes in bulk: large writes, which the kernel sends as large packets (GSO).

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

use super::{Sender, Sent, enter};

/// How much one write gives the kernel: as much as one large packet takes.
const WRITE: usize = 64 * 1024;
/// How much may be under way. It stays in the processor's own cache, where it does not depend on what others do.
const UNDER_WAY: usize = 256 * 1024;

/// A connection that sends as much as is taken.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Tcp {
    /// The mount of the namespace that the other end is in.
    pub peer: PathBuf,
    /// Where the other end listens.
    pub to: SocketAddr,
    /// The device that the connection is bound to.
    pub device: Option<String>,
}

impl Tcp {
    pub(super) fn open(self) -> Result<Stream> {
        let (peer, to) = (self.peer, self.to);
        let (listens, listening) = channel();
        thread::spawn(move || {
            let listener = enter(&peer).and_then(|()| Ok(TcpListener::bind(to)?));
            match listener {
                Ok(listener) => {
                    let _asked = listens.send(Ok(()));
                    // The other end's end is the load's own, which is reported to its driver.
                    let _ended = listener.accept().and_then(|(stream, _)| discard(&stream));
                }
                Err(error) => drop(listens.send(Err(error))),
            }
        });
        listening.recv()?.context("the other end cannot listen")?;
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        if let Some(device) = &self.device {
            socket
                .bind_device(Some(device.as_bytes()))
                .with_context(|| format!("cannot bind to {device}"))?;
        }
        socket.set_send_buffer_size(UNDER_WAY)?;
        socket.connect(&to.into()).context("cannot connect")?;
        Ok(Stream(socket.into()))
    }
}

/// An open connection.
pub(super) struct Stream(TcpStream);

impl Sender for Stream {
    fn send_until(&mut self, end: Instant, sent: &mut Sent) -> io::Result<()> {
        static BYTES: [u8; WRITE] = [0; WRITE];
        while Instant::now() < end {
            sent.bytes += self.0.write(&BYTES)? as u64;
            sent.count += 1;
        }
        Ok(())
    }
}

/// Takes all that comes, without copying it: tcp(7), `MSG_TRUNC`.
fn discard(stream: &TcpStream) -> io::Result<()> {
    let mut place = [0_u8; 1];
    loop {
        // SAFETY: with MSG_TRUNC the kernel writes nothing to the buffer.
        let taken = unsafe {
            libc::recv(
                stream.as_raw_fd(),
                place.as_mut_ptr().cast(),
                1 << 20,
                libc::MSG_TRUNC,
            )
        };
        match taken {
            0 => return Ok(()),
            1.. => {}
            _ => return Err(io::Error::last_os_error()),
        }
    }
}
