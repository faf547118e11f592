//! What single values of the file mean: prefixes, ports, protocols, users, paths, interface patterns.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use globset::{Glob, GlobMatcher};
use ipnet::{IpNet, Ipv4Net, ipv4_mask_to_prefix};
use pinif_ebpf::enforce::Action;

use super::file::Scalar;
use super::problem::{Flaw, nearest, quoted};
use crate::text::escape::visible;

/// The longest name of an interface (`IFNAMSIZ`, less the final zero).
const MAX_INTERFACE_NAME: usize = 15;

/// The protocols whose packets carry ports where pinif reads them.
pub(super) const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];

/// IANA's protocol numbers, by the names of `/etc/protocols`: those that a policy may want to name. Not read from
/// that file, so that a policy means the same on every machine.
const PROTOCOLS: [(&str, u8); 22] = [
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("egp", 8),
    ("udp", 17),
    ("dccp", 33),
    ("ipv6", 41),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("eigrp", 88),
    ("ospf", 89),
    ("etherip", 97),
    ("pim", 103),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
    ("mpls-in-ip", 137),
];

/// What other tools call the actions of a rule.
const OTHER_ACTIONS: [(&str, &str); 9] = [
    ("audit", "alert"),
    ("log", "alert"),
    ("report", "alert"),
    ("warn", "alert"),
    ("block", "drop"),
    ("deny", "drop"),
    ("discard", "drop"),
    ("enforce", "drop"),
    ("reject", "drop"),
];

/// A prefix, or an address, which is a prefix of its whole length.
pub(super) fn prefix(text: &str) -> Result<IpNet, Flaw> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    if address.contains('%') {
        let mend = "leave the `%` and what follows out; `only_via` says by which interfaces";
        return Err(Flaw::new(format!("{} names an interface", quoted(text))).mend(mend));
    }
    let Ok(address) = address.parse::<IpAddr>() else {
        let mend =
            "write it as in `10.0.0.0/8`, `fd00::/8` or `192.0.2.1`; host names are not looked up";
        return Err(Flaw::new(format!("{} is not an IP prefix", quoted(text))).mend(mend));
    };
    let net = match length {
        None => IpNet::from(address),
        Some(length) => with_length(text, address, length)?,
    };
    if net != net.trunc() {
        let flaw = Flaw::new(format!("{} has host bits set", quoted(text)))
            .mark(format!("the network is {}", net.trunc()))
            .mend(format!(
                "write `{}`, or `{address}` for the one address",
                net.trunc()
            ));
        return Err(flaw);
    }
    unmapped(net)
}

fn with_length(text: &str, address: IpAddr, length: &str) -> Result<IpNet, Flaw> {
    let (family, longest) = match address {
        IpAddr::V4(_) => ("IPv4", 32),
        IpAddr::V6(_) => ("IPv6", 128),
    };
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(net) = length
        .parse()
        .ok()
        .filter(|_| digits)
        .and_then(|bits| IpNet::new(address, bits).ok())
    {
        return Ok(net);
    }
    let flaw = Flaw::new(format!("{} has no valid prefix length", quoted(text)));
    let from_mask = match (address, length.parse::<Ipv4Addr>()) {
        (IpAddr::V4(address), Ok(mask)) => ipv4_mask_to_prefix(mask)
            .ok()
            .and_then(|bits| Ipv4Net::new(address, bits).ok()),
        _ => None,
    };
    Err(match from_mask {
        Some(net) => flaw.mend(format!("write the netmask as a length: `{}`", net.trunc())),
        None => flaw.mend(format!(
            "the length of an {family} prefix is a number from 0 to {longest}"
        )),
    })
}

/// Packets carry IPv4 addresses as IPv4: a prefix of mapped ones matches nothing.
fn unmapped(net: IpNet) -> Result<IpNet, Flaw> {
    if let IpNet::V6(v6) = net
        && let Some(v4) = v6.network().to_ipv4_mapped()
        && let Some(length) = v6.prefix_len().checked_sub(96)
    {
        let flaw = Flaw::new(format!(
            "`{v6}` is IPv4 written as IPv6, and no packet has such an address"
        ));
        return Err(flaw.mend(format!("write `{v4}/{length}`")));
    }
    Ok(net)
}

