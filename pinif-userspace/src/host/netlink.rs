//! Requests to the kernel over netlink, answered while we wait.
//!
//! The kernel carries out a request inside `sendto` (`netlink_unicast_kernel`) and the next part of a dump inside
//! `recv` (`netlink_dump`): nobody else is waited for, so there is no need of a runtime, nor of time limits.

use std::{io, ops::ControlFlow, os::fd::AsRawFd};

use netlink_packet_core::{
    DoneBuffer, Emitable, ErrorBuffer, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR,
    NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN, NetlinkBuffer,
    NetlinkHeader,
};
use netlink_sys::{Socket, SocketAddr};
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, recv},
};

/// The kernel fills no more than 32 KiB at once (`netlink_recvmsg`, `max_recvmsg_len`).
const BUFFER: usize = 64 * 1024;
const HEADER: usize = size_of::<libc::nlmsghdr>();

/// A netlink socket in the namespace of the thread that opened it.
pub(crate) struct Requester {
    socket: Socket,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Requester {
    /// Opens a socket of a netlink family (`NETLINK_ROUTE`, …) in the calling thread's namespace.
    pub fn open(family: isize) -> io::Result<Self> {
        let mut socket = Socket::new(family)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self {
            socket,
            buffer: vec![0; BUFFER],
            sequence: 0,
        })
    }

    /// Sends a request that has one answer, and reads it with `read(type, payload)`.
    pub fn request<R>(
        &mut self,
        kind: u16,
        body: &impl Emitable,
        read: impl Fn(u16, &[u8]) -> R,
    ) -> io::Result<R> {
        self.send(kind, NLM_F_REQUEST, body)?;
        self.answer(read)
    }

    fn answer<R>(&mut self, read: impl Fn(u16, &[u8]) -> R) -> io::Result<R> {
        let mut answer = None;
        while answer.is_none() {
            let length = receive(&self.socket, &mut self.buffer)?;
            for message in Messages(&self.buffer[..length]) {
                if message.sequence_number() == self.sequence {
                    check(&message)?;
                    answer = Some(read(message.message_type(), message.payload()));
                }
            }
        }
        answer.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Sends a request that has no answer but that it is done.
    pub fn order(&mut self, kind: u16, body: &impl Emitable) -> io::Result<()> {
        self.send(kind, NLM_F_REQUEST | NLM_F_ACK, body)?;
        self.answer(|_, _| ())
    }

    /// Sends a request that makes something, with further flags (`NLM_F_EXCL`, …), and has no answer but that it is done.
    pub fn create(&mut self, kind: u16, flags: u16, body: &impl Emitable) -> io::Result<()> {
        self.send(kind, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | flags, body)?;
        self.answer(|_, _| ())
    }

    /// Asks for a dump and gives each message of it to `each(type, payload)`, until that breaks.
    ///
    /// # Errors
    /// What the kernel says; `Interrupted` where the objects changed during the dump, so that some may be lacking or
    /// there twice (`NLM_F_DUMP_INTR`).
    // It takes the socket, since what is left of a dump that was broken off would be in the way of the next.
    pub fn dump(
        mut self,
        kind: u16,
        body: &impl Emitable,
        mut each: impl FnMut(u16, &[u8]) -> ControlFlow<()>,
    ) -> io::Result<()> {
        self.send(kind, NLM_F_REQUEST | NLM_F_DUMP, body)?;
        let mut interrupted = false;
        loop {
            let length = receive(&self.socket, &mut self.buffer)?;
            for message in Messages(&self.buffer[..length]) {
                if message.sequence_number() != self.sequence {
                    continue;
                }
                check(&message)?;
                interrupted |= message.flags() & NLM_F_DUMP_INTR != 0;
                match message.message_type() {
                    NLMSG_DONE if interrupted => return Err(io::ErrorKind::Interrupted.into()),
                    NLMSG_DONE => return Ok(()),
                    kind => {
                        if each(kind, message.payload()).is_break() {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    fn send(&mut self, kind: u16, flags: u16, body: &impl Emitable) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = vec![0; HEADER + body.buffer_len()];
        let mut header = NetlinkHeader::default();
        header.length = message.len() as u32;
        header.message_type = kind;
        header.flags = flags;
        header.sequence_number = self.sequence;
        header.emit(&mut message);
        body.emit(&mut message[HEADER..]);
        self.socket.send(&message, 0)?;
        Ok(())
    }
}

/// The messages of a datagram. One that is cut short ends them.
pub(super) struct Messages<'a>(pub &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = NetlinkBuffer<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let message = NetlinkBuffer::new_checked(self.0).ok()?;
        let length = message.length() as usize;
        let (message, _) = self.0.split_at_checked(length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(NetlinkBuffer::new(message))
    }
}

/// Receives one datagram, whole.
pub(super) fn receive(socket: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC) {
            Ok(length) if length > buffer.len() => {
                return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
            }
            Ok(length) => return Ok(length),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The error in a message, if there is one.
fn check(message: &NetlinkBuffer<&[u8]>) -> io::Result<()> {
    let payload = message.payload();
    let code = match message.message_type() {
        NLMSG_ERROR => ErrorBuffer::new_checked(payload)
            .ok()
            .and_then(|error| error.code())
            .map_or(0, |code| code.get()),
        NLMSG_DONE => DoneBuffer::new_checked(payload).map_or(0, |done| done.code()),
        NLMSG_OVERRUN => -libc::ENOBUFS,
        NLMSG_NOOP => 0,
        _ => return Ok(()),
    };
    if code < 0 {
        Err(io::Error::from_raw_os_error(-code))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        let mut header = NetlinkHeader::default();
        header.length = (HEADER + payload.len()) as u32;
        header.message_type = kind;
        header.emit(&mut bytes);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_datagram_is_cut_at_its_messages() {
        let mut datagram = message(16, &[1, 2, 3]);
        datagram.extend(message(17, &[]));
        datagram.extend(&message(18, &[9; 8])[..20]);
        let seen: Vec<_> = Messages(&datagram)
            .map(|m| (m.message_type(), m.payload().to_vec()))
            .collect();
        assert_eq!(seen, [(16, vec![1, 2, 3]), (17, vec![])]);
    }

    #[test]
    fn errors_are_the_kernels() {
        let denied = message(NLMSG_ERROR, &(-libc::EPERM).to_ne_bytes());
        let error = check(&NetlinkBuffer::new(denied.as_slice())).expect_err("an error");
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        let done = message(NLMSG_DONE, &0i32.to_ne_bytes());
        check(&NetlinkBuffer::new(done.as_slice())).expect("no error");
        let failed = message(NLMSG_DONE, &(-libc::ENOENT).to_ne_bytes());
        let error = check(&NetlinkBuffer::new(failed.as_slice())).expect_err("an error");
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for message in Messages(&bytes) {
                let _ = check(&message);
            }
        }
    }
}
