//! A finding as the book keeps it: numbers for what differs from finding to finding, and the texts that many have in common
//! once. Ten thousand flows that leave by one interface differ in addresses, ports and counts; their texts are the same but
//! for these.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use jiff::Timestamp;

use crate::audit::finding::{Finding, FindingId, endpoint_text};

/// Stands in a text before the letter of what is to be there; no name of a process or an interface has it.
const BLANK: char = '\0';
/// The id of a finding whose id has another form: it is in the shape. An id is 48 bits.
const IN_SHAPE: u64 = u64::MAX;

/// A finding without its texts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slim {
    id: u64,
    /// Microseconds since 1970; the least, where it is in the shape.
    time: i64,
    /// Zero is none.
    cookie: u64,
    /// Packets so far.
    pub(super) packets: u64,
    /// Bytes so far.
    pub(super) bytes: u64,
    source: End,
    destination: End,
    shape: u32,
}

/// One end of a flow: an address, and a port if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    address: [u8; 16],
    port: u16,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The text is in the shape.
    Text,
    V4,
    V6,
    V4WithPort,
    V6WithPort,
}

/// What findings have in common, each once: findings whose own numbers are left blank.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    numbers: HashMap<Arc<Finding>, u32>,
    shapes: Vec<Arc<Finding>>,
}

impl Shapes {
    /// The finding without its texts, which are kept here.
    pub(super) fn slim(&mut self, finding: &Finding) -> Slim {
        let mut shape = finding.clone();
        let mut slim = Slim {
            id: IN_SHAPE,
            time: i64::MIN,
            cookie: shape.socket_cookie.take().unwrap_or_default(),
            packets: std::mem::take(&mut shape.packets),
            bytes: std::mem::take(&mut shape.bytes),
            source: End::TEXT,
            destination: End::TEXT,
            shape: 0,
        };
        if finding.socket_cookie == Some(0) {
            shape.socket_cookie = Some(0);
        }
        if let Some(id) = number_of(&finding.id) {
            slim.id = id;
            shape.id.clear();
        }
        if let Some(time) = moment_of(&finding.time) {
            slim.time = time;
            shape.time.clear();
        }
        // A text that has blanks of its own stays as it is.
        let texts = [&finding.cause, &finding.explanation, &finding.remedy];
        if !texts.iter().any(|text| text.contains(BLANK)) {
            slim.source = End::of(&finding.source);
            slim.destination = End::of(&finding.destination);
            let blanks = Blanks::of(slim.source, slim.destination);
            for text in [&mut shape.cause, &mut shape.explanation, &mut shape.remedy] {
                *text = blanks.leave(text);
            }
            for (end, text) in [
                (slim.source, &mut shape.source),
                (slim.destination, &mut shape.destination),
            ] {
                if end != End::TEXT {
                    text.clear();
                }
            }
        }
        slim.shape = self.number(shape);
        slim
    }

    /// The finding with its texts.
    pub(super) fn whole(&self, slim: &Slim) -> Finding {
        let mut finding = Finding::clone(&self.shapes[slim.shape as usize]);
        finding.packets = slim.packets;
        finding.bytes = slim.bytes;
        if slim.cookie != 0 {
            finding.socket_cookie = Some(slim.cookie);
        }
        if slim.id != IN_SHAPE {
            finding.id = FindingId(slim.id).to_string();
        }
        if slim.time != i64::MIN {
            finding.time = time_text(slim.time);
        }
        let blanks = Blanks::of(slim.source, slim.destination);
        for text in [
            &mut finding.cause,
            &mut finding.explanation,
            &mut finding.remedy,
        ] {
            *text = blanks.fill(text);
        }
        for (end, text) in [
            (slim.source, &mut finding.source),
            (slim.destination, &mut finding.destination),
        ] {
            if let Some(end) = end.text() {
                *text = end;
            }
        }
        finding
    }

    fn number(&mut self, shape: Finding) -> u32 {
        if let Some(&number) = self.numbers.get(&shape) {
            return number;
        }
        let number = self.shapes.len() as u32;
        // Of texts that were put together, no more than they take.
        let shape = Arc::new(shape.clone());
        self.numbers.insert(Arc::clone(&shape), number);
        self.shapes.push(shape);
        number
    }
}

impl End {
    const TEXT: Self = Self {
        address: [0; 16],
        port: 0,
        form: Form::Text,
    };

    /// The end that a text tells; only what comes out as the same text.
    fn of(text: &str) -> Self {
        let end = if let Ok(address) = text.parse::<IpAddr>() {
            Self::new(address, None)
        } else if let Ok(address) = text.parse::<SocketAddr>() {
            Self::new(address.ip(), Some(address.port()))
        } else {
            Self::TEXT
        };
        if end.text().as_deref() == Some(text) {
            end
        } else {
            Self::TEXT
        }
    }

