//! fabricd: the daemon that leaks. A process of its own, so that findings name it. It does one step for each line of its
//! standard input, and answers with one line.

use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::prctl::set_name;
use pinif_lab::send::{self, Extras};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};

/// How many datagrams a step sends: fewer than what makes a finding be shown again while the story goes on.
pub const DATAGRAMS: u64 = 3;

/// What fabricd can be ordered to do. Each step sends [`DATAGRAMS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// To the peer, from a socket that is bound to fab0.
    Pinned,
    /// To the world, from a socket that is bound to fab0's address.
    Address,
    /// To the peer, from a socket that is bound to fab0, with `IP_PKTINFO` that names eth1.
    Override,
    /// To the peer, from a socket that is bound to nothing, always the same one.
    Unpinned,
    /// From that socket, bound to fab0 at last.
    Fixed,
}

/// What came of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// How many datagrams the kernel took.
    pub sent: u64,
    /// Why it did not take the others.
    pub refused: Option<String>,
}

const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const WORLD: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const BACKPLANE: &str = "fab0";
const FRONT: &str = "eth1";
/// RFC 863: what comes here is thrown away.
const DISCARD: u16 = 9;

/// Does the steps that `orders` has, a line each, until it ends.
pub fn serve(orders: impl BufRead, mut answers: impl Write) -> Result<()> {
    set_name(c"fabricd").context("cannot take the name fabricd")?;
    let mut daemon = Daemon::default();
    for order in orders.lines() {
        let order = order.context("cannot read what to do")?;
        let step = serde_json::from_str(&order)
            .with_context(|| format!("{order:?} is no step of fabricd"))?;
        let answer = daemon
            .perform(step)
            .with_context(|| format!("fabricd cannot do the step {order}"))?;
        writeln!(answers, "{}", serde_json::to_string(&answer)?)?;
        answers.flush()?;
    }
    Ok(())
}

/// The sockets stay open, as a daemon's do.
#[derive(Default)]
struct Daemon {
    sockets: Vec<Socket>,
    control: Option<Socket>,
}

impl Daemon {
    fn perform(&mut self, step: Step) -> io::Result<Answer> {
        match step {
            Step::Pinned => {
                let socket = udp()?;
                socket.bind_device(Some(BACKPLANE.as_bytes()))?;
                self.send(socket, PEER, None)
            }
            Step::Address => {
                let socket = udp()?;
                socket.bind(&SocketAddr::from((OWN, 0)).into())?;
                self.send(socket, WORLD, None)
            }
            Step::Override => {
                let socket = udp()?;
                socket.bind_device(Some(BACKPLANE.as_bytes()))?;
                self.send(socket, PEER, Some(send::index(FRONT)?))
            }
            Step::Unpinned => Ok(datagrams(self.control()?, PEER, None)),
            Step::Fixed => {
                let control = self.control()?;
                control.bind_device(Some(BACKPLANE.as_bytes()))?;
                Ok(datagrams(control, PEER, None))
            }
        }
    }

    fn control(&mut self) -> io::Result<&Socket> {
        let control = match self.control.take() {
            Some(control) => control,
            None => udp()?,
        };
        Ok(self.control.insert(control))
    }

    fn send(&mut self, socket: Socket, to: Ipv4Addr, by: Option<u32>) -> io::Result<Answer> {
        let answer = datagrams(&socket, to, by);
        self.sockets.push(socket);
        Ok(answer)
    }
}

fn udp() -> io::Result<Socket> {
    Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))
}

/// Sends the datagrams; `by` is the interface that `IP_PKTINFO` names.
fn datagrams(socket: &Socket, to: Ipv4Addr, by: Option<u32>) -> Answer {
    let extras = Extras {
        packet_info: by,
        ..Extras::default()
    };
    let to = SocketAddr::from((to, DISCARD));
    let mut answer = Answer::default();
    for _ in 0..DATAGRAMS {
        match send::send(socket, b"fabricd is alive", Some(to), extras) {
            Ok(_) => answer.sent += 1,
            Err(error) => answer.refused = Some(reason(&error)),
        }
    }
    answer
}

fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_word_and_another_is_an_error() {
        let word = serde_json::to_string(&Step::Pinned).expect("JSON");
        assert_eq!(word, "\"pinned\"");
        let error = serde_json::from_str::<Step>("\"shutdown\"").expect_err("no step");
        assert!(error.to_string().contains("unknown variant"), "{error}");
    }
}
