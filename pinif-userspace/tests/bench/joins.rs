//! Groups, and the options of the sender that join them on an interface.

/// A group of IPv4.
pub const IPV4: &str = "--group 239.7.7.7";
/// A group of IPv6.
pub const IPV6: &str = "--group ff05::c0de";

/// Each option that names an interface by its index, with a group for it.
pub const BY_INDEX: [(&str, &str); 7] = [
    ("mreqn", IPV4),
    ("mcast", IPV4),
    ("mcast-source", "--group 232.7.7.7"),
    ("mreqn", IPV6),
    ("mcast", IPV6),
    ("anycast", "--group fd00::77"),
    ("mcast-source", "--group ff35::7 --source 2001:db8::7"),
];