    fn new(address: IpAddr, port: Option<u16>) -> Self {
        let (octets, form) = match (address, port) {
            (IpAddr::V4(address), None) => (address.to_ipv6_mapped().octets(), Form::V4),
            (IpAddr::V4(address), Some(_)) => (address.to_ipv6_mapped().octets(), Form::V4WithPort),
            (IpAddr::V6(address), None) => (address.octets(), Form::V6),
            (IpAddr::V6(address), Some(_)) => (address.octets(), Form::V6WithPort),
        };
        Self {
            address: octets,
            port: port.unwrap_or_default(),
            form,
        }
    }

    fn address(self) -> Option<IpAddr> {
        let address = Ipv6Addr::from(self.address);
        match self.form {
            Form::Text => None,
            Form::V4 | Form::V4WithPort => address.to_ipv4_mapped().map(IpAddr::V4),
            Form::V6 | Form::V6WithPort => Some(address.into()),
        }
    }

    fn text(self) -> Option<String> {
        let port = matches!(self.form, Form::V4WithPort | Form::V6WithPort).then_some(self.port);
        Some(endpoint_text(self.address()?, port))
    }
}

/// What is left blank in texts, each with its letter: whole ends before their addresses.
struct Blanks([Option<(char, String)>; 4]);

impl Blanks {
    fn of(source: End, destination: End) -> Self {
        let address = |end: End| end.address().map(|address| address.to_string());
        Self([
            source.text().map(|text| ('s', text)),
            destination.text().map(|text| ('d', text)),
            address(source).map(|text| ('S', text)),
            address(destination).map(|text| ('D', text)),
        ])
    }

    fn leave(&self, text: &str) -> String {
        let blanks = self.0.iter().flatten();
        blanks.fold(text.to_owned(), |text, (letter, there)| {
            text.replace(there, &format!("{BLANK}{letter}"))
        })
    }

    fn fill(&self, text: &str) -> String {
        if !text.contains(BLANK) {
            return text.to_owned();
        }
        let blanks = self.0.iter().flatten();
        blanks.fold(text.to_owned(), |text, (letter, there)| {
            text.replace(&format!("{BLANK}{letter}"), there)
        })
    }
}

/// The number of an id, if it has the form of one.
fn number_of(id: &str) -> Option<u64> {
    let number = u64::from_str_radix(id, 16).ok()?;
    (FindingId(number).to_string() == id).then_some(number)
}

/// The moment of a time, in microseconds since 1970, if it has the form of one.
fn moment_of(time: &str) -> Option<i64> {
    let moment = time.parse::<Timestamp>().ok()?.as_microsecond();
    (time_text(moment) == time).then_some(moment)
}

fn time_text(moment: i64) -> String {
    Timestamp::from_microsecond(moment).map_or_else(|_| String::new(), |time| format!("{time:.6}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::tests::finding, *};

    /// Texts in which ends and blanks are likely.
    fn text() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            Just("10.0.0.1:40000".to_owned()),
            Just("10.0.0.1".to_owned()),
            Just("10.0.0.12".to_owned()),
            Just("[fd00::1]:7".to_owned()),
            Just("fd00::1".to_owned()),
            Just("fe80::1%3".to_owned()),
            Just("\0s".to_owned()),
            Just("\0".to_owned()),
            Just(String::new()),
            any::<String>(),
        ];
        prop::collection::vec(word, 0..4).prop_map(|words| words.concat())
    }

    prop_compose! {
        fn any_finding()(
            texts in prop::array::uniform7(text()),
            numbers in any::<(u64, u64, Option<u64>)>(),
        ) -> Finding {
            let [id, time, source, destination, cause, explanation, remedy] = texts;
            let (packets, bytes, socket_cookie) = numbers;
            Finding {
                id,
                time,
                source,
                destination,
                cause,
                explanation,
                remedy,
                packets,
                bytes,
                socket_cookie,
                ..finding(1)
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_was_found(all in prop::collection::vec(any_finding(), 1..4)) {
            let mut shapes = Shapes::default();
            let slim: Vec<Slim> = all.iter().map(|finding| shapes.slim(finding)).collect();
            let whole: Vec<Finding> = slim.iter().map(|slim| shapes.whole(slim)).collect();
            prop_assert_eq!(whole, all);
        }
    }

    #[test]
    fn flows_that_differ_in_numbers_have_their_texts_in_common() {
        let mut shapes = Shapes::default();
        for flow in 0..100u8 {
            let (source, destination) = (format!("10.0.0.{flow}:7"), format!("[fd00::{flow}]:9"));
            let other = Finding {
                id: FindingId(flow.into()).to_string(),
                time: format!("2026-03-01T12:00:00.0000{flow:02}Z"),
                explanation: format!("From {source} to {destination}; 10.0.0.{flow} is fab0's."),
                cause: format!("the route of fd00::{flow}"),
                packets: flow.into(),
                socket_cookie: Some(flow.into()),
                source,
                destination,
                ..finding(1)
            };
            let slim = shapes.slim(&other);
            assert_eq!(shapes.whole(&slim), other);
        }
        // One more of the flow without number: a cookie of zero is no cookie.
        assert_eq!(shapes.shapes.len(), 2);
    }
}
