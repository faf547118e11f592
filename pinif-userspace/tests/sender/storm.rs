//! Many threads, many sockets, short lives: what counters must withstand.

use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd as _, IntoRawFd as _};
use std::sync::Barrier;
use std::thread;

use anyhow::{Result, ensure};
use pinif_lab::send::{self, Extras};
use socket2::{Domain, Protocol, Socket, Type};

use crate::args::{Args, Sharing, Storm};
use crate::rendezvous;
use crate::sent::Sent;
use crate::socket::apply;

/// Sends UDP from many threads.
pub fn storm(storm: &Storm, args: &Args) -> Result<Sent> {
    ensure!(
        storm.sharing != Sharing::Closed || storm.threads == 1,
        "a descriptor that another thread closes is one thread's alone"
    );
    let shared = match storm.sharing {
        Sharing::One => Some(socket(storm)?),
        Sharing::None | Sharing::Closed => None,
    };
    if args.wait_stdin {
        rendezvous("ready")?;
    }
    let mut sent = shared
        .as_ref()
        .map(Sent::by)
        .transpose()?
        .unwrap_or_default();
    sent.pid = std::process::id();
    let start = Barrier::new(storm.threads);
    let outcomes: Vec<Result<Sent>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..storm.threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    match (&shared, storm.sharing) {
                        (Some(socket), _) => send_all(storm, socket, storm.count),
                        (None, Sharing::Closed) => close_while_sending(storm),
                        (None, _) => by_short_lives(storm),
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no thread panics"))
            .collect()
    });
    for outcome in outcomes {
        sent.add(outcome?);
    }
    Ok(sent)
}

fn socket(storm: &Storm) -> Result<Socket> {
    let domain = Domain::for_address(storm.to);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    apply(&storm.intent, &socket)?;
    Ok(socket)
}

fn send_all(storm: &Storm, socket: &Socket, count: u64) -> Result<Sent> {
    let extras = Extras {
        packet_info: storm.pktinfo.as_deref().map(send::index).transpose()?,
        ..Extras::default()
    };
    let mut sent = Sent::default();
    for _ in 0..count {
        sent.count(send::send(socket, &[0; 16], Some(storm.to), extras));
    }
    Ok(sent)
}

/// A socket for every `each` messages.
fn by_short_lives(storm: &Storm) -> Result<Sent> {
    let mut sent = Sent::default();
    let mut left = storm.count;
    while left > 0 {
        let now = left.min(storm.each);
        sent.add(send_all(storm, &socket(storm)?, now)?);
        left -= now;
    }
    Ok(sent)
}

/// Every socket is closed by another thread while this one sends, again and again until all are sent. This thread alone
/// makes sockets, and none before the last is closed: the number is nobody else's in between.
fn close_while_sending(storm: &Storm) -> Result<Sent> {
    let mut sent = Sent::default();
    while sent.sent < storm.count {
        let closed = socket(storm)?.into_raw_fd();
        let begun = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                begun.wait();
                // SAFETY: the descriptor is given away above; the sender expects that it goes.
                unsafe { libc::close(closed) };
            });
            // SAFETY: whether it is open still is what is tried; it is never closed from here.
            let socket = ManuallyDrop::new(unsafe { Socket::from_raw_fd(closed) });
            begun.wait();
            while sent.refused.is_empty() {
                let extras = Extras::default();
                sent.count(send::send(&socket, &[0; 16], Some(storm.to), extras));
            }
            let gone = sent.refused.remove("EBADF");
            ensure!(gone.is_some(), "refused by {:?}", sent.refused);
            Ok(())
        })?;
    }
    Ok(sent)
}
