//! A packet's comment: what there is to know of it, as words `key=value` that a space separates. `contrib/wireshark/pinif.lua` reads it.

use std::fmt::{self, Write as _};

use super::packet::{About, Packet, Place};

/// The comment of a packet.
pub fn comment(packet: &Packet) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, &packet.place, &packet.about);
    text
}

fn write(text: &mut String, place: &Place, about: &About) -> fmt::Result {
    let About {
        finding,
        kind,
        severity,
        arrived,
        dropped,
        bound,
        rule,
        process,
        number,
    } = about;
    write!(text, "pinif.finding.id={finding}")?;
    write!(text, " kind={} severity={}", kind.name(), severity.name())?;
    let direction = if *arrived { "in" } else { "out" };
    let dropped = if *dropped { "yes" } else { "no" };
    write!(text, " direction={direction} dropped={dropped}")?;
    word(text, "interface", &place.interface)?;
    word(text, "netns", &place.netns)?;
    if let Some(bound) = bound {
        word(text, "bound", bound)?;
    }
    if let Some(rule) = rule {
        word(text, "rule", rule)?;
    }
    if let Some((name, pid)) = process {
        word(text, "process", name)?;
        if let Some(pid) = pid {
            write!(text, " pid={pid}")?;
        }
    }
    write!(text, " packet={number}")
}

/// A word with a value that somebody chose: what is no letter, digit or sign of usual names is written as RFC 3986 does, 2.1.
fn word(text: &mut String, key: &str, value: &str) -> fmt::Result {
    write!(text, " {key}=")?;
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:@+,".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::SystemTime;

    use pinif_ebpf::verdict::{Kind, Severity};

    use super::*;
    use crate::findings::finding::FindingId;

    /// A packet of a process.
    pub fn packet() -> Packet {
        Packet {
            place: Place {
                interface: "eth1".to_owned(),
                netns: "card".to_owned(),
                ethernet: true,
            },
            time: SystemTime::UNIX_EPOCH,
            length: 60,
            bytes: vec![0; 42],
            about: About {
                finding: FindingId(0xabc),
                kind: Kind::DeviceEscape,
                severity: Severity::Leak,
                arrived: false,
                dropped: false,
                bound: Some("fab0".to_owned()),
                rule: None,
                process: Some(("telemetryd".to_owned(), Some(812))),
                number: 1,
            },
        }
    }

    #[test]
    fn a_comment_has_words() {
        assert_eq!(
            comment(&packet()),
            "pinif.finding.id=000000000abc kind=device-escape severity=leak direction=out dropped=no interface=eth1 \
             netns=card bound=fab0 process=telemetryd pid=812 packet=1"
        );
    }

    #[test]
    fn a_name_forges_no_word() {
        let mut packet = packet();
        packet.place.netns.clear();
        packet.about = About {
            arrived: true,
            dropped: true,
            bound: None,
            rule: Some("the 1st=%".to_owned()),
            process: Some(("a kind=x\n\u{202e}é".to_owned(), None)),
            ..packet.about
        };
        assert_eq!(
            comment(&packet),
            "pinif.finding.id=000000000abc kind=device-escape severity=leak direction=in dropped=yes interface=eth1 netns= \
             rule=the%201st%3D%25 process=a%20kind%3Dx%0A%E2%80%AE%C3%A9 packet=1"
        );
    }
}
