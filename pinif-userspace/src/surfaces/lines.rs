//! Lines on a stream that may fail at any time, as on a full disk, and work again later. What is lost is counted.

use std::io::{self, Write};
use std::os::fd::AsFd;

/// A stream of lines.
#[derive(Debug)]
pub struct Lines<W> {
    to: W,
    /// The rest of lines whose beginning was written: it goes first, so that no line is cut in two.
    rest: Vec<u8>,
    outage: Option<Outage>,
    lost: u64,
}

/// The time since the stream failed.
#[derive(Clone, Copy, Debug, Default)]
struct Outage {
    lost: u64,
    /// Those of them that no line on the stream has reported.
    unreported: u64,
}

/// What became of lines.
#[derive(Debug)]
pub enum Outcome {
    /// They are written.
    Written,
    /// They are written, on a stream that had failed before.
    WrittenAgain {
        /// The lines that were lost meanwhile.
        lost: u64,
    },
    /// The stream fails.
    Failed {
        /// Why.
        error: io::Error,
        /// Whether it did not fail before.
        first: bool,
        /// The lines that were lost since it did.
        lost: u64,
    },
}

/// An error, and whether something was written before it.
struct Failure {
    error: io::Error,
    begun: bool,
}

impl<W: Write> Lines<W> {
    /// On a stream without a buffer of its own.
    pub fn new(to: W) -> Self {
        Self {
            to,
            rest: Vec::new(),
            outage: None,
            lost: 0,
        }
    }

    /// Writes whole lines, in a single write where the kernel takes them. The first that can be written after a loss follow a
    /// line that `gap` makes of the number of lines that were lost.
    pub fn write(&mut self, lines: &str, gap: impl FnOnce(u64) -> String) -> Outcome {
        let written = match self.resume(gap) {
            Ok(()) => self.put(lines.as_bytes()),
            Err(error) => Err(Failure {
                error,
                begun: false,
            }),
        };
        match (written, self.outage.take()) {
            (Ok(()), None) => Outcome::Written,
            (Ok(()), Some(Outage { lost, .. })) => Outcome::WrittenAgain { lost },
            (Err(Failure { error, begun }), before) => {
                let lost = if begun { 0 } else { count(lines.as_bytes()) };
                self.lost += lost;
                let mut outage = before.unwrap_or_default();
                outage.lost += lost;
                outage.unreported += lost;
                self.outage = Some(outage);
                Outcome::Failed {
                    error,
                    first: before.is_none(),
                    lost: outage.lost,
                }
            }
        }
    }

    /// The stream is known to fail from now on, though nothing was written. Whether that was not known before.
    pub fn fail(&mut self) -> bool {
        self.outage
            .replace(self.outage.unwrap_or_default())
            .is_none()
    }

    /// Whether nothing fails, and nothing is to be written first.
    pub fn is_sound(&self) -> bool {
        self.outage.is_none() && self.rest.is_empty()
    }

    /// How many lines are lost by now.
    pub fn lost(&self) -> u64 {
        self.lost + count(&self.rest)
    }

    fn resume(&mut self, gap: impl FnOnce(u64) -> String) -> io::Result<()> {
        let rest = std::mem::take(&mut self.rest);
        if let Err(Failure { error, begun }) = self.put(&rest) {
            if !begun {
                self.rest = rest;
            }
            return Err(error);
        }
        let unreported = self.outage.map_or(0, |outage| outage.unreported);
        if unreported == 0 {
            return Ok(());
        }
        let written = self.put(gap(unreported).as_bytes());
        if let Some(outage) = &mut self.outage
            && written
                .as_ref()
                .map_or_else(|failure| failure.begun, |()| true)
        {
            outage.unreported = 0;
        }
        written.map_err(|failure| failure.error)
    }

    /// Writes it all; what is left of it after a beginning is kept.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut left = bytes;
        while !left.is_empty() {
            let error = match self.to.write(left) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    left = left.get(written..).unwrap_or_default();
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let begun = left.len() < bytes.len();
            if begun {
                self.rest = left.to_vec();
            }
            return Err(Failure { error, begun });
        }
        let flushed = self.to.flush();
        flushed.map_err(|error| Failure { error, begun: true })
    }
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// A stream that is written to as it is: neither buffered, so that what fails is not written later in the middle of something
/// else, nor taken to work where it is closed, as the standard library's own are.
#[derive(Debug)]
pub struct Unbuffered<S>(pub S);