/// A port or a range of ports.
pub(super) fn ports(value: &Scalar) -> Result<RangeInclusive<u16>, Flaw> {
    let text = match value {
        Scalar::Number(number) => return one_port(&number.to_string()).map(|port| port..=port),
        Scalar::Text(text) => text,
    };
    let Some((from, to)) = text.split_once('-') else {
        return match text.split_once(':') {
            Some((from, to)) if one_port(from).is_ok() && one_port(to).is_ok() => {
                Err(not_a_port(text).mend(format!("write a range with `-`: `\"{from}-{to}\"`")))
            }
            _ => one_port(text).map(|port| port..=port),
        };
    };
    let (from, to) = (one_port(from.trim())?, one_port(to.trim())?);
    if from > to {
        let flaw = Flaw::new(format!("the range {} ends before it begins", quoted(text)));
        return Err(flaw.mend(format!("write `\"{to}-{from}\"`")));
    }
    Ok(from..=to)
}

fn one_port(text: &str) -> Result<u16, Flaw> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| not_a_port(text))
}

fn not_a_port(text: &str) -> Flaw {
    Flaw::new(format!("{} is not a port", quoted(text)))
        .mend("a port is a number from 0 to 65535, a range is text as in `\"8000-8999\"`; service names are not looked up")
}

/// An IP protocol, by name or number.
pub(super) fn protocol(value: &Scalar) -> Result<u8, Flaw> {
    let text = match value {
        Scalar::Number(number) => {
            return u8::try_from(*number).map_err(|_| {
                Flaw::new(format!("{number} is not an IP protocol"))
                    .mend("protocol numbers are 0 to 255")
            });
        }
        Scalar::Text(text) => text,
    };
    let named = PROTOCOLS.iter().find(|(name, _)| name == text);
    named.map(|(_, number)| *number).ok_or_else(|| {
        let flaw = Flaw::new(format!("unknown protocol {}", quoted(text)));
        if text.parse::<u8>().is_ok() {
            return flaw.mend(format!("write the number {text} without quotes"));
        }
        match nearest(text, PROTOCOLS.iter().map(|(name, _)| *name)) {
            Some(name) => flaw.mend(format!("did you mean `{name}`?")),
            None => flaw.mend(
                "name `tcp`, `udp`, `icmp`, `icmpv6`, …, or give the number that IANA assigned",
            ),
        }
    })
}

/// The protocol as a message shows it.
pub(super) fn protocol_name(number: u8) -> String {
    let named = PROTOCOLS.iter().find(|(_, of_name)| *of_name == number);
    named.map_or_else(
        || format!("protocol {number}"),
        |(name, _)| format!("`{name}`"),
    )
}

/// A user id, by number or by name; `look_up` knows the names, and fails with a reason.
pub(super) fn user(
    value: &Scalar,
    look_up: &dyn Fn(&str) -> Result<Option<u32>, String>,
) -> Result<u32, Flaw> {
    let text = match value {
        // The last number means "no user" to the kernel (`INVALID_UID`).
        Scalar::Number(number) => {
            return u32::try_from(*number)
                .ok()
                .filter(|uid| *uid != u32::MAX)
                .ok_or_else(|| {
                    Flaw::new(format!("{number} is not a user id"))
                        .mend("user ids are 0 to 4294967294")
                });
        }
        Scalar::Text(text) => text,
    };
    let unknown = || Flaw::new(format!("unknown user {}", quoted(text)));
    match look_up(text) {
        Ok(Some(uid)) => Ok(uid),
        Ok(None) if text.parse::<u32>().is_ok() => {
            Err(unknown().mend(format!("write the number {text} without quotes")))
        }
        Ok(None) => Err(unknown().mend("create the user on this machine, or give its number")),
        Err(reason) => {
            let flaw = Flaw::new(format!(
                "user {} could not be looked up: {}",
                quoted(text),
                visible(&reason)
            ));
            Err(flaw.mend("give the number of the user"))
        }
    }
}

