//! What a rule of nftables asks of a packet, as far as it is read, and whether a packet may have it.

use std::net::IpAddr;

use crate::host::attributes::{attribute, be_number};

/// What is known of a packet where rules see it: nothing of what may have been changed since then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Whether it is of IPv6, or of IPv4.
    pub is_ipv6: Option<bool>,
    /// The protocol that it carries.
    pub protocol: Option<u8>,
    /// Where it is from.
    pub source: Option<IpAddr>,
    /// Where it goes.
    pub destination: Option<IpAddr>,
    /// The source port, of protocols that have ports.
    pub source_port: Option<u16>,
    /// The destination port, likewise.
    pub destination_port: Option<u16>,
    /// The user who owns its socket.
    pub uid: Option<u32>,
}

/// What an expression loads of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Field {
    /// `NFT_PAYLOAD_NETWORK_HEADER`, from this byte on.
    Network(usize),
    /// `NFT_PAYLOAD_TRANSPORT_HEADER`, likewise.
    Transport(usize),
    /// `NFT_META_PROTOCOL`.
    EtherType,
    /// `NFT_META_NFPROTO`.
    Family,
    /// `NFT_META_L4PROTO`.
    Protocol,
    /// `NFT_META_SKUID`.
    User,
}

/// A field that a register has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Loaded {
    field: Field,
    /// How many bytes of it; none where that is the field's to say.
    length: Option<usize>,
    /// The mask that is laid over it, and what is turned over then (`NFT_BITWISE_MASK_XOR`).
    masked: Option<(Vec<u8>, Vec<u8>)>,
}

/// What a field has to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Test {
    /// It compares so with this (`NFTA_CMP_OP`).
    Compare(u32, Vec<u8>),
    /// It is from the one to the other, or is not (`NFTA_RANGE_OP`).
    Range(bool, Vec<u8>, Vec<u8>),
}

/// What a rule asks of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    loaded: Loaded,
    test: Test,
}

/// The conditions of a rule, as its expressions are read one after another. What is not read is no condition.
#[derive(Default)]
pub(super) struct Reader {
    registers: Vec<(u32, Loaded)>,
    /// Those so far.
    pub conditions: Vec<Condition>,
}

impl Reader {
    /// The next expression, of which `written` is the register that it writes, as [`place`](super::registers::place) has it, if any.
    pub fn read(&mut self, name: &str, data: &[u8], place: fn(u32) -> u32, written: Option<u32>) {
        let number = |kind| be_number(&attribute(data, kind)?);
        let get = |kind| {
            let from = place(number(kind)?);
            let known = self.registers.iter().find(|(known, _)| *known == from);
            known.map(|(_, loaded)| loaded.clone())
        };
        let loads = match name {
            "cmp" => {
                let test = number(2).zip(bytes(data, 3));
                let test = test.map(|(how, value)| Test::Compare(how, value));
                self.demand(get(1), test);
                return;
            }
            "range" => {
                let test = number(2)
                    .zip(bytes(data, 3).zip(bytes(data, 4)))
                    .map(|(how, (from, to))| Test::Range(how == 0, from, to));
                self.demand(get(1), test);
                return;
            }
            "payload" => payload(data),
            "meta" => number(2).and_then(meta),
            "bitwise" => {
                let operands = bytes(data, 4).zip(bytes(data, 5));
                let is_boolean = number(6).unwrap_or_default() == 0;
                let from = get(1).filter(|loaded| is_boolean && loaded.masked.is_none());
                from.zip(operands).map(|(loaded, operands)| Loaded {
                    masked: Some(operands),
                    ..loaded
                })
            }
            _ => None,
        };
        if let Some(register) = written.map(place) {
            self.registers.retain(|(known, _)| *known != register);
            self.registers.extend(loads.map(|loads| (register, loads)));
        }
    }

    fn demand(&mut self, loaded: Option<Loaded>, test: Option<Test>) {
        let condition = loaded.zip(test);
        let condition = condition.map(|(loaded, test)| Condition { loaded, test });
        self.conditions.extend(condition);
    }
}

/// `NFTA_PAYLOAD_BASE`, `NFTA_PAYLOAD_OFFSET` and `NFTA_PAYLOAD_LEN` of an expression that loads.
fn payload(data: &[u8]) -> Option<Loaded> {
    let number = |kind| be_number(&attribute(data, kind)?);
    let offset = usize::try_from(number(3)?).ok()?;
    let field = match number(2)? {
        1 => Field::Network(offset),
        2 => Field::Transport(offset),
        _ => return None,
    };
    Some(Loaded {
        field,
        length: Some(usize::try_from(number(4)?).ok()?),
        masked: None,
    })
}

