//! Frames of an AF_XDP socket in copy mode (Documentation/networking/af_xdp.rst): it sends only, and needs no XDP program.

use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use pinif_lab::send;
use pinif_lab::socket::{set_bytes, set_option};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::args::{Args, Packet};
use crate::frame::frame_of;
use crate::rendezvous;
use crate::sent::Sent;

/// Entries of each ring, and frames of the memory.
const ENTRIES: u32 = 64;
const FRAME: usize = 2048;

/// Sends frames with the same content by the first queue of the interface.
pub fn xdp(packet: &Packet, args: &Args) -> Result<Sent> {
    let frame = frame_of(packet)?;
    ensure!(frame.len() <= FRAME, "a frame has {FRAME} bytes at most");
    let socket = Socket::new(Domain::from(libc::AF_XDP), Type::RAW, None)
        .context("this kernel has no AF_XDP sockets")?;
    let memory = Mapped::anonymous(ENTRIES as usize * FRAME)?;
    register(&socket, &memory)?;
    let rings = Rings::map(&socket)?;
    bind(&socket, send::index(&packet.device)?)?;
    for number in 0..ENTRIES as usize {
        memory.write(number * FRAME, &frame);
    }
    if args.wait_stdin {
        rendezvous("ready")?;
    }
    let mut sent = Sent::by(&socket)?;
    let mut given = 0u32;
    while u64::from(given) < packet.count {
        let some = (packet.count - u64::from(given)).min(u64::from(ENTRIES)) as u32;
        given += some;
        rings.give(some, frame.len() as u32);
        while rings.taken() != given {
            kick(&socket)?;
        }
    }
    for _ in 0..given {
        sent.count(Ok(frame.len()));
    }
    if packet.stay {
        rendezvous("sent")?;
    }
    Ok(sent)
}

fn register(socket: &Socket, memory: &Mapped) -> Result<()> {
    let words = [
        memory.start.as_ptr() as u64,
        memory.length as u64,
        // The size of a chunk, and the room before it, which are words of half the size.
        FRAME as u64,
        0,
    ];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    set_bytes(socket, libc::SOL_XDP, libc::XDP_UMEM_REG, &bytes).context("XDP_UMEM_REG")?;
    for ring in [
        libc::XDP_UMEM_FILL_RING,
        libc::XDP_UMEM_COMPLETION_RING,
        libc::XDP_TX_RING,
    ] {
        set_option(socket, libc::SOL_XDP, ring, ENTRIES as i32).context("a ring")?;
    }
    Ok(())
}

fn bind(socket: &Socket, index: u32) -> Result<()> {
    // SAFETY: the storage is zeroed, aligned and large enough for every kind of address; `sockaddr_xdp` is plain data. The
    // length set is that of what was written.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, written| {
            let xdp = storage.cast::<libc::sockaddr_xdp>();
            (*xdp).sxdp_family = libc::AF_XDP as u16;
            (*xdp).sxdp_flags = libc::XDP_COPY;
            (*xdp).sxdp_ifindex = index;
            *written = size_of::<libc::sockaddr_xdp>() as libc::socklen_t;
            Ok(())
        })
    }?;
    socket
        .bind(&address)
        .context("the AF_XDP socket cannot be bound")
}

/// Has the kernel send what was given.
fn kick(socket: &Socket) -> Result<()> {
    // SAFETY: there is nothing to be read.
    let outcome = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            ptr::null(),
            0,
            libc::MSG_DONTWAIT,
            ptr::null(),
            0,
        )
    };
    let error = std::io::Error::last_os_error();
    match error.raw_os_error() {
        _ if outcome >= 0 => Ok(()),
        Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS) => Ok(()),
        _ => Err(error).context("the AF_XDP socket cannot send"),
    }
}

/// The rings to send by, and of what was sent.
struct Rings {
    send: Mapped,
    done: Mapped,
    offsets: libc::xdp_mmap_offsets,
}

impl Rings {
    fn map(socket: &Socket) -> Result<Self> {
        // SAFETY: integers only, for which zeros are valid.
        let mut offsets: libc::xdp_mmap_offsets = unsafe { std::mem::zeroed() };
        let mut length = size_of_val(&offsets) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes, the size of `offsets`.
        let outcome = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_XDP,
                libc::XDP_MMAP_OFFSETS,
                (&raw mut offsets).cast(),
                &raw mut length,
            )
        };
        ensure!(
            outcome == 0,
            "XDP_MMAP_OFFSETS: {}",
            std::io::Error::last_os_error()
        );
        let entries = u64::from(ENTRIES);
        Ok(Self {
            send: Mapped::of(
                socket,
                offsets.tx.desc + entries * size_of::<libc::xdp_desc>() as u64,
                libc::XDP_PGOFF_TX_RING,
            )?,
            done: Mapped::of(
                socket,
                offsets.cr.desc + entries * 8,
                libc::XDP_UMEM_PGOFF_COMPLETION_RING as libc::off_t,
            )?,
            offsets,
        })
    }

    /// Gives some of the frames to the kernel.
    fn give(&self, frames: u32, length: u32) {
        let producer = self.send.word(self.offsets.tx.producer);
        let from = producer.load(Ordering::Relaxed);
        for number in 0..frames {
            let entry = u64::from((from + number) % ENTRIES);
            let at = self.offsets.tx.desc + entry * size_of::<libc::xdp_desc>() as u64;
            let address = u64::from(number) * FRAME as u64;
            self.send.write(at as usize, &address.to_ne_bytes());
            self.send.write(at as usize + 8, &length.to_ne_bytes());
            self.send.write(at as usize + 12, &[0; 4]);
        }
        producer.store(from + frames, Ordering::Release);
    }

    /// How many frames were sent so far.
    fn taken(&self) -> u32 {
        let producer = self
            .done
            .word(self.offsets.cr.producer)
            .load(Ordering::Acquire);
        // All of them are free again.
        self.done
            .word(self.offsets.cr.consumer)
            .store(producer, Ordering::Release);
        producer
    }
}

/// Memory that is shared with the kernel, unmapped when dropped.
struct Mapped {
    start: NonNull<u8>,
    length: usize,
}

impl Mapped {
    fn anonymous(length: usize) -> Result<Self> {
        Self::map(length, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    }

    fn of(socket: &Socket, length: u64, offset: libc::off_t) -> Result<Self> {
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        Self::map(length as usize, flags, socket.as_raw_fd(), offset)
    }

    fn map(length: usize, flags: i32, descriptor: i32, offset: libc::off_t) -> Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, which nothing else is in.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), length, access, flags, descriptor, offset) };
        ensure!(
            start != libc::MAP_FAILED,
            "mmap: {}",
            std::io::Error::last_os_error()
        );
        let start = NonNull::new(start.cast()).context("mmap gave nothing")?;
        Ok(Self { start, length })
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.length);
        // SAFETY: within the mapping, as was just compared, and the kernel reads none of it before it is given.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(at), bytes.len())
        };
    }

    fn word(&self, at: u64) -> &AtomicU32 {
        let at = at as usize;
        assert!(at + 4 <= self.length && at.is_multiple_of(4));
        // SAFETY: within the mapping and aligned, as was just compared; it lives as long as the reference.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(at).cast()) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and used no more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
