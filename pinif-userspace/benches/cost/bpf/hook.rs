//! Where programs are attached.

use std::fmt;

/// A place where the kernel runs programs (`enum bpf_attach_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hook(pub u32);

impl Hook {
    /// TCX ingress of an interface.
    pub const INGRESS: Self = Self(46);
    /// TCX egress of an interface.
    pub const EGRESS: Self = Self(47);

    /// A packet for a socket of the cgroup.
    pub const CGROUP_INGRESS: Self = Self(0);
    /// A packet of a socket of the cgroup, before the interface.
    pub const CGROUP_EGRESS: Self = Self(1);
    /// The end of `socket()`.
    pub const CREATE: Self = Self(2);
    /// The end of `bind()`, of IPv4.
    pub const POST_BIND4: Self = Self(12);
    /// The end of `bind()`, of IPv6.
    pub const POST_BIND6: Self = Self(13);
    /// The start of `connect()`, of IPv4.
    pub const CONNECT4: Self = Self(10);
    /// The start of `connect()`, of IPv6.
    pub const CONNECT6: Self = Self(11);
    /// A datagram with its address, of IPv4.
    pub const SENDMSG4: Self = Self(14);
    /// A datagram with its address, of IPv6.
    pub const SENDMSG6: Self = Self(15);
    /// `setsockopt()`.
    pub const SETSOCKOPT: Self = Self(22);
    /// The last `close()`.
    pub const RELEASE: Self = Self(34);

    const SCHED_CLS: u32 = 3;
    const CGROUP_SKB: u32 = 8;
    const CGROUP_SOCK: u32 = 9;
    const SOCK_OPS: u32 = 13;
    const CGROUP_SOCK_ADDR: u32 = 18;
    const CGROUP_SOCKOPT: u32 = 25;

    /// Its name, and the type of the programs that it takes (`enum bpf_prog_type`); nothing for those that cannot see
    /// traffic or sockets.
    const fn description(self) -> Option<(&'static str, u32)> {
        Some(match self.0 {
            0 => ("cgroup ingress", Self::CGROUP_SKB),
            1 => ("cgroup egress", Self::CGROUP_SKB),
            2 => ("socket()", Self::CGROUP_SOCK),
            3 => ("sock_ops", Self::SOCK_OPS),
            8 => ("bind4", Self::CGROUP_SOCK_ADDR),
            9 => ("bind6", Self::CGROUP_SOCK_ADDR),
            10 => ("connect4", Self::CGROUP_SOCK_ADDR),
            11 => ("connect6", Self::CGROUP_SOCK_ADDR),
            12 => ("post_bind4", Self::CGROUP_SOCK),
            13 => ("post_bind6", Self::CGROUP_SOCK),
            14 => ("sendmsg4", Self::CGROUP_SOCK_ADDR),
            15 => ("sendmsg6", Self::CGROUP_SOCK_ADDR),
            19 => ("recvmsg4", Self::CGROUP_SOCK_ADDR),
            20 => ("recvmsg6", Self::CGROUP_SOCK_ADDR),
            21 => ("getsockopt", Self::CGROUP_SOCKOPT),
            22 => ("setsockopt", Self::CGROUP_SOCKOPT),
            34 => ("release", Self::CGROUP_SOCK),
            46 => ("TC ingress", Self::SCHED_CLS),
            47 => ("TC egress", Self::SCHED_CLS),
            _ => return None,
        })
    }

    /// The type of its programs, where programs of ours can be attached to it.
    pub fn program_type(self) -> Option<u32> {
        self.description().map(|(_, kind)| kind)
    }

    /// Whether it is an interface's.
    pub fn is_of_interface(self) -> bool {
        self.program_type() == Some(Self::SCHED_CLS)
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.description() {
            Some((name, _)) => formatter.write_str(name),
            None => write!(formatter, "attach type {}", self.0),
        }
    }
}