/// A cgroup of the v2 hierarchy, as `/proc/PID/cgroup` has it behind `0::`, without a final `/`.
pub(super) fn cgroup(text: &str) -> Result<String, Flaw> {
    let flaw = || Flaw::new(format!("{} is not the path of a cgroup", quoted(text)));
    if let Some(below) = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        .iter()
        .find_map(|mount| text.strip_prefix(mount))
    {
        let below = if below.is_empty() { "/" } else { below };
        return Err(flaw().mend(format!(
            "leave out where the hierarchy is mounted: write {}",
            quoted(below)
        )));
    }
    let mend = "write it as the line `0::` of `/proc/PID/cgroup` has it, as in `/system.slice/fabd.service`";
    if text == "/" {
        return Ok(text.to_owned());
    }
    let path = text.strip_suffix('/').unwrap_or(text);
    if plain_absolute(path) {
        Ok(path.to_owned())
    } else {
        Err(flaw().mend(mend))
    }
}

/// The absolute path of a program.
pub(super) fn executable(text: &str) -> Result<PathBuf, Flaw> {
    let flaw = || Flaw::new(format!("{} is not the path of a program", quoted(text)));
    if text.contains(['*', '?']) {
        return Err(flaw().mend("programs are matched by their whole path: list each one"));
    }
    if plain_absolute(text) {
        Ok(PathBuf::from(text))
    } else {
        Err(flaw().mend("write the absolute path, as in `/usr/sbin/fabd`"))
    }
}

fn plain_absolute(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|below| {
        below
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."))
            && !below.contains(char::is_control)
    })
}

/// The name of a zone or a rule, as it appears in findings.
pub(super) fn name(text: &str, owner: &str) -> Result<String, Flaw> {
    let mend =
        format!("name the {owner} after what it is for, as in `backplane` or `control-plane`");
    if text.trim().is_empty() {
        Err(Flaw::new(format!("the name of the {owner} is empty")).mend(mend))
    } else if text.chars().any(char::is_control) {
        Err(Flaw::new(format!("the name {} has control characters", quoted(text))).mend(mend))
    } else {
        Ok(text.to_owned())
    }
}

/// What becomes of what breaks a rule.
pub(super) fn action(text: &str) -> Result<Action, Flaw> {
    match text {
        "alert" => return Ok(Action::Alert),
        "drop" => return Ok(Action::Drop),
        _ => {}
    }
    let flaw = Flaw::new(format!("unknown action {}", quoted(text)));
    let other = OTHER_ACTIONS.iter().find(|(other, _)| *other == text);
    let meant = other
        .map(|(_, meant)| *meant)
        .or_else(|| nearest(text, ["alert", "drop"]));
    Err(match meant {
        Some(meant) => flaw.mend(format!("did you mean `{meant}`?")),
        None => flaw.mend(
            "write `alert`, to tell of it and never drop it, `drop`, to drop it under `--enforce`, or leave `action` out",
        ),
    })
}

