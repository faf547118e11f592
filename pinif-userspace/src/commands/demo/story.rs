//! The story, scene by scene, and between the scenes what the auditor really reports.

use std::collections::BTreeMap;
use std::io::{self, Stdout, Write as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anstyle::AnsiColor;
use anyhow::{Context as _, Result, bail};
use tokio::sync::oneshot;

use super::daemon::{Answer, DATAGRAMS};
use super::scenes::{DRAWING, Expected, PREMISE, Promise, SCENES, Scene};
use super::stage::{PORTS, Stage};
use crate::findings::finding::FindingId;
use crate::hub::{Change, Event};
use crate::surfaces;
use crate::surfaces::human::{Human, Now};
use crate::surfaces::look::{self, Look};
use crate::surfaces::notes::Notes;
use crate::surfaces::output::{Output, WithoutReader};
use crate::text::words::{counted, width, wrapped};

/// How long a finding may take before it counts as missing. It takes milliseconds; this is for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// How wide a paragraph is at most, and where there is no terminal.
const COLUMNS: usize = 100;

/// The audit ended before the story did.
#[derive(Debug, thiserror::Error)]
#[error("the audit ended before the story did")]
pub struct CutShort;

/// The story as it is played.
pub struct Story<'a> {
    stage: &'a mut Stage,
    events: Receiver<Event>,
    pause: Duration,
    human: Human<Stdout, Stdout>,
    look: Look,
    /// The last count of each finding, by its id.
    packets: BTreeMap<FindingId, u64>,
    /// The findings that were promised and came.
    found: Vec<FindingId>,
    /// What did not come as it was promised, in words.
    broken: Vec<String>,
}

impl<'a> Story<'a> {
    /// A story on this stage, which waits so long wherever a person reads.
    pub fn new(stage: &'a mut Stage, events: Receiver<Event>, pause: Duration) -> Self {
        let start = Instant::now();
        let look = Look::of(&io::stdout());
        Self {
            stage,
            events,
            pause,
            human: Human::new(
                Output::new(io::stdout(), WithoutReader::Ends),
                Notes::new(io::stdout()).within(|| look::columns(io::stdout())),
                look,
                || look::columns(io::stdout()),
                move || Now::after(start),
            ),
            look,
            packets: BTreeMap::new(),
            found: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Plays it, then lets the audit end with its summary. The result is what did not come as promised.
    ///
    /// # Errors
    ///
    /// [`CutShort`] where the audit ended first; otherwise that the stage is out of order, or standard output has no reader.
    pub fn run(mut self, end: oneshot::Sender<()>) -> Result<Vec<String>> {
        self.open()?;
        for (index, scene) in SCENES.iter().enumerate() {
            self.play(index + 1, scene)?;
            self.rest()?;
        }
        // The audit ends now, and its summary is the last that it reports.
        let _ = end.send(());
        self.close()?;
        Ok(self.broken)
    }

    /// Prints nothing before the audit is ready, so that what prevents it is the first that a person reads.
    fn open(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let ready = loop {
            match self.next(deadline)? {
                Some(Event::Ready(ready)) => break ready,
                Some(other) => self.show(other)?,
                None => bail!("pinif did not become ready within {} s", PATIENCE.as_secs()),
            }
        };
        self.write(&format!("\n{}\n", drawing(self.look)))?;
        for paragraph in PREMISE {
            self.paragraph("", paragraph)?;
            self.write("\n")?;
        }
        self.show(Event::Ready(ready))?;
        self.rest()
    }

    fn play(&mut self, number: usize, scene: &Scene) -> Result<()> {
        self.title(&format!(
            "Scene {number} of {}: {}",
            SCENES.len(),
            scene.title
        ))?;
        self.paragraph("", scene.action)?;
        if let Some(before) = scene.before {
            before(self.stage)?;
        }
        let before = self.stage.sent()?;
        let answer = self.stage.perform(scene.step)?;
        let after = self.stage.sent()?;
        self.paragraph("", &on_the_wire(before, after, &answer))?;
        match &scene.promise {
            Promise::Contained => self.hold(number, answer.sent == DATAGRAMS, &answer),
            Promise::Refused => self.hold(number, answer.sent == 0, &answer),
            Promise::Found(expected) => {
                self.hold(number, answer.sent == DATAGRAMS, &answer);
                self.write("\n")?;
                self.human.is_interrupted();
                self.await_finding(number, expected)?;
                self.write("\n")?;
            }
        }
        self.paragraph("→ ", scene.lesson)
    }

    fn hold(&mut self, number: usize, holds: bool, answer: &Answer) {
        if !holds {
            self.broken.push(format!(
                "in scene {number}, the kernel took {} of {DATAGRAMS} datagrams",
                answer.sent
            ));
        }
    }

    /// Shows what the audit reports until it finds what is expected.
    fn await_finding(&mut self, number: usize, expected: &Expected) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Some(event) = self.next(deadline)? {
            if let Event::Finding(finding, Change::Opened) = &event
                && expected.is(finding)
            {
                self.found.push(finding.id);
                return self.show(event);
            }
            self.show(event)?;
        }
        self.broken.push(format!(
            "in scene {number}, pinif did not find {} via {} within {} s",
            expected.kind.name(),
            expected.egress_interface,
            PATIENCE.as_secs()
        ));
        Ok(())
    }

    /// Lets a person read, and shows what is reported meanwhile.
    fn rest(&mut self) -> Result<()> {
        let deadline = Instant::now() + self.pause;
        while let Some(event) = self.next(deadline)? {
            self.show(event)?;
        }
        Ok(())
    }

    /// The last counts, the summary, and whether all promises were kept.
    fn close(&mut self) -> Result<()> {
        self.title("In sum: what each socket asked for, and where its packets left")?;
        loop {
            let event = self.events.recv().map_err(|_| CutShort)?;
            let last = matches!(event, Event::Ended(_));
            self.show(event)?;
            if last {
                break;
            }
        }
        for id in &self.found {
            let packets = self.packets.get(id).copied().unwrap_or_default();
            if packets != DATAGRAMS {
                self.broken.push(format!(
                    "finding {id} has {} instead of {DATAGRAMS}",
                    counted(packets, "packet")
                ));
            }
        }
        for id in self.packets.keys().filter(|id| !self.found.contains(id)) {
            self.broken
                .push(format!("finding {id} was not to be expected"));
        }
        Ok(())
    }

    /// The next that the audit reports before the deadline.
    fn next(&mut self, deadline: Instant) -> Result<Option<Event>> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.events.recv_timeout(left) {
            Ok(Event::Ended(_)) | Err(RecvTimeoutError::Disconnected) => Err(CutShort.into()),
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
        }
    }