impl<S: AsFd> Write for Unbuffered<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(nix::unistd::write(&self.0, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use proptest::prelude::*;

    use super::*;

    /// A disk with so much room.
    #[derive(Clone, Default)]
    struct Disk(Rc<RefCell<(Vec<u8>, usize)>>);

    impl Disk {
        fn has_room(&self, room: usize) {
            self.0.borrow_mut().1 = room;
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.borrow().0.clone()).expect("UTF-8")
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (written, room) = &mut *self.0.borrow_mut();
            let taken = bytes.len().min(*room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            written.extend(&bytes[..taken]);
            *room -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gap(lost: u64) -> String {
        format!("lost {lost}\n")
    }

    #[test]
    fn what_is_lost_is_counted_and_reported_when_writing_goes_on() {
        let disk = Disk::default();
        let mut lines = Lines::new(disk.clone());
        let first = lines.write("one\n", gap);
        assert!(
            matches!(
                first,
                Outcome::Failed {
                    first: true,
                    lost: 1,
                    ..
                }
            ),
            "{first:?}"
        );
        let second = lines.write("two\nthree\n", gap);
        assert!(
            matches!(
                second,
                Outcome::Failed {
                    first: false,
                    lost: 3,
                    ..
                }
            ),
            "{second:?}"
        );
        disk.has_room(1000);
        let again = lines.write("four\n", gap);
        assert!(
            matches!(again, Outcome::WrittenAgain { lost: 3 }),
            "{again:?}"
        );
        let on = lines.write("five\n", gap);
        assert!(matches!(on, Outcome::Written), "{on:?}");
        assert_eq!(disk.text(), "lost 3\nfour\nfive\n");
        assert_eq!(lines.lost(), 3);
    }

    #[test]
    fn a_line_that_was_begun_is_ended_first() {
        let disk = Disk::default();
        disk.has_room(6);
        let mut lines = Lines::new(disk.clone());
        lines.write("one\ntwo\n", gap);
        assert_eq!(lines.lost(), 1, "unless it is ended");
        lines.write("three\n", gap);
        assert_eq!(lines.lost(), 2);
        disk.has_room(1000);
        let again = lines.write("four\n", gap);
        assert!(
            matches!(again, Outcome::WrittenAgain { lost: 1 }),
            "{again:?}"
        );
        assert_eq!(disk.text(), "one\ntwo\nlost 1\nfour\n");
        assert_eq!(lines.lost(), 1);
    }

    #[test]
    fn a_stream_that_is_known_to_fail_says_so_once() {
        let disk = Disk::default();
        let mut lines = Lines::new(disk.clone());
        assert!(lines.fail() && !lines.fail());
        let failed = lines.write("one\n", gap);
        assert!(
            matches!(
                failed,
                Outcome::Failed {
                    first: false,
                    lost: 1,
                    ..
                }
            ),
            "{failed:?}"
        );
    }

    proptest! {
        /// Whatever room there is and when: every line is there whole and in order, or counted.
        #[test]
        fn no_line_is_cut_and_none_is_lost_uncounted(rooms in proptest::collection::vec(0usize..30, 1..40)) {
            let disk = Disk::default();
            let mut lines = Lines::new(disk.clone());
            for (number, room) in rooms.iter().enumerate() {
                disk.has_room(*room);
                lines.write(&format!("line {number}\n"), gap);
            }
            disk.has_room(10_000);
            lines.write("end\n", gap);
            let (mut next, mut reported) = (0, 0);
            for line in disk.text().lines() {
                if line == "end" {
                    prop_assert_eq!(next, rooms.len());
                } else if let Some(lost) = line.strip_prefix("lost ") {
                    let lost: usize = lost.parse().expect("a number");
                    (next, reported) = (next + lost, reported + lost as u64);
                } else {
                    prop_assert_eq!(line, format!("line {next}"));
                    next += 1;
                }
            }
            prop_assert_eq!(lines.lost(), reported);
            prop_assert!(disk.text().ends_with("end\n"));
        }
    }
}
