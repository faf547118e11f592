//! Findings in a list: what each has seen is read out only where it is written, which is not where it is counted.

use std::sync::Arc;

use pinif_ebpf::sample;

use super::{finding::Finding, line::FindingLine, samples::Samples};

/// A finding, and what it has seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The finding, with its counts of now.
    pub finding: Finding,
    /// What it has seen, as the programs wrote it; none where the finding has it, or nothing was seen.
    pub seen: Option<Box<sample::Samples>>,
}

/// Some findings of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The findings, in the order of their first sightings.
    pub findings: Vec<Listed>,
    /// How many there are on all pages.
    pub total: u64,
    /// Where the next page begins, if there is one.
    pub next: Option<u64>,
}

impl Listed {
    /// As a line has it. The names of processes are those of now, which are read here.
    pub fn line(&self) -> FindingLine {
        let Some(seen) = &self.seen else {
            return (&self.finding).into();
        };
        let mut samples = Samples::of(seen);
        samples.correct(self.finding.process.as_deref());
        let finding = Finding {
            samples: Some(Arc::new(samples)),
            ..self.finding.clone()
        };
        (&finding).into()
    }
}
