//! A site, what is attached there, and what it took.

use std::collections::BTreeMap;

use anyhow::Result;

use super::loads::{self, DESTINATIONS, LIVES, SOCKETS, Traffic};
use super::sample::{MILLISECONDS, mean_of, runs, send_in_shares};
use crate::auditor::Auditor;
use crate::bpf::{Attached, Hook, attached_by, empty, runs_of};
use crate::placed::{self, Placed};
use crate::policies;
use crate::site::Site;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// pinif.
    Pinif,
    /// The least that such a program can be.
    Least,
    /// The least that is loaded once for all namespaces.
    Once,
    /// The least that recognizes copies.
    Recognizing,
    /// The least that names whose copies they are.
    Naming,
    /// What systemd attaches for `RestrictNetworkInterfaces=`.
    Restriction,
    /// A program that keeps flows in a hash table.
    Flows,
}

/// Where there is little.
pub const FEW: &str = "1 socket, 1 prefix";
/// Where there is much.
pub const LARGE: &str = "100,000 sockets, 10,000 prefixes";

/// What was measured, a figure of each round.
#[derive(Debug, Default)]
pub struct Measured {
    /// By what, stage, load and hook: nanoseconds a run over the empty program.
    runs: BTreeMap<(What, &'static str, &'static str, Hook), Vec<f64>>,
    /// By what, stage and load: nanoseconds a life over the empty programs, in all.
    lives: BTreeMap<(What, &'static str, &'static str), Vec<f64>>,
}

impl Measured {
    /// A run, over that of an empty program.
    pub fn run(&self, what: What, stage: &'static str, load: &'static str, hook: Hook) -> Vec<f64> {
        let rounds = self.runs.get(&(what, stage, load, hook));
        rounds.cloned().unwrap_or_default()
    }

    /// A whole life, over empty programs.
    pub fn life(&self, what: What, stage: &'static str, load: &'static str) -> Vec<f64> {
        let rounds = self.lives.get(&(what, stage, load));
        rounds.cloned().unwrap_or_default()
    }
}

/// What is attached first.
enum First {
    Auditor(Auditor),
    Placed(Vec<Placed>),
}

impl First {
    fn attach(what: What, site: &Site, policy: &str) -> Result<Self> {
        Ok(match what {
            What::Pinif => Self::Auditor(Auditor::of(site, policy)?),
            What::Least => Self::Placed(placed::least(site)?),
            What::Once => Self::Placed(placed::placed_once(site)?),
            What::Recognizing => Self::Placed(placed::recognizing(site)?),
            What::Naming => Self::Placed(placed::naming(site)?),
            What::Restriction => Self::Placed(placed::restriction(site)?),
            What::Flows => Self::Placed(placed::flows(site)?),
        })
    }

    fn programs(&self) -> Result<Vec<Attached>> {
        Ok(match self {
            Self::Auditor(auditor) => attached_by(auditor.pid())?,
            Self::Placed(placed) => placed.iter().map(|placed| placed.attached).collect(),
        })
    }
}

/// A site with what is measured there, the empty programs beside it, and what loads it.
pub struct Stage {
    what: What,
    name: &'static str,
    loads: Vec<Traffic>,
    programs: Vec<Attached>,
    empty: Vec<Placed>,
    // Ended in this order.
    _first: First,
    _site: Site,
}

impl Stage {
    /// One socket that sends, and a policy with one prefix.
    ///
    /// # Errors
    /// Where the kernel refuses something, or pinif or a load does not get ready.
    pub fn few(what: What) -> Result<Self> {
        Self::new(what, FEW, &policies::one_prefix(), 1)
    }

    /// Many.
    ///
    /// # Errors
    /// As of [`Self::few`].
    pub fn many(what: What) -> Result<Self> {
        Self::new(what, LARGE, &policies::prefixes(DESTINATIONS), SOCKETS)
    }

    fn new(what: What, name: &'static str, policy: &str, sockets: u32) -> Result<Self> {
        let site = Site::new()?;
        let first = First::attach(what, &site, policy)?;
        let programs = first.programs()?;
        let mut hooks: Vec<Hook> = programs.iter().map(|attached| attached.hook).collect();
        hooks.sort_unstable();
        hooks.dedup();
        let hooks = hooks.into_iter();
        let hooks = hooks.filter(|hook| hook.program_type().is_some());
        let empty = hooks.map(|hook| Placed::new(&site, hook, &empty(hook)));
        Ok(Self {
            what,
            name,
            empty: empty.collect::<Result<_>>()?,
            loads: loads::start(&site, sockets)?,
            programs,
            _first: first,
            _site: site,
        })
    }

    /// Has each load send for a while, and adds what the programs took.
    ///
    /// # Errors
    /// Where a load ended.
    pub fn sample(&mut self, measured: &mut Measured) -> Result<()> {
        let empty = self.empty.iter().map(|placed| &placed.attached);
        let all = self.programs.iter().chain(empty);
        let ids: Vec<u32> = all.map(|attached| attached.program).collect();
        for Traffic { name, senders, .. } in &mut self.loads {
            let before = runs_of(&ids)?;
            let sent = send_in_shares(senders, MILLISECONDS)?;
            let after = runs_of(&ids)?;
            let mut life = 0.0;
            for Placed {
                attached: empty, ..
            } in &self.empty
            {
                let programs = self.programs.iter();
                let mut at_hook = programs.filter(|attached| attached.hook == empty.hook);
                let of_programs = runs(&mut at_hook, &before, &after);
                let of_empty = runs(&mut std::iter::once(empty), &before, &after);
                let (Some(first), Some(empties)) = (of_programs, of_empty) else {
                    continue;
                };
                if let (Some(mean), Some(nothing)) = (mean_of(first), mean_of(empties)) {
                    let key = (self.what, self.name, *name, empty.hook);
                    let over = mean - nothing;
                    measured.runs.entry(key).or_default().push(over);
                    life += over * first.count as f64;
                }
            }
            if sent > 0 && LIVES.iter().any(|(load, _)| load == name) {
                let key = (self.what, self.name, *name);
                let rounds = measured.lives.entry(key).or_default();
                rounds.push(life / sent as f64);
            }
        }
        Ok(())
    }
}