    /// Shows what the audit reports, as the audit itself would.
    fn show(&mut self, event: Event) -> Result<()> {
        if let Event::Finding(finding, _) = &event {
            self.packets.insert(finding.id, finding.packets);
        }
        shown(surfaces::show(&mut self.human, &event))
    }

    fn title(&self, text: &str) -> Result<()> {
        let title = self.look.paint(look::strong(), text);
        self.write(&format!("\n{title}\n"))
    }

    fn paragraph(&self, mark: &str, text: &str) -> Result<()> {
        let columns = look::columns(io::stdout()).map_or(COLUMNS, |columns| columns.min(COLUMNS));
        let text = wrapped(text, columns, width(mark));
        let mark = self.look.paint(look::strong(), mark);
        self.write(&format!("{mark}{text}\n"))
    }

    fn write(&self, text: &str) -> Result<()> {
        let mut out = io::stdout();
        shown(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }
}

fn shown(outcome: io::Result<()>) -> Result<()> {
    outcome.context("cannot write to standard output")
}

fn drawing(look: Look) -> String {
    let port = |colour: AnsiColor| colour.on_default().bold();
    let names = [
        ("fab0", port(AnsiColor::Green)),
        ("eth1", port(AnsiColor::Red)),
        ("fabricd", look::strong()),
    ];
    let mut drawing: String = DRAWING.map(|line| format!("{line}\n")).concat();
    for (name, style) in names {
        drawing = drawing.replace(name, &look.paint(style, name));
    }
    drawing
}

/// What the links' own counters show of a step: `On the wire: 3 packets via fab0.`
fn on_the_wire(before: [u64; 2], after: [u64; 2], answer: &Answer) -> String {
    let left: Vec<String> = PORTS
        .iter()
        .zip(before.iter().zip(after))
        .filter(|(_, (before, after))| after > before)
        .map(|(port, (before, after))| format!("{} via {port}", counted(after - before, "packet")))
        .collect();
    let mut text = match left.as_slice() {
        [] => "On the wire: nothing.".to_owned(),
        some => format!("On the wire: {}.", some.join(", ")),
    };
    if let Some(reason) = &answer.refused {
        text.push_str(&format!(" The kernel refused to send: {reason}."));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_shows_what_left_and_what_did_not() {
        let sent = |sent| Answer {
            sent,
            refused: None,
        };
        assert_eq!(
            on_the_wire([5, 1], [8, 1], &sent(3)),
            "On the wire: 3 packets via fab0."
        );
        assert_eq!(
            on_the_wire([5, 1], [6, 3], &sent(3)),
            "On the wire: 1 packet via fab0, 2 packets via eth1."
        );
        let refused = Answer {
            sent: 0,
            refused: Some("Network is unreachable".to_owned()),
        };
        assert_eq!(
            on_the_wire([5, 1], [5, 1], &refused),
            "On the wire: nothing. The kernel refused to send: Network is unreachable."
        );
    }

    #[test]
    fn the_drawing_fits_any_terminal_and_is_the_same_without_colours() {
        let plain = drawing(Look::PLAIN);
        assert!(plain.lines().all(|line| width(line) <= 80));
        let coloured = drawing(Look { colour: true });
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
        assert_ne!(coloured, plain);
    }
}
