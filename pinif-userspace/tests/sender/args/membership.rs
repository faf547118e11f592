//! The options by which a socket is of a group: ip(7), ipv6(7), RFC 3678.

use clap::ValueEnum;

/// An option that joins a group, or says of which sources it is wanted.
#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum How {
    /// `IP_ADD_MEMBERSHIP` with `ip_mreq`.
    Mreq,
    /// The same with `ip_mreqn`, or `IPV6_ADD_MEMBERSHIP`.
    Mreqn,
    /// `IP_ADD_SOURCE_MEMBERSHIP`.
    Source,
    /// `IPV6_JOIN_ANYCAST`.
    Anycast,
    /// `MCAST_JOIN_GROUP`.
    Mcast,
    /// `MCAST_JOIN_SOURCE_GROUP`.
    McastSource,
    /// `IP_BLOCK_SOURCE`.
    Block,
    /// `MCAST_BLOCK_SOURCE`.
    McastBlock,
    /// `IP_MSFILTER`.
    Filter,
    /// `MCAST_MSFILTER`.
    McastFilter,
}
