//! A program to which something is forbidden.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context, Result};
use nix::sys::prctl::set_no_new_privs;

use crate::args::RefuseBind;

/// A step of a classic BPF program (linux/filter.h).
const fn step(code: u32, jump_true: u8, jump_false: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: jump_true,
        jf: jump_false,
        k,
    }
}

/// Where `struct seccomp_data` has the number of the system call, and the lower half of an argument.
const NUMBER: u32 = 0;
const fn argument(index: u32) -> u32 {
    16 + 8 * index + if cfg!(target_endian = "big") { 4 } else { 0 }
}

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// `setsockopt(…, SOL_SOCKET, SO_BINDTODEVICE, …)` fails with `EPERM`, and nothing else.
const FILTER: [libc::sock_filter; 8] = [
    step(LOAD, 0, 0, NUMBER),
    step(EQUAL, 0, 5, libc::SYS_setsockopt as u32),
    step(LOAD, 0, 0, argument(1)),
    step(EQUAL, 0, 3, libc::SOL_SOCKET as u32),
    step(LOAD, 0, 0, argument(2)),
    step(EQUAL, 0, 1, libc::SO_BINDTODEVICE as u32),
    step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
    step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
];

/// Becomes the program, which keeps this process's id.
pub fn refuse_bind(sandbox: &RefuseBind) -> Result<()> {
    set_no_new_privs().context("cannot renounce privileges")?;
    let mut filter = FILTER;
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the kernel copies the program, which is valid for the call, and writes nothing.
    let outcome = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    if outcome != 0 {
        return Err(std::io::Error::last_os_error()).context("cannot set a seccomp filter");
    }
    let (program, arguments) = sandbox
        .command
        .split_first()
        .context("no program is named")?;
    let failed = Command::new(program).args(arguments).exec();
    Err(failed).with_context(|| format!("cannot become {program}"))
}
