//! Lines as they were written last: those who follow get the same ones, one reader after the other, and each line is long.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use axum::body::Bytes;

use super::protocol::Reader;
use crate::{findings::finding::Finding, hub::Snapshot};

/// How many are kept: as many as are written to one reader before the next one's turn, at most, while new ones come one by one.
const KEPT: usize = 16;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON Lines.
    Lines,
    /// Server-sent events (`text/event-stream`).
    ServerSent,
}

/// The last lines, for all readers.
#[derive(Debug, Default)]
pub struct Written(Mutex<VecDeque<Line>>);

#[derive(Debug)]
struct Line {
    of: Of,
    form: Form,
    text: Bytes,
}

/// What a line says. In another state it is another allocation, and the weak reference keeps this one's address from being used again.
#[derive(Debug)]
enum Of {
    Finding(Weak<Finding>),
    Status(Weak<Snapshot>, Vec<Reader>),
}

impl Of {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Finding(one), Self::Finding(other)) => Weak::ptr_eq(one, other),
            (Self::Status(one, of_one), Self::Status(other, of_other)) => {
                Weak::ptr_eq(one, other) && of_one == of_other
            }
            _ => false,
        }
    }
}

impl Written {
    /// The line of a finding, which is written by `write` where it was not for another reader.
    pub fn finding(
        &self,
        finding: &Arc<Finding>,
        form: Form,
        write: impl FnOnce() -> Option<Bytes>,
    ) -> Option<Bytes> {
        self.line(Of::Finding(Arc::downgrade(finding)), form, write)
    }

    /// The line of a snapshot while these ask, likewise.
    pub fn status(
        &self,
        snapshot: &Arc<Snapshot>,
        readers: Vec<Reader>,
        form: Form,
        write: impl FnOnce() -> Option<Bytes>,
    ) -> Option<Bytes> {
        self.line(Of::Status(Arc::downgrade(snapshot), readers), form, write)
    }

    fn line(&self, of: Of, form: Form, write: impl FnOnce() -> Option<Bytes>) -> Option<Bytes> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |line: &&Line| line.of.is(&of) && line.form == form;
        if let Some(known) = lines.iter().rev().find(is_it) {
            return Some(known.text.clone());
        }
        let text = write()?;
        // Of one snapshot, the newest.
        if matches!(of, Of::Status(..)) {
            lines.retain(|line| !matches!(line.of, Of::Status(..)) || line.form != form);
        }
        if lines.len() >= KEPT {
            lines.pop_front();
        }
        lines.push_back(Line {
            of,
            form,
            text: text.clone(),
        });
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{example, ready::Attach};

    #[test]
    fn a_line_is_written_once_in_each_form_and_few_are_kept() {
        let written = Written::default();
        let mut times = 0;
        let mut line = |finding: &Arc<Finding>, form| {
            let write = || {
                times += 1;
                Some(Bytes::from(times.to_string()))
            };
            written.finding(finding, form, write).expect("a line")
        };
        let finding = Arc::new(example::finding(1));
        // The same facts in another state are another line.
        let grown = Arc::new(example::finding(1));
        assert_eq!(line(&finding, Form::Lines), "1");
        assert_eq!(line(&finding, Form::Lines), "1");
        assert_eq!(line(&finding, Form::ServerSent), "2");
        assert_eq!(line(&grown, Form::Lines), "3");
        assert_eq!(line(&finding, Form::Lines), "1");
        for id in 0..KEPT as u64 {
            line(&Arc::new(example::finding(id)), Form::Lines);
        }
        assert_eq!(line(&finding, Form::Lines), (4 + KEPT).to_string());
        assert_eq!(Arc::strong_count(&finding), 1);
    }

    #[test]
    fn a_snapshot_is_written_anew_for_other_readers_and_one_is_kept() {
        let written = Written::default();
        let mut times = 0;
        let mut line = |snapshot: &Arc<Snapshot>, readers: u32| {
            let reader = |pid| Reader {
                pid: Some(pid),
                uid: 0,
                follows: true,
            };
            let readers = (0..readers).map(reader).collect();
            let write = || {
                times += 1;
                Some(Bytes::from(times.to_string()))
            };
            let line = written.status(snapshot, readers, Form::Lines, write);
            line.expect("a line")
        };
        let one = Arc::new(Snapshot::empty(1, Attach::Tcx));
        let next = Arc::new(Snapshot::empty(2, Attach::Tcx));
        assert_eq!(line(&one, 1), "1");
        assert_eq!(line(&one, 1), "1");
        assert_eq!(line(&one, 2), "2");
        assert_eq!(line(&next, 2), "3");
        assert_eq!(line(&one, 2), "4");
    }
}
