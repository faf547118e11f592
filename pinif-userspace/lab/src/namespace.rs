//! A named network namespace, as `ip netns add` makes one.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, ensure};
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use pinif_ebpf::key::NetNsCookie;

use crate::name;
use crate::netlink::Requests;

/// Where named namespaces are mounted: ip-netns(8).
pub(crate) const DIRECTORY: &str = "/run/netns";

/// The devices that some kernels give every namespace, one of each kind of tunnel whose module is loaded
/// (`net.core.fb_tunnels_only_for_init_net`).
pub const FALLBACK_TUNNELS: [&str; 9] = [
    "erspan0", "gre0", "gretap0", "ip6_vti0", "ip6gre0", "ip6tnl0", "ip_vti0", "sit0", "tunl0",
];

/// A named network namespace that is removed when dropped. `ip netns exec` and `pinif audit --netns` know it by
/// [`Namespace::name`].
///
/// Its loopback is up, everyone may open ping sockets, and it is quiet: it asks for no router, detects no duplicate
/// addresses, filters no reverse path and makes up no link-local address.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    mounted: Mount,
    handle: File,
    pub(crate) requests: Requests,
}

impl Namespace {
    /// Makes a namespace whose name ends in `label`. It fails without `CAP_SYS_ADMIN`.
    pub fn new(label: &str) -> Result<Self> {
        ensure!(
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-'),
            "the label {label:?} of a namespace is not made of letters, digits and hyphens"
        );
        prepare_directory()
            .with_context(|| format!("cannot prepare {DIRECTORY} for named namespaces"))?;
        let name = name::unique(label);
        let mounted = Mount::new(Path::new(DIRECTORY).join(&name))
            .with_context(|| format!("cannot make the network namespace {name}"))?;
        let handle = File::open(&mounted.0)
            .with_context(|| format!("cannot open {}", mounted.0.display()))?;
        let namespace = Self {
            name,
            mounted,
            handle,
            requests: Requests::default(),
        };
        namespace.quieten()?;
        namespace.set_up("lo")?;
        Ok(namespace)
    }

    /// The name, as below `/run/netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mounted.0
    }

    /// What the kernel calls it, in every record of the auditor.
    pub fn cookie(&self) -> Result<NetNsCookie> {
        self.run(super::send::netns_cookie)?
            .map(NetNsCookie)
            .context("cannot read the cookie of a network namespace")
    }

    /// Runs `f` on a fresh thread inside the namespace and waits for it; a panic in `f` goes on in the caller.
    ///
    /// Sockets, `/proc/thread-self/net` and `/proc/sys/net` are the namespace's own there, and whatever is opened keeps
    /// belonging to it. A child process started there begins in it.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T> {
        let entered = thread::scope(|scope| {
            scope
                .spawn(|| {
                    setns(&self.handle, CloneFlags::CLONE_NEWNET)?;
                    Ok(f())
                })
                .join()
        });
        let outcome: nix::Result<T> =
            entered.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        outcome.with_context(|| format!("cannot enter the network namespace {}", self.name))
    }

    /// The descriptor that `IFLA_NET_NS_FD` takes.
    pub(crate) fn raw_fd(&self) -> i32 {
        self.handle.as_raw_fd()
    }

    fn quieten(&self) -> Result<()> {
        const QUIET: [(&str, &str); 9] = [
            ("ipv4/ping_group_range", "0 2147483647"),
            // Answers of the kernel (ICMP) are scenarios too: none may be held back.
            ("ipv4/icmp_ratemask", "0"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
            ("ipv6/conf/default/accept_dad", "0"),
            ("ipv6/conf/default/accept_ra", "0"),
            ("ipv6/conf/default/router_solicitations", "0"),
            // IN6_ADDR_GEN_MODE_NONE: link-local addresses are given by hand, usable at once.
            ("ipv6/conf/default/addr_gen_mode", "1"),
            ("ipv6/icmp/ratelimit", "0"),
        ];
        self.set_sysctls(&QUIET)
    }
}

/// A namespace's bind mount. It outlives its processes, so that it must be taken away by hand.
#[derive(Debug)]
struct Mount(PathBuf);

impl Mount {
    fn new(path: PathBuf) -> io::Result<Self> {
        File::create_new(&path)?;
        let mounted = Self(path);
        thread::scope(|scope| scope.spawn(|| bind_new_namespace(&mounted.0)).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(mounted)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Leaves the calling thread in a new namespace that is mounted on `path`.
fn bind_new_namespace(path: &Path) -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    mount(
        Some("/proc/thread-self/ns/net"),
        path,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
}

/// Unmounts and unlinks a named namespace. Another's sweep may be at the same one: what is gone is well.
pub(crate) fn remove(path: &Path) {
    // Detached, so that one that is still in use goes away as soon as its last user does.
    let _gone = umount2(path, MntFlags::MNT_DETACH);
    let _gone = fs::remove_file(path);
}

/// Makes `/run/netns` a mount of its own that is shared with other mount namespaces, so that a namespace that is removed
/// here is not kept alive there: what ip-netns(8) does, and under the same lock.
fn prepare_directory() -> io::Result<()> {
    match fs::create_dir(DIRECTORY) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => (),
    }
    let lock =
        Flock::lock(File::open(DIRECTORY)?, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    let share = || {
        mount(
            None::<&str>,
            DIRECTORY,
            None::<&str>,
            MsFlags::MS_SHARED | MsFlags::MS_REC,
            None::<&str>,
        )
    };
    if share().is_err() {
        mount(
            Some(DIRECTORY),
            DIRECTORY,
            None::<&str>,
            MsFlags::MS_BIND | MsFlags::MS_REC,
            None::<&str>,
        )?;
        share()?;
    }
    drop(lock);
    Ok(())
}
