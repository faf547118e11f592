//! Datagrams of several threads, a socket each.

use std::thread;

use anyhow::{Result, anyhow};
use pinif_userspace::lab::send::{self, Extras};
use socket2::{Domain, Protocol, Socket, Type};

use crate::args::Crowd;
use crate::sent::Sent;

/// Each thread makes its socket and sends by it. The last one's address and cookie are told.
pub fn crowd(crowd: &Crowd) -> Result<Sent> {
    let mut threads = Vec::new();
    for _ in 0..crowd.threads {
        let (to, count) = (crowd.to, crowd.count);
        threads.push(thread::spawn(move || -> Result<Sent> {
            let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
            let mut sent = Sent::by(&socket)?;
            for _ in 0..count {
                sent.count(send::send(&socket, &[0; 32], Some(to), Extras::default()));
            }
            Ok(sent.at(&socket))
        }));
    }
    let mut all = Sent::default();
    for thread in threads {
        let one = thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        all = all.and(one);
    }
    Ok(all)
}
