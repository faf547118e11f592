//! One TCP connection, from either side.

use std::io::{ErrorKind, Read, Write as _, copy, repeat, sink};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pinif_lab::patience;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::args::{Args, Close, Tcp};
use crate::rendezvous;
use crate::sent::Sent;
use crate::socket::apply;

/// How long the other side may keep this one waiting: an end with an error, not a test that hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Serves or makes the connection.
pub fn tcp(tcp: &Tcp, args: &Args) -> Result<Sent> {
    match (tcp.listen, tcp.to) {
        (Some(at), _) => serve(tcp, at),
        (None, Some(to)) => connect(tcp, args, to),
        (None, None) => bail!("name where to connect with --to, or where to listen with --listen"),
    }
}

fn connect(tcp: &Tcp, args: &Args, to: SocketAddr) -> Result<Sent> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(protocol(tcp)))?;
    apply(&tcp.intent, &socket)?;
    if args.wait_stdin {
        rendezvous("ready")?;
    }
    let mut sent = Sent::by(&socket)?;
    let connected = socket.connect(&to.into());
    let is_connected = connected.is_ok();
    sent.count(connected);
    sent = sent.at(&socket);
    if is_connected {
        if tcp.pause_connected {
            rendezvous("connected")?;
        }
        let mut stream = TcpStream::from(socket);
        copy(&mut repeat(0).take(tcp.bytes), &mut stream).context("cannot send")?;
        stream.flush()?;
        if tcp.pause_sent {
            rendezvous("sent")?;
        }
        close(stream, tcp)?;
    }
    Ok(sent)
}

fn serve(tcp: &Tcp, at: SocketAddr) -> Result<Sent> {
    let listener = Socket::new(Domain::for_address(at), Type::STREAM, Some(protocol(tcp)))?;
    apply(&tcp.intent, &listener)?;
    listener.set_reuse_address(true)?;
    listener
        .bind(&at.into())
        .with_context(|| format!("cannot bind to {at}"))?;
    listener.listen(1)?;
    rendezvous("ready")?;
    let (socket, _) = listener.accept().context("cannot accept")?;
    let mut sent = Sent::by(&socket)?.at(&socket);
    sent.sent = 1;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(patience(PATIENCE)))?;
    copy(&mut Read::by_ref(&mut stream).take(tcp.bytes), &mut sink()).context("cannot receive")?;
    if tcp.pause_sent {
        rendezvous("received")?;
    }
    close(stream, tcp)?;
    Ok(sent)
}

fn protocol(tcp: &Tcp) -> Protocol {
    if tcp.mptcp {
        Protocol::MPTCP
    } else {
        Protocol::TCP
    }
}

/// `connect()` to no address (connect(2)).
fn disconnect(stream: &TcpStream) -> Result<()> {
    // SAFETY: what is written is the beginning of any address, and that it is of no family.
    let ((), nowhere) = unsafe {
        SockAddr::try_init(|address, length| {
            (*address.cast::<libc::sockaddr>()).sa_family = libc::AF_UNSPEC as u16;
            *length = size_of::<libc::sockaddr>() as libc::socklen_t;
            Ok(())
        })
    }?;
    SockRef::from(stream).connect(&nowhere)?;
    Ok(())
}

fn close(mut stream: TcpStream, tcp: &Tcp) -> Result<()> {
    match tcp.close {
        Close::First => (),
        Close::Last => {
            stream.set_read_timeout(Some(patience(PATIENCE)))?;
            match copy(&mut stream, &mut sink()) {
                // A reset is an end too.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => (),
                outcome => drop(outcome.context("the other side did not close")?),
            }
        }
        // `mptcp_disconnect` resets all subflows; `mptcp_close` heeds no SO_LINGER.
        Close::Reset if tcp.mptcp => disconnect(&stream).context("cannot disconnect")?,
        Close::Reset => Socket::from(stream).set_linger(Some(Duration::ZERO))?,
    }
    Ok(())
}