/// A name or a glob for the names of interfaces.
pub(super) fn interfaces(text: &str) -> Result<GlobMatcher, Flaw> {
    let flaw = || Flaw::new(format!("{} is no interface name or pattern", quoted(text)));
    if text.is_empty() {
        return Err(Flaw::new("an interface name is empty")
            .mend("write the name as `ip link` shows it, or a pattern as in `fab*`"));
    }
    // What the kernel refuses in a name (`dev_valid_name`) never matches.
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || "/:".contains(c)) {
        return Err(flaw().mend("interface names have neither spaces nor `/` nor `:`; write them as `ip link` shows them"));
    }
    let is_pattern = text.contains(['*', '?', '[', '{', '\\']);
    if !is_pattern && text.len() > MAX_INTERFACE_NAME {
        return Err(flaw().mend(format!(
            "interface names have at most {MAX_INTERFACE_NAME} bytes; `*` stands for the rest"
        )));
    }
    Glob::new(text).map(|glob| glob.compile_matcher()).map_err(|error| {
        let what = format!("{} is no valid pattern: {}", quoted(text), visible(&error.kind().to_string()));
        Flaw::new(what).mend("`*` is any text, `?` one character, `[ab]` one of several, `{a,b}` one of several texts")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }

    #[test]
    fn an_address_is_a_prefix_of_its_whole_length() {
        for (written, meant) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("fd00::1", "fd00::1/128"),
            ("::/0", "::/0"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/96", "::/96"),
        ] {
            assert_eq!(
                prefix(written).map(|net| net.to_string()),
                Ok(meant.to_owned())
            );
        }
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for written in [
            "",
            "/",
            "10",
            "10.0/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "fd00::/129",
            "10.0.0.1/8",
            "fd00::1/64",
            "fe80::1%eth0",
            "fe80::1%eth0/64",
            "::ffff:10.0.0.0/104",
            "::ffff:10.0.0.1",
            "10.0.0.0/255.0.0.0",
            " 10.0.0.0/8",
            "example.net",
        ] {
            assert!(prefix(written).is_err(), "{written}");
        }
    }

    #[test]
    fn ports_are_numbers_or_ranges() {
        assert_eq!(ports(&Scalar::Number(0)), Ok(0..=0));
        assert_eq!(ports(&Scalar::Number(65535)), Ok(65535..=65535));
        assert_eq!(ports(&text("53")), Ok(53..=53));
        assert_eq!(ports(&text("8000-8999")), Ok(8000..=8999));
        assert_eq!(ports(&text("8000 - 8999")), Ok(8000..=8999));
        assert_eq!(ports(&text("0-65535")), Ok(0..=65535));
        for bad in [
            "", "-", "1-", "-1", "2-1", "65536", "1-65536", "ssh", "+1", "1-2-3", "80,443",
        ] {
            assert!(ports(&text(bad)).is_err(), "{bad}");
        }
        for bad in [-1, 65536, i128::MAX] {
            assert!(ports(&Scalar::Number(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn protocols_have_names_and_numbers() {
        assert_eq!(protocol(&text("tcp")), Ok(6));
        assert_eq!(protocol(&text("icmpv6")), Ok(58));
        assert_eq!(protocol(&Scalar::Number(255)), Ok(255));
        assert!(protocol(&Scalar::Number(256)).is_err());
        assert!(protocol(&text("6")).is_err());
        for number in WITH_PORTS {
            assert!(
                protocol_name(number).starts_with('`'),
                "{number} has a name"
            );
        }
    }

    #[test]
    fn users_are_looked_up() {
        let look_up = |name: &str| match name {
            "fabd" => Ok(Some(998)),
            "broken" => Err("no name service".to_owned()),
            _ => Ok(None),
        };
        assert_eq!(user(&text("fabd"), &look_up), Ok(998));
        assert_eq!(user(&Scalar::Number(0), &look_up), Ok(0));
        assert_eq!(
            user(&Scalar::Number(4_294_967_294), &look_up),
            Ok(4_294_967_294)
        );
        for bad in [
            Scalar::Number(-1),
            Scalar::Number(4_294_967_295),
            text("nobody-here"),
            text("998"),
            text("broken"),
        ] {
            assert!(user(&bad, &look_up).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn paths_are_absolute_and_plain() {
        assert_eq!(cgroup("/"), Ok("/".to_owned()));
        assert_eq!(
            cgroup("/system.slice/fabd.service/"),
            Ok("/system.slice/fabd.service".to_owned())
        );
        assert_eq!(executable("/usr/bin/["), Ok(PathBuf::from("/usr/bin/[")));
        for bad in ["", "a", "//", "/a//b", "/a/../b", "/./a", "/a\u{1b}"] {
            assert!(cgroup(bad).is_err(), "{bad}");
            assert!(executable(bad).is_err(), "{bad}");
        }
        assert!(cgroup("/sys/fs/cgroup/unified/system.slice").is_err());
        assert!(executable("/usr/bin/").is_err());
        assert!(executable("/usr/bin/*").is_err());
    }

    #[test]
    fn actions_are_words() {
        assert_eq!(action("alert"), Ok(Action::Alert));
        assert_eq!(action("drop"), Ok(Action::Drop));
        for bad in ["", "Drop", "allow", "reject"] {
            assert!(action(bad).is_err(), "{bad}");
        }
        for (other, meant) in OTHER_ACTIONS {
            assert!(action(other).is_err() && action(meant).is_ok(), "{other}");
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        let fab = interfaces("fab*").expect("a pattern");
        assert!(fab.is_match("fab0") && fab.is_match("fab0.100"));
        assert!(!fab.is_match("xfab0"));
        assert!(!interfaces("eth0").expect("a name").is_match("eth0.100"));
        for bad in [
            "",
            "eth 0",
            "eth/0",
            "eth0:1",
            "eth[",
            "{a",
            "a-name-of-16-byt",
            "eth\u{1b}",
        ] {
            assert!(interfaces(bad).is_err(), "{bad}");
        }
    }
}
