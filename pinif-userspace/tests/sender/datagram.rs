//! Datagrams: UDP, raw IP, ICMP echo.

use std::io::stdin;
use std::net::IpAddr;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use pinif_lab::send::{self, Extras};
use pinif_lab::socket::{self, as_user, scoped, set_option};
use socket2::{Domain, Protocol, Socket, Type};

use crate::args::{Args, Course, Ping, Raw, Udp};
use crate::rendezvous;
use crate::sent::Sent;
use crate::socket::apply;

/// Sends UDP.
pub fn udp(udp: &Udp, args: &Args) -> Result<Sent> {
    let domain = Domain::for_address(udp.course.to);
    let make = || Socket::new(domain, Type::DGRAM, Some(Protocol::UDP));
    let socket = match udp.course.intent.user {
        Some(user) => as_user(user, make),
        None => make(),
    }?;
    let message = vec![0; udp.course.size];
    follow(&udp.course, args, &socket, &message, udp.gso)
}

/// Sends raw IP.
pub fn raw(raw: &Raw, args: &Args) -> Result<Sent> {
    let protocol = Protocol::from(i32::from(raw.protocol));
    let socket = Socket::new(
        Domain::for_address(raw.course.to),
        Type::RAW,
        Some(protocol),
    )?;
    let message = vec![0; raw.course.size];
    follow(&raw.course, args, &socket, &message, None)
}

/// Sends ICMP echo requests.
pub fn ping(ping: &Ping, args: &Args) -> Result<Sent> {
    let (socket, request) = socket::ping(ping.course.to.is_ipv6(), ping.course.size)?;
    follow(&ping.course, args, &socket, &request, None)
}

fn follow(
    course: &Course,
    args: &Args,
    socket: &Socket,
    message: &[u8],
    segment: Option<u16>,
) -> Result<Sent> {
    apply(&course.intent, socket)?;
    let to = match &course.scope {
        Some(device) => scoped(course.to, send::index(device)?),
        None => course.to,
    };
    let packet_info = course.pktinfo.as_deref().map(send::index).transpose()?;
    let source = course.pktinfo_source;
    if let Some(source) = source {
        let (level, name) = match source {
            IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
            IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        };
        set_option(socket, level, name, 1).context("no packet information")?;
    }
    let extras = Extras {
        packet_info,
        source,
        segment,
    };
    if course.connect {
        socket
            .connect(&to.into())
            .with_context(|| format!("cannot connect to {to}"))?;
    }
    if args.wait_stdin {
        rendezvous("ready")?;
    }
    let mut sent = Sent::by(socket)?;
    let line = course.until_line.then(line_comes);
    let goes_on = |number| match &line {
        Some(line) => !line.is_finished(),
        None => number < course.count,
    };
    for number in (0..).take_while(|number| goes_on(*number)) {
        change(course, socket, number)?;
        sent.count(send::send(
            socket,
            message,
            (!course.connect).then_some(to),
            extras,
        ));
    }
    Ok(sent.at(socket))
}

/// A thread that ends once a line comes on standard input.
fn line_comes() -> JoinHandle<()> {
    thread::spawn(|| {
        // The end of standard input is as good.
        let _ = stdin().read_line(&mut String::new());
    })
}

/// What happens to the socket before message `number`.
fn change(course: &Course, socket: &Socket, number: u64) -> Result<()> {
    if course.pause_after == Some(number) {
        rendezvous("paused")?;
    }
    let device = course.rebind.as_deref();
    let device = device.filter(|_| course.rebind_after == number);
    if course.unbind_after != Some(number) && device.is_none() {
        return Ok(());
    }
    match socket.bind_device(device.map(str::as_bytes)) {
        Err(error) if course.intent.ignore_bind_error => eprintln!("SO_BINDTODEVICE: {error}"),
        changed => changed.with_context(|| match device {
            Some(device) => format!("cannot bind to the device {device}"),
            None => "cannot unbind from the device".to_owned(),
        })?,
    }
    Ok(())
}
