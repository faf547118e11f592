//! What the kernel could not count: the first loss of a kind is an event within a second, since each wakes who reads them (`pace.rs`).

use std::collections::BTreeMap;

use pinif_ebpf::loss::Loss;

use crate::hub::Event;

/// What was published of losses so far.
#[derive(Debug, Default)]
pub(super) struct Losses(BTreeMap<&'static str, u64>);

impl Losses {
    /// Takes the counters as they are now, and returns an event for each that has grown since.
    pub(super) fn on(&mut self, counters: &[(Loss, u64)]) -> Vec<Event> {
        let mut events = Vec::new();
        for &(loss, lost) in counters {
            let before = self.0.insert(loss.name(), lost).unwrap_or_default();
            if lost > before {
                events.push(Event::Uncounted(loss, lost));
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(events: &[Event]) -> Vec<(Loss, u64)> {
        let of = |event: &Event| match event {
            Event::Uncounted(loss, lost) => Some((*loss, *lost)),
            _ => None,
        };
        events.iter().filter_map(of).collect()
    }

    #[test]
    fn a_loss_is_an_event_when_it_begins_and_when_it_grows() {
        let mut losses = Losses::default();
        assert!(
            losses
                .on(&[(Loss::Unparsed, 0), (Loss::CellsFull, 0)])
                .is_empty()
        );
        let events = losses.on(&[(Loss::Unparsed, 0), (Loss::CellsFull, 3)]);
        assert_eq!(lost(&events), [(Loss::CellsFull, 3)]);
        assert!(losses.on(&[(Loss::CellsFull, 3)]).is_empty());
        let events = losses.on(&[(Loss::Unparsed, 1), (Loss::CellsFull, 4)]);
        assert_eq!(lost(&events), [(Loss::Unparsed, 1), (Loss::CellsFull, 4)]);
    }
}
