//! What is learned of what is sent by whom. The programs keep the table; who is new in it is looked at at once, since its process may
//! end.

use std::{collections::HashMap, future, io, time::Duration};

use anyhow::Result;
use pinif_ebpf::{
    key::IfIndex,
    learned::{LearnedKey, LearnedState, Learner},
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
    kernel::learned::Learned,
    learned::{Page, Sender, Traffic, usual_network},
};

/// How many names of programs are kept, and as many of cgroups: who is without one is shown by the name of its process.
const MOST_NAMES: usize = 4_096;

/// What distinguishes a program's file: inode, file system, generation.
type File = (u64, u32, u32);

/// What is learned, where it is.
pub(super) struct Learning {
    kernel: Learned,
    since: Moment,
    programs: HashMap<File, String>,
    cgroups: HashMap<u64, String>,
}

impl Learning {
    /// Begins.
    pub(super) fn new(kernel: Learned) -> Self {
        Self {
            kernel,
            since: Moment::now(),
            programs: HashMap::new(),
            cgroups: HashMap::new(),
        }
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
            let file = (
                learner.executable_inode,
                learner.executable_device,
                learner.executable_generation,
            );
            let id = ProcessId {
                pid: learner.pid,
                started: learner.started,
            };
            let program = || processes::describe(id)?.exe;
            let is_known = learner.executable_inode != 0;
            remember(&mut self.programs, is_known.then_some(file), program);
            let cgroup = Some(learner.cgroup).filter(|&cgroup| cgroup != 0);
            remember(&mut self.cgroups, cgroup, || cgroup_path(learner.cgroup));
        }
    }

    /// A page of it, where there was so often no room for something new.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    pub(super) fn page(
        &mut self,
        from: u64,
        limit: usize,
        names: &Names,
        not_learned: u64,
    ) -> Result<Page> {
        // What is in the table by now is also named by now.
        let mut learners = Vec::new();
        self.kernel.drain(|learner| learners.push(learner));
        self.on(&learners);
        let mut paging = Paging::new(from, limit);
        let entries = (0..).zip(self.kernel.entries()?);
        let traffic = entries
            .filter(|(place, _)| paging.takes(*place))
            .map(|(_, (key, state))| self.traffic(&key, &state, names))
            .collect();
        Ok(Page {
            since: self.since.wall,
            not_learned,
            total: paging.total,
            next: paging.next,
            traffic,
        })
    }

    fn traffic(&self, key: &LearnedKey, state: &LearnedState, names: &Names) -> Traffic {
        let origin = match key.origin() {
            Origin::Process => Sender::Process,
            Origin::Kernel => Sender::Kernel,
            Origin::None => Sender::Socketless,
        };
        let is_process = origin == Sender::Process;
        let file = (
            key.executable_inode,
            key.executable_device,
            key.executable_generation,
        );
        let name = |index: IfIndex| names.interface(key.netns, index);
        // The same whenever it is asked for, also where the wall clock was set meanwhile.
        let at = |nanoseconds| {
            let after = Duration::from_nanos(nanoseconds).saturating_sub(self.since.monotonic);
            WallTime::from(self.since.wall + after).to_string()
        };
        let destination = key.remote.ip();
        Traffic {
            netns: names.namespace(key.netns),
            origin,
            exe: self.programs.get(&file).cloned(),
            comm: Some(text(&state.comm.0)).filter(|comm| !comm.is_empty()),
            uid: is_process.then_some(key.uid),
            cgroup: self.cgroups.get(&key.cgroup).cloned(),
            protocol: key.protocol,
            port: Some(key.port).filter(|&port| port != 0),
            serves: key.serves(),
            source: (!key.local.is_unspecified()).then(|| key.local.ip()),
            destination,
            network: usual_network(destination),
            bound_device: key.bound.is_some().then(|| name(key.bound)),
            egress_interface: name(key.egress),
            names_interface: key.names_interface(),
            sockets: is_process.then_some(state.sockets),
            first_seen: at(state.first),
            last_seen: at(state.last),
        }
    }
}

/// Keeps a name, where there is one and it is not known.
fn remember<K: std::hash::Hash + Eq>(
    names: &mut HashMap<K, String>,
    key: Option<K>,
    name: impl FnOnce() -> Option<String>,
) {
    if let Some(key) = key
        && names.len() < MOST_NAMES
        && !names.contains_key(&key)
        && let Some(name) = name()
    {
        names.insert(key, name);
    }
}
