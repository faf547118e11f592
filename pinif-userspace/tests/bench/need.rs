//! What a scenario needs of the machine.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use aya::util::KernelVersion;
use io_uring::{IoUring, Probe, opcode};
use pinif_lab::{LinkKind, Namespace, hierarchy};
use pinif_userspace::kernel::mode::Mode;
use socket2::{Domain, Protocol, Socket, Type};

/// A requirement. [`Need::unmet`] says why it does not hold here.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// Root, and cgroup v2: what every scenario needs.
    Namespaces,
    /// A program on the path.
    Program(&'static str),
    /// A file that is in no directory of the path.
    File(&'static str),
    /// Prometheus, which `cargo xtask setup` brings; [`prometheus`] is where.
    Prometheus,
    /// VictoriaMetrics, which `cargo xtask setup` brings; [`victoria_metrics`] is where.
    VictoriaMetrics,
    /// The collector rotel, which `cargo xtask setup` brings; [`rotel`] is where.
    Rotel,
    /// tshark, which `cargo xtask setup` brings; [`tshark`] is where.
    Tshark,
    /// A browser and axe-core, which `cargo xtask setup` brings; [`browser`] is where.
    Browser,
    /// A kind of link.
    Link(LinkKind),
    /// AF_XDP sockets.
    AfXdp,
    /// pktgen, whose module the kernel does not load by itself.
    Pktgen,
    /// netconsole, and where it is configured: for a machine of its own, since the module is loaded for it.
    Netconsole,
    /// Multipath TCP.
    Mptcp,
    /// Routes for groups.
    MulticastRouting,
    /// A machine for this run alone, whose settings a scenario may change for all its namespaces.
    OwnMachine,
    /// A processor of this kind.
    Architecture(&'static str),
    /// TCX, the hook that comes before the clsact qdisc.
    Tcx,
    /// nftables' hook for what leaves by an interface.
    NetdevEgress,
    /// Sockets that are made by io_uring.
    IoUringSocket,
    /// How many instructions the verifier went through (`verified_insns` of `struct bpf_prog_info`).
    VerifiedCount,
    /// VRFs whose routes ask which interface a socket is bound to (`flowi_l3mdev`).
    VrfHolds,
}

impl Need {
    /// Why this is not met, in words; `None` where it is.
    pub fn unmet(&self) -> Option<String> {
        match self {
            Self::Namespaces if !nix::unistd::geteuid().is_root() => {
                Some("it makes network namespaces, and must run as root".to_owned())
            }
            Self::Namespaces => hierarchy().err().map(|error| error.to_string()),
            Self::Program(name) => {
                let path = env::var_os("PATH").unwrap_or_default();
                let found = env::split_paths(&path).any(|directory| directory.join(name).is_file());
                (!found).then(|| format!("{name} is not installed"))
            }
            Self::File(path) => (!Path::new(path).exists()).then(|| format!("{path} is not there")),
            Self::Prometheus => prometheus().is_none().then(|| {
                "Prometheus is not there: `cargo xtask test`, which runs all tests, brings it".to_owned()
            }),
            Self::VictoriaMetrics => victoria_metrics().is_none().then(|| {
                "VictoriaMetrics is not there: `cargo xtask test`, which runs all tests, brings it".to_owned()
            }),
            Self::Rotel => rotel().is_none().then(|| {
                "rotel is not there: `cargo xtask test`, which runs all tests, brings it".to_owned()
            }),
            Self::Tshark => tshark().is_none().then(|| {
                "tshark is not there: `cargo xtask test`, which runs all tests, brings it".to_owned()
            }),
            Self::Browser => browser().is_none().then(|| {
                "Chromium is not there: `cargo xtask test`, which runs all tests, brings it".to_owned()
            }),
            Self::AfXdp => {
                let socket = Socket::new(Domain::from(libc::AF_XDP), Type::RAW, None);
                socket
                    .err()
                    .map(|error| format!("this kernel has no AF_XDP sockets ({error})"))
            }
            Self::Pktgen => {
                let _loaded = Command::new("modprobe").arg("pktgen").output();
                let is_there = Path::new("/proc/net/pktgen").is_dir();
                (!is_there).then(|| "this kernel has no pktgen".to_owned())
            }
            Self::Netconsole => {
                let _loaded = Command::new("modprobe").arg("netconsole").output();
                let configuration = Path::new("/sys/kernel/config");
                if !configuration.join("netconsole").is_dir() {
                    let _mounted = Command::new("mount")
                        .args(["-t", "configfs", "configfs"])
                        .arg(configuration)
                        .output();
                }
                (!configuration.join("netconsole").is_dir())
                    .then(|| "this kernel has no netconsole that can be configured (NETCONSOLE_DYNAMIC)".to_owned())
            }
            Self::Mptcp => Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP))
                .err()
                .map(|error| format!("this kernel has no Multipath TCP: {error}")),
            Self::MulticastRouting => (!Path::new("/proc/net/ip_mr_vif").exists())
                .then(|| "this kernel has no routes for groups (IP_MROUTE)".to_owned()),
            Self::OwnMachine => env::var_os("PINIF_OWN_MACHINE").is_none().then(|| {
                "it changes a setting of the whole machine, which only one of `cargo xtask vm` lets it".to_owned()
            }),
            Self::Architecture(name) => (env::consts::ARCH != *name)
                .then(|| format!("it needs a processor of the kind {name}")),
            Self::Tcx => (Mode::of_kernel() != Mode::Tcx)
                .then(|| "this kernel has no TCX, which came with Linux 6.6".to_owned()),
            Self::NetdevEgress => {
                Self::Program("nft").unmet().or_else(|| {
                    let scratch = Namespace::new("netdev-egress").expect("a namespace");
                    let chain = "add table netdev t; add chain netdev t c { type filter hook egress device lo priority 0; }";
                    let added = scratch.run(|| Command::new("nft").arg(chain).output());
                    let added = added.and_then(|added| Ok(added?)).expect("nft runs");
                    (!added.status.success()).then(|| "this kernel has no nftables hook at egress".to_owned())
                })
            }
            Self::IoUringSocket => {
                let mut probe = Probe::new();
                let asked = IoUring::new(1).and_then(|ring| ring.submitter().register_probe(&mut probe));
                (asked.is_err() || !probe.is_supported(opcode::Socket::CODE))
                    .then(|| "this kernel's io_uring makes no sockets".to_owned())
            }
            Self::VrfHolds => {
                let holds = |kernel| kernel >= KernelVersion::new(6, 1, 0);
                (!KernelVersion::current().is_ok_and(holds)).then(|| {
                    "this kernel's VRFs do not ask which of their interfaces a socket is bound to, as those since Linux 6.1 do".to_owned()
                })
            }
            Self::VerifiedCount => {
                let counts = |kernel| kernel >= KernelVersion::new(5, 16, 0);
                (!KernelVersion::current().is_ok_and(counts)).then(|| {
                    "this kernel does not count what it verifies, which came with Linux 5.16".to_owned()
                })
            }
            Self::Link(kind) => match kind.is_available() {
                Ok(true) => None,
                Ok(false) => Some(format!("this kernel has no {} devices", kind.name())),
                Err(error) => panic!(
                    "cannot find out whether there are {} devices: {error:#}",
                    kind.name()
                ),
            },
        }
    }
}

