//! That a part of pinif itself was removed: what, and for how long it was not there.

use std::{fmt, time::Duration};

use crate::kernel::direction::TcDirection;

/// A part of pinif that others may remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The program of one direction at an interface: its link, its filter, or the qdisc that has it.
    AtInterface(TcDirection),
    /// The hooks of the cgroup.
    Hooks,
    /// The pins of what outlives this process.
    Pins,
    /// The traffic program of one direction, in the table that the programs of all interfaces go on with.
    Traffic(TcDirection),
}

impl Part {
    /// Adds what distinguishes it from any other.
    pub(super) fn write(self, bytes: &mut Vec<u8>) {
        let direction = |direction| match direction {
            TcDirection::Egress => 0,
            TcDirection::Ingress => 1,
        };
        match self {
            Self::AtInterface(of) => bytes.extend([1, direction(of)]),
            Self::Hooks => bytes.push(2),
            Self::Pins => bytes.push(4),
            Self::Traffic(of) => bytes.extend([3, direction(of)]),
        }
    }
}

/// How often a part was removed, and how long it was not there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Removal {
    /// The part.
    pub part: Part,
    /// The interface that it was at; none where it is for all.
    pub interface: Option<String>,
    /// How many times.
    pub times: u64,
    /// How long it was not there in all, at most: from the last look at which it was there until it was attached again.
    pub length: Duration,
    /// Why it could not be attached again, where it could not be so far.
    pub error: Option<String>,
}

impl Removal {
    /// What of it: `the program at the egress of eth1`.
    pub fn what(&self) -> String {
        let direction = |of| match of {
            TcDirection::Egress => "egress",
            TcDirection::Ingress => "ingress",
        };
        match self.part {
            Part::AtInterface(of) => {
                let interface = self.interface.as_deref().unwrap_or("an interface");
                format!("the program at the {} of {interface}", direction(of))
            }
            Part::Hooks => "the hooks of the cgroup".to_owned(),
            Part::Pins => "pinned maps".to_owned(),
            Part::Traffic(of) => format!("the {} program of all interfaces", direction(of)),
        }
    }

    /// What follows of it, as a sentence.
    pub fn consequence(&self) -> &'static str {
        match self.part {
            Part::AtInterface(TcDirection::Egress) => {
                "What left there meanwhile was neither judged nor counted, and none of it dropped."
            }
            Part::AtInterface(TcDirection::Ingress) => {
                "What arrived there meanwhile was not judged."
            }
            Part::Hooks => {
                "Sockets that were made, bound or connected meanwhile may be judged without their process and their past."
            }
            Part::Pins => {
                "An instance that would have begun meanwhile could not have taken over the counts."
            }
            Part::Traffic(TcDirection::Egress) => {
                "What left by any interface meanwhile was neither judged nor counted, and none of it dropped."
            }
            Part::Traffic(TcDirection::Ingress) => {
                "What arrived by any interface meanwhile was not judged."
            }
        }
    }
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "another program removed {}", self.what())?;
        if self.times > 1 {
            write!(f, " {} times", self.times)?;
        }
        let seconds = self.length.as_secs_f64();
        match &self.error {
            None => write!(f, "; it was not there for {seconds:.1} s at most"),
            Some(error) => write!(
                f,
                "; it is not there since {seconds:.1} s at most, and cannot be attached again ({error})"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_says_what_how_often_and_for_how_long() {
        let once = Removal {
            part: Part::AtInterface(TcDirection::Egress),
            interface: Some("eth1".to_owned()),
            times: 1,
            length: Duration::from_millis(1_960),
            error: None,
        };
        assert_eq!(
            once.to_string(),
            "another program removed the program at the egress of eth1; it was not there for 2.0 s at most"
        );
        let again = Removal {
            part: Part::Hooks,
            interface: None,
            times: 3,
            length: Duration::from_secs(6),
            error: Some("No such file or directory".to_owned()),
        };
        assert_eq!(
            again.to_string(),
            "another program removed the hooks of the cgroup 3 times; it is not there since 6.0 s at most, \
             and cannot be attached again (No such file or directory)"
        );
    }

    #[test]
    fn parts_are_written_differently() {
        let written = |part: Part| {
            let mut bytes = Vec::new();
            part.write(&mut bytes);
            bytes
        };
        let mut all = vec![written(Part::Hooks), written(Part::Pins)];
        for direction in TcDirection::ALL {
            all.extend([Part::AtInterface(direction), Part::Traffic(direction)].map(written));
        }
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
