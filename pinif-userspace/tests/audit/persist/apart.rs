//! `pinif detach` without a directory, in a world of its own: it sees no process of others, and only the mounts that are kept. It
//! would find the auditors of other tests, and of the machine.

use std::ffi::CStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use procfs::process::Process;

/// Runs `pinif detach` where these are the only BPF file systems and named network namespaces.
pub fn detach(kept: &[&Path]) -> Output {
    let run = || -> io::Result<Output> {
        // Of this thread alone, which ends with this.
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)?;
        mount(
            None::<&str>,
            "/",
            None::<&str>,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            None::<&str>,
        )?;
        for mounted in others(kept)? {
            // One that is below another is gone with it.
            let _gone = umount2(&mounted, MntFlags::MNT_DETACH);
        }
        let mut pinif = Command::new(env!("CARGO_BIN_EXE_pinif"));
        pinif.arg("detach");
        // SAFETY: between fork and exec a single system call is made, with constants.
        unsafe { pinif.pre_exec(own_processes) };
        pinif.output()
    };
    thread::scope(|scope| scope.spawn(run).join())
        .expect("no panic")
        .expect("a world of its own cannot be made")
}

fn others(kept: &[&Path]) -> io::Result<Vec<PathBuf>> {
    let mounts = Process::myself().and_then(|own| own.mountinfo());
    let mounts = mounts.map_err(io::Error::other)?.0;
    let mut others: Vec<_> = mounts
        .into_iter()
        .filter(|mount| matches!(mount.fs_type.as_str(), "bpf" | "nsfs"))
        .map(|mount| mount.mount_point)
        .collect();
    others.retain(|mount| !kept.contains(&mount.as_path()));
    Ok(others)
}

/// Mounts the /proc of the calling process's PID namespace.
fn own_processes() -> io::Result<()> {
    const PROC: &CStr = c"proc";
    // SAFETY: the texts end with a zero, and there is no data.
    let outcome = unsafe {
        libc::mount(
            PROC.as_ptr(),
            c"/proc".as_ptr(),
            PROC.as_ptr(),
            0,
            std::ptr::null(),
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
