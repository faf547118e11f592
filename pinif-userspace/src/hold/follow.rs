//! A pin follows its interface by name.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, Result};
use pinif_ebpf::key::IfIndex;
use rustix::fs::{FlockOperation, flock};
use tokio::runtime::Runtime;

use super::{sockets, target::Target};
use crate::{
    host::network::{Change, Network, NetworkWatch},
    kernel::pins::PinMaps,
    text::streams::note,
};

/// The interfaces of a pin's namespace, watched.
pub struct Follower {
    target: Target,
    runtime: Runtime,
    network: Network,
    watch: NetworkWatch,
}

impl Follower {
    /// Begins to watch.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered, or the kernel refuses netlink.
    pub fn open(target: Target) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the runtime cannot be started")?;
        let (network, watch) = NetworkWatch::open(&target.netns, runtime.handle())?;
        Ok(Self {
            target,
            runtime,
            network,
            watch,
        })
    }

    /// The interfaces as they were when it began.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Keeps the pin of a cgroup pointed at whichever interface has the name, on a thread of its own, until the process
    /// ends. Sockets that are bound to what had the name before are bound to what has it now.
    ///
    /// # Errors
    ///
    /// When the thread cannot be made.
    pub fn follow(mut self, mut maps: PinMaps, cgroup: PathBuf) -> Result<()> {
        let mut last = self.target.aim(&self.network).interface;
        let body = move || {
            while self.next() {
                let links = &self.network.links;
                let aim = self.target.aim(&self.network);
                let now = aim.interface;
                if let Err(error) = maps.point(&aim) {
                    // The pin holds as it was: nothing leaks, though nothing may leave.
                    note(&format!("{error:#}"));
                }
                if now.is_some()
                    && now != last
                    && let Err(error) = sockets::rebind(&cgroup, &self.target.netns, links, now)
                {
                    note(&not_rebound(&cgroup, &error));
                }
                if now.is_some() {
                    last = now;
                }
            }
        };
        let thread = thread::Builder::new().name("follow".to_owned());
        thread.spawn(body).context("a thread cannot be made")?;
        Ok(())
    }

    /// Waits for a change, and learns of it. False where nothing can be learnt any more.
    fn next(&mut self) -> bool {
        let Self {
            runtime,
            network,
            watch,
            target,
        } = self;
        runtime.block_on(async {
            match watch.next().await {
                Change::Lost => match watch.dump().await {
                    Ok(now) => *network = now,
                    Err(error) => {
                        note(&format!(
                            "the interface {} is followed no longer: {error}",
                            target.interface
                        ));
                        return false;
                    }
                },
                change => network.apply(&change),
            }
            true
        })
    }
}

/// Points a pin at the interface that has its name now, and binds to it what was bound to another that is gone. The index;
/// none while there is no such interface.
///
/// udev has it done once for each interface that comes, and several at a time: who comes later looks later (flock(2) of the cgroup's
/// directory), so that what is older is never written over what is newer.
///
/// # Errors
///
/// When the namespace cannot be entered, or the kernel refuses.
pub fn refresh(target: &Target, maps: &mut PinMaps, cgroup: &Path) -> Result<IfIndex> {
    let directory = File::open(cgroup)
        .with_context(|| format!("the cgroup {} cannot be opened", cgroup.display()))?;
    flock(&directory, FlockOperation::LockExclusive)
        .with_context(|| format!("the cgroup {} cannot be locked", cgroup.display()))?;
    let network = Network::read(&target.netns).with_context(|| {
        format!(
            "the interfaces of the network namespace {} cannot be read",
            target.netns.name
        )
    })?;
    let aim = target.aim(&network);
    let now = aim.interface;
    maps.point(&aim)?;
    if now.is_some()
        && let Err(error) = sockets::rebind(cgroup, &target.netns, &network.links, now)
    {
        note(&not_rebound(cgroup, &error));
    }
    Ok(now)
}

/// Their packets are dropped, since they are bound to an interface that is gone.
fn not_rebound(cgroup: &Path, error: &io::Error) -> String {
    format!(
        "sockets that were bound to the interface before cannot be looked for in the cgroup {}, and send nothing: {error}; restart \
         the service",
        cgroup.display()
    )
}