/// `NFTA_META_KEY`.
const fn meta(key: u32) -> Option<Loaded> {
    let field = match key {
        1 => Field::EtherType,
        10 => Field::User,
        15 => Field::Family,
        16 => Field::Protocol,
        _ => return None,
    };
    Some(Loaded {
        field,
        length: None,
        masked: None,
    })
}

/// The bytes of a constant: `NFTA_DATA_VALUE`.
fn bytes(data: &[u8], kind: u16) -> Option<Vec<u8>> {
    attribute(&attribute(data, kind)?, 1)
}

impl Condition {
    /// Whether a packet of which this is known may be what it asks for.
    pub fn may_hold(&self, packet: &Known) -> bool {
        let is = self.loaded.of(packet);
        match &self.test {
            Test::Compare(how, value) => compares(*how, &is, value),
            Test::Range(is_in, from, to) => {
                let whole: Option<Vec<u8>> = is.into_iter().collect();
                let is_alike = |is: &Vec<u8>| is.len() == from.len() && is.len() == to.len();
                let whole = whole.filter(is_alike);
                whole.is_none_or(|is| (*from <= is && is <= *to) == *is_in)
            }
        }
    }
}

/// `NFT_CMP_EQ` and the like: bytes are compared as the kernel does (`memcmp`).
fn compares(how: u32, is: &[Option<u8>], value: &[u8]) -> bool {
    if is.len() != value.len() {
        return true;
    }
    if how == 0 {
        let mut both = is.iter().zip(value);
        return both.all(|(is, value)| is.is_none_or(|is| is == *value));
    }
    let Some(is) = is.iter().copied().collect::<Option<Vec<u8>>>() else {
        return true;
    };
    match how {
        1 => is != value,
        2 => *is < *value,
        3 => *is <= *value,
        4 => *is > *value,
        5 => *is >= *value,
        _ => true,
    }
}

impl Loaded {
    /// The bytes that the register has of this packet, those that are known.
    fn of(&self, packet: &Known) -> Vec<Option<u8>> {
        let (all, from) = match self.field {
            Field::Network(from) => (network(packet), from),
            Field::Transport(from) => (transport(packet), from),
            Field::EtherType => {
                let kind = |is_ipv6| if is_ipv6 { [0x86, 0xdd] } else { [0x08, 0x00] };
                (known(packet.is_ipv6.map(kind)), 0)
            }
            Field::Family => {
                /// `NFPROTO_IPV6`, `NFPROTO_IPV4`.
                const fn of(is_ipv6: bool) -> [u8; 1] {
                    if is_ipv6 { [10] } else { [2] }
                }
                (known(packet.is_ipv6.map(of)), 0)
            }
            Field::Protocol => (known(packet.protocol.map(|protocol| [protocol])), 0),
            Field::User => (known(packet.uid.map(u32::to_ne_bytes)), 0),
        };
        let length = self.length.unwrap_or(all.len());
        // No register has more.
        let taken = (from..).take(length.min(16));
        let mut is: Vec<Option<u8>> = taken.map(|at| all.get(at).copied().flatten()).collect();
        if let Some((mask, flip)) = &self.masked {
            for (at, is) in is.iter_mut().enumerate() {
                let (mask, flip) = (mask.get(at).copied(), flip.get(at).copied());
                *is = match (mask, flip) {
                    (Some(0), Some(flip)) => Some(flip),
                    (Some(mask), Some(flip)) => is.map(|is| is & mask ^ flip),
                    _ => None,
                };
            }
        }
        is
    }
}

/// The bytes of a field, all or none.
fn known<const N: usize>(bytes: Option<[u8; N]>) -> Vec<Option<u8>> {
    bytes.map_or_else(|| vec![None; N], |bytes| bytes.map(Some).to_vec())
}

/// An IP header: the addresses, and of IPv4 the protocol; of IPv6, another header may come first.
fn network(packet: &Known) -> Vec<Option<u8>> {
    let address = |address: Option<IpAddr>| match address {
        Some(IpAddr::V4(address)) => known(Some(address.octets())),
        Some(IpAddr::V6(address)) => known(Some(address.octets())),
        None if packet.is_ipv6 == Some(true) => known::<16>(None),
        None => known::<4>(None),
    };
    let before = match packet.is_ipv6 {
        Some(true) => vec![None; 8],
        Some(false) => [vec![None; 9], vec![packet.protocol], vec![None; 2]].concat(),
        None => return Vec::new(),
    };
    [before, address(packet.source), address(packet.destination)].concat()
}