/// Where the programs of Prometheus and Alertmanager are.
pub fn prometheus() -> Option<PathBuf> {
    having(
        "PINIF_TEST_PROMETHEUS",
        ["prometheus", "prometheus-alertmanager"],
    )
}

/// Where VictoriaMetrics and its vmagent are.
pub fn victoria_metrics() -> Option<PathBuf> {
    having(
        "PINIF_TEST_VICTORIA_METRICS",
        ["victoria-metrics", "vmagent"],
    )
}

/// The directory that this variable names, where it has both.
fn having(variable: &str, both: [&str; 2]) -> Option<PathBuf> {
    let directory = PathBuf::from(env::var_os(variable)?);
    both.iter()
        .all(|name| directory.join(name).exists())
        .then_some(directory)
}

/// Where the program of rotel is.
pub fn rotel() -> Option<PathBuf> {
    let program = PathBuf::from(env::var_os("PINIF_TEST_ROTEL")?);
    program.exists().then_some(program)
}

/// Where tshark is, with its libraries in a folder beside it.
pub fn tshark() -> Option<PathBuf> {
    having("PINIF_TEST_TSHARK", ["tshark", "lib"])
}

/// Where Chromium is, with its libraries and fonts in folders beside it, and axe-core.
pub fn browser() -> Option<PathBuf> {
    having("PINIF_TEST_BROWSER", ["chromium", "axe.min.js"])
}
