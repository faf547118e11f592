//! A socket that one process makes and another uses.

use std::env::current_exe;
use std::fs::File;
use std::io::{Read as _, Write as _, stdin, stdout};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::prctl::set_name;
use nix::unistd::{pause, pipe2};
use pinif_lab::send::{self, Extras};
use socket2::{Domain, Protocol, Socket, Type};

use crate::args::{Args, Given, HandOn};
use crate::rendezvous;
use crate::sent::Sent;

/// Makes a socket and hands it to a child, which prints what it sent. Stays until it is killed, and the child with it.
pub fn hand_on(how: &HandOn, args: &Args) -> Result<()> {
    let to = how.given.to;
    // The child, which is another program in principle, has another name.
    set_name(c"first-owner")?;
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    if how.connect {
        socket.connect(&to.into()).context("cannot connect")?;
    }
    let kept = how.keep.then(|| socket.try_clone()).transpose()?;
    if args.wait_stdin {
        rendezvous("ready")?;
    }
    let given = || -> Result<Command> {
        let mut command = Command::new(how.becomes.clone().map_or_else(current_exe, Ok)?);
        command.args(["given", "--to", &to.to_string()]);
        command.args(["--count", &how.given.count.to_string()]);
        if let Some(address) = how.given.bind {
            command.args(["--bind", &address.to_string()]);
        }
        if how.connect {
            command.arg("--connected");
        }
        Ok(command)
    };
    if how.becomes.is_some() {
        let error = given()?.stdin(OwnedFd::from(socket)).exec();
        return Err(error).context("cannot begin the other program");
    }
    // The child sends when this process has let go of the socket: until then, two have it.
    let (alone, let_go) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&alone, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let mut command = given()?;
    command.args(["--after", &alone.as_raw_fd().to_string()]);
    let mut child = command.stdin(OwnedFd::from(socket)).spawn()?;
    // The command has a copy.
    drop(command);
    drop(let_go);
    let status = child.wait()?;
    drop(kept);
    bail!("the child ended: {status}")
}

/// Sends by the socket that is standard input, prints what it sent, and stays.
pub fn given(given: &Given) -> Result<()> {
    if let Some(after) = given.after {
        // SAFETY: the parent left it open for this, and nothing else here knows of it.
        let mut alone = File::from(unsafe { OwnedFd::from_raw_fd(after) });
        alone.read_to_end(&mut Vec::new())?;
    }
    let socket = Socket::from(stdin().as_fd().try_clone_to_owned()?);
    if let Some(address) = given.bind {
        socket
            .bind(&address.into())
            .with_context(|| format!("cannot bind to {address}"))?;
    }
    let to = (!given.connected).then_some(given.to);
    let mut sent = Sent::by(&socket)?;
    for _ in 0..given.count {
        sent.count(send::send(&socket, &[0; 32], to, Extras::default()));
    }
    println!("{}", serde_json::to_string(&sent.at(&socket))?);
    stdout().flush()?;
    loop {
        pause();
    }
}
