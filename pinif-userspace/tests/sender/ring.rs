//! Datagrams by io_uring(7): neither the socket nor a message of it is made by a system call of its own.

use std::net::SocketAddr;
use std::os::fd::{FromRawFd as _, OwnedFd};

use anyhow::{Context, Result, bail};
use io_uring::{IoUring, opcode, squeue, types::Fd};
use socket2::{Domain, SockAddr, Socket};

use crate::args::Ring;
use crate::sent::Sent;

/// Makes a socket and sends by it, one operation after the other.
pub fn ring(ring: &Ring) -> Result<Sent> {
    let mut queue = IoUring::new(4).context("io_uring is not to be had")?;
    let domain = i32::from(Domain::for_address(ring.to));
    let made = submit(
        &mut queue,
        &opcode::Socket::new(domain, libc::SOCK_DGRAM, 0).build(),
    )?;
    let made = made.context("io_uring makes no socket")?;
    // SAFETY: the operation just made this descriptor, and nobody else has it.
    let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(made) });
    let mut sent = Sent::by(&socket)?;
    for _ in 0..ring.count {
        sent.count(send(&mut queue, made, ring.to)?);
    }
    Ok(sent.at(&socket))
}

fn send(queue: &mut IoUring, socket: i32, to: SocketAddr) -> Result<std::io::Result<i32>> {
    let to = SockAddr::from(to);
    let payload = [0u8; 32];
    let mut part = libc::iovec {
        iov_base: payload.as_ptr().cast_mut().cast(),
        iov_len: payload.len(),
    };
    // SAFETY: a structure of integers and pointers, of which all zeros says nothing.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = to.as_ptr().cast_mut().cast();
    message.msg_namelen = to.len();
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    // What it points to lives until its completion, which is waited for.
    submit(
        queue,
        &opcode::SendMsg::new(Fd(socket), &raw const message).build(),
    )
}

/// Does one operation and waits for it.
fn submit(queue: &mut IoUring, entry: &squeue::Entry) -> Result<std::io::Result<i32>> {
    // SAFETY: what the entry points to outlives this call, at whose end the operation is over.
    unsafe { queue.submission().push(entry) }.context("the queue is full")?;
    queue
        .submit_and_wait(1)
        .context("io_uring does not submit")?;
    let Some(done) = queue.completion().next() else {
        bail!("io_uring completed nothing")
    };
    Ok(match done.result() {
        result if result < 0 => Err(std::io::Error::from_raw_os_error(-result)),
        result => Ok(result),
    })
}
