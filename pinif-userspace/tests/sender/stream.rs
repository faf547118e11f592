//! One TCP connection, from either side.

use std::io::{ErrorKind, Read, Write as _, copy, repeat, sink};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pinif_lab::patience;
use socket2::{Domain, Protocol, Socket, Type};

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
        close(stream, tcp.close)?;
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
    close(stream, tcp.close)?;
    Ok(sent)
}

fn protocol(tcp: &Tcp) -> Protocol {
    if tcp.mptcp {
        Protocol::MPTCP
    } else {
        Protocol::TCP
    }
}

fn close(mut stream: TcpStream, how: Close) -> Result<()> {
    match how {
        Close::First => (),
        Close::Last => {
            stream.set_read_timeout(Some(patience(PATIENCE)))?;
            match copy(&mut stream, &mut sink()) {
                // A reset is an end too.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => (),
                outcome => drop(outcome.context("the other side did not close")?),
            }
        }
        Close::Reset => Socket::from(stream).set_linger(Some(Duration::ZERO))?,
    }
    Ok(())
}