/// The ports, with which the headers of TCP, UDP and their like begin.
fn transport(packet: &Known) -> Vec<Option<u8>> {
    let port = |port: Option<u16>| known(port.map(u16::to_be_bytes));
    [port(packet.source_port), port(packet.destination_port)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(field: Field, length: Option<usize>, how: u32, value: &[u8]) -> Condition {
        Condition {
            loaded: Loaded {
                field,
                length,
                masked: None,
            },
            test: Test::Compare(how, value.to_vec()),
        }
    }

    /// A datagram of user 7 from 10.0.0.1:5005 to 10.9.0.9:9.
    fn datagram() -> Known {
        Known {
            is_ipv6: Some(false),
            protocol: Some(17),
            source: Some([10, 0, 0, 1].into()),
            destination: Some([10, 9, 0, 9].into()),
            source_port: Some(5005),
            destination_port: Some(9),
            uid: Some(7),
        }
    }

    #[test]
    fn what_a_packet_is_not_does_not_hold() {
        const EQUAL: u32 = 0;
        const OTHER: u32 = 1;
        const NOT_BELOW: u32 = 5;
        let destination = |length, value: &[u8]| asks(Field::Network(16), length, EQUAL, value);
        let to_port = |how, value: &[u8]| asks(Field::Transport(2), Some(2), how, value);
        for (condition, holds) in [
            (asks(Field::Protocol, None, EQUAL, &[17]), true),
            (asks(Field::Protocol, None, EQUAL, &[6]), false),
            (asks(Field::Family, None, EQUAL, &[10]), false),
            (asks(Field::EtherType, None, EQUAL, &[8, 0]), true),
            (asks(Field::User, None, EQUAL, &8_u32.to_ne_bytes()), false),
            (to_port(EQUAL, &[0, 9]), true),
            (to_port(OTHER, &[0, 9]), false),
            (to_port(NOT_BELOW, &[0, 10]), false),
            (destination(Some(4), &[10, 9, 0, 9]), true),
            (destination(Some(2), &[10, 8]), false),
            // Both ports, as one.
            (
                asks(Field::Transport(0), Some(4), EQUAL, &[0, 1, 0, 9]),
                false,
            ),
            // What is not known of it, and what is no such value.
            (asks(Field::Network(1), Some(1), EQUAL, &[8]), true),
            (asks(Field::Transport(2), Some(2), EQUAL, &[9]), true),
        ] {
            assert_eq!(condition.may_hold(&datagram()), holds, "{condition:?}");
            assert!(condition.may_hold(&Known::default()), "{condition:?}");
        }
    }

    #[test]
    fn a_mask_is_laid_over_it() {
        let within = |network: [u8; 4]| Condition {
            loaded: Loaded {
                field: Field::Network(12),
                length: Some(4),
                masked: Some((vec![255, 255, 240, 0], vec![0; 4])),
            },
            test: Test::Compare(0, network.to_vec()),
        };
        assert!(within([10, 0, 0, 0]).may_hold(&datagram()));
        assert!(!within([10, 1, 0, 0]).may_hold(&datagram()));
        let range = |is_in, from, to| Condition {
            loaded: Loaded {
                field: Field::Transport(0),
                length: Some(2),
                masked: None,
            },
            test: Test::Range(
                is_in,
                u16::to_be_bytes(from).into(),
                u16::to_be_bytes(to).into(),
            ),
        };
        assert!(range(true, 5000, 5010).may_hold(&datagram()));
        assert!(!range(true, 5006, 5010).may_hold(&datagram()));
        assert!(!range(false, 5000, 5010).may_hold(&datagram()));
    }

    #[test]
    fn an_address_of_ipv6_is_where_its_header_has_it() {
        let packet = Known {
            is_ipv6: Some(true),
            destination: "fd09::9".parse().ok(),
            ..Known::default()
        };
        let to = |first: u8| asks(Field::Network(24), Some(2), 0, &[first, 9]);
        assert!(to(0xfd).may_hold(&packet));
        assert!(!to(0xfc).may_hold(&packet));
        assert!(asks(Field::Network(8), Some(2), 0, &[1, 2]).may_hold(&packet));
    }
}
