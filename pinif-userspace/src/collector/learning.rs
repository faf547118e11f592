//! What is learned of what is sent by whom. The programs keep the table; who is new in it is looked at at once, since its process may
//! end.

use std::{collections::HashMap, future, io, time::Duration};

use anyhow::Result;
use pinif_ebpf::{
    key::IfIndex,
    learned::{LearnedKey, LearnedProcess, LearnedSender, LearnedState, Learner, TIME_SHIFT},
    loss::Loss,
    sighting::Origin,
};

use super::{moment::Moment, names::Names};
use crate::{
    findings::{paging::Paging, wall_time::WallTime},
    host::{
        attributes::text,
        cgroups::cgroup_path,
        processes::{self, ProcessId},
    },
    kernel::{
        counters::Counters,
        learned::Learned,
        persist::{LearnedRecords, LearningBegan, MOST_NAMES, Persist, ProgramFile},
    },
    learned::{Page, Sender, Traffic, usual_network},
};

/// What is learned, where it is.
pub(super) struct Learning {
    kernel: Learned,
    began: LearningBegan,
    /// The names of as many programs, and as many cgroups, as [`MOST_NAMES`]: who is without one is shown by the name of its process.
    programs: HashMap<ProgramFile, String>,
    cgroups: HashMap<u64, String>,
    /// What the next instance is to know, where there is to be one.
    records: Option<LearnedRecords>,
}

impl Learning {
    /// Begins; or goes on with what an earlier instance has learned.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read, or what the next instance is to know cannot be pinned.
    pub(super) fn begin(
        kernel: Learned,
        persist: Option<&Persist>,
        counters: &Counters,
    ) -> Result<Self> {
        let now = Moment::now();
        let now = LearningBegan {
            monotonic: now.monotonic,
            wall: now.wall,
            not_learned: counters.lost(Loss::LearnedFull)?,
        };
        let records = persist.map(|persist| persist.learned(now)).transpose()?;
        let mut learning = Self {
            kernel,
            began: records.as_ref().map_or(now, LearnedRecords::began),
            programs: records.iter().flat_map(LearnedRecords::programs).collect(),
            cgroups: records.iter().flat_map(LearnedRecords::cgroups).collect(),
            records,
        };
        if learning.records.is_some() {
            // Those that came while no instance ran.
            let senders = learning.kernel.read()?.senders.into_values();
            let learners: Vec<Learner> =
                senders.map(|(key, first)| learner(&key, &first)).collect();
            learning.on(&learners);
        }
        Ok(learning)
    }

    /// Waits for who is new. For ever, where nothing is learned. Safe to cancel.
    ///
    /// # Errors
    ///
    /// When the ring buffer cannot be waited for.
    pub(super) async fn next(
        learning: &mut Option<Self>,
        each: impl FnMut(Learner),
    ) -> io::Result<()> {
        match learning {
            Some(learning) => learning.kernel.next(each).await,
            None => future::pending().await,
        }
    }

    /// Looks who is new, while it is there.
    pub(super) fn on(&mut self, learners: &[Learner]) {
        for learner in learners {
            let id = ProcessId {
                pid: learner.pid,
                started: learner.started,
            };
            let file = file(learner);
            let program = || processes::describe(id)?.exe;
            if learner.pid != 0
                && file.inode != 0
                && let Some(name) = remember(&mut self.programs, file, program)
                && let Some(records) = &mut self.records
            {
                records.keep_program(file, name);
            }
            let cgroup = learner.cgroup;
            if cgroup != 0
                && let Some(name) = remember(&mut self.cgroups, cgroup, || cgroup_path(cgroup))
                && let Some(records) = &mut self.records
            {
                records.keep_cgroup(cgroup, name);
            }
        }
    }

    /// A page of it, where this is what the counter of losses has.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    pub(super) fn page(
        &mut self,
        from: u64,
        limit: usize,
        names: &Names,
        lost: u64,
    ) -> Result<Page> {
        // What is in the table by now is also named by now.
        let mut learners = Vec::new();
        self.kernel.drain(|learner| learners.push(learner));
        self.on(&learners);
        let mut paging = Paging::new(from, limit);
        let table = self.kernel.read()?;
        let entries = (0..).zip(&table.entries);
        let traffic = entries
            .filter(|(place, _)| paging.takes(*place))
            // Who sends is never removed.
            .filter_map(|(_, (key, state))| Some((table.senders.get(&key.sender)?, key, state)))
            .map(|((sender, process), key, state)| {
                self.traffic((sender, process), key, state, names)
            })
            .collect();
        Ok(Page {
            since: self.began.wall,
            not_learned: lost.saturating_sub(self.began.not_learned),
            total: paging.total,
            next: paging.next,
            traffic,
        })
    }

    fn traffic(
        &self,
        (sender, process): (&LearnedSender, &LearnedProcess),
        key: &LearnedKey,
        state: &LearnedState,
        names: &Names,
    ) -> Traffic {
        let origin = match sender.origin() {
            Origin::Process => Sender::Process,
            Origin::Kernel => Sender::Kernel,
            Origin::None => Sender::Socketless,
        };
        let is_process = origin == Sender::Process;
        let file = file(&learner(sender, process));
        let name = |index: IfIndex| names.interface(sender.netns, index);
        // The same whenever it is asked for, also where the wall clock was set meanwhile.
        let at = |time: u32| {
            let monotonic = Duration::from_nanos(u64::from(time) << TIME_SHIFT);
            let after = monotonic.saturating_sub(self.began.monotonic);
            WallTime::from(self.began.wall + after).to_string()
        };
        let destination = key.remote.ip();
        Traffic {
            netns: names.namespace(sender.netns),
            origin,
            exe: self.programs.get(&file).cloned(),
            comm: Some(text(&process.comm.0)).filter(|comm| !comm.is_empty()),
            uid: is_process.then_some(sender.uid),
            cgroup: self.cgroups.get(&sender.cgroup).cloned(),
            protocol: key.protocol,
            port: Some(key.port).filter(|&port| port != 0),
            serves: key.serves(),
            source: (!sender.local.is_unspecified()).then(|| sender.local.ip()),
            destination,
            network: usual_network(destination),
            bound_device: sender.bound.is_some().then(|| name(sender.bound)),
            egress_interface: name(sender.egress),
            names_interface: sender.names_interface(),
            sockets: is_process.then_some(state.sockets),
            first_seen: at(state.first),
            last_seen: at(state.last),
        }
    }
}

/// Who sends, as the programs report it.
const fn learner(sender: &LearnedSender, first: &LearnedProcess) -> Learner {
    Learner {
        cgroup: sender.cgroup,
        executable_inode: sender.executable_inode,
        executable_device: sender.executable_device,
        executable_generation: sender.executable_generation,
        started: first.started,
        pid: first.pid,
        _pad: 0,
    }
}

const fn file(learner: &Learner) -> ProgramFile {
    ProgramFile {
        inode: learner.executable_inode,
        device: learner.executable_device,
        generation: learner.executable_generation,
    }
}

/// Keeps a name, where there is one and it is not known. The answer is the one that is new.
fn remember<K: std::hash::Hash + Eq>(
    names: &mut HashMap<K, String>,
    key: K,
    name: impl FnOnce() -> Option<String>,
) -> Option<&str> {
    if names.len() >= MOST_NAMES as usize || names.contains_key(&key) {
        return None;
    }
    let name = name()?;
    Some(names.entry(key).or_insert(name))
}
