//! Attaching: the cgroup hooks once, the traffic programs to the interfaces of a namespace.

mod ahead;

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    programs::{
        CgroupAttachMode, CgroupSock, CgroupSockAddr, CgroupSockopt, Iter, ProgramError,
        SchedClassifier,
    },
    util::KernelVersion,
};
use nix::net::if_::if_nameindex;
use pinif_ebpf::{bypass::Bypass, key::IfIndex};

use super::{
    bypass,
    direction::Direction,
    entry::Entries,
    filters,
    hook::Hook,
    persist::{self, Owner, Persist, Pins, link},
    task_files,
};
use crate::host::{kernel_types::KernelTypes, netns::NetNs, processes};

pub use ahead::{Ahead, at_egress};

/// The iterator over sockets that were there before.
const EXISTING: &str = "pinif_existing";

/// How the traffic program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// TCX links (since Linux 6.6): they go with the process.
    Tcx,
    /// Filters of the clsact qdisc: they would outlive a killed process, and are taken over at the next start.
    Clsact,
}

impl Mode {
    /// The better one that this kernel has.
    pub fn of_kernel() -> Self {
        if KernelVersion::current().is_ok_and(|kernel| kernel >= KernelVersion::new(6, 6, 0)) {
            Self::Tcx
        } else {
            Self::Clsact
        }
    }

    /// The name in the `ready` line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// The cgroup hooks, attached below one cgroup.
pub struct CgroupHooks {
    ebpf: Ebpf,
}

impl CgroupHooks {
    /// Attaches the hooks to a cgroup; those that persist take the places of an earlier life's.
    ///
    /// # Errors
    ///
    /// When the cgroup cannot be opened, or the kernel refuses a hook.
    pub fn attach(mut ebpf: Ebpf, cgroup: &Path, persist: Option<&Persist>) -> Result<Self> {
        let directory = File::open(cgroup).with_context(|| {
            format!(
                "the cgroup {} cannot be opened; --cgroup takes a directory of the cgroup v2 hierarchy",
                cgroup.display()
            )
        })?;
        let at = |name: &str| {
            format!(
                "the kernel refused the hook {name} on the cgroup {}",
                cgroup.display()
            )
        };
        let pin = |name: &str| -> Result<Option<(PathBuf, u64)>> {
            let Some(persist) = persist else {
                return Ok(None);
            };
            let id = processes::cgroup_id(cgroup).with_context(|| at(name))?;
            Ok(Some((persist.cgroup_link(name), id)))
        };
        // The types have these methods in common, and no trait for them.
        macro_rules! attach {
            ($program:ty: $($name:literal = $attach_type:literal),+) => {
                for (name, attach_type) in [$(($name, $attach_type)),+] {
                    let pin = pin(name)?;
                    let program: &mut $program = program(&mut ebpf, name)?;
                    program.load().map_err(refusal).with_context(|| at(name))?;
                    if let Some((pin, cgroup)) = &pin {
                        let program = program.fd()?.as_fd();
                        if !link::update(&program, pin, *cgroup) {
                            link::create(&program, &directory, attach_type, pin)
                                .with_context(|| at(name))?;
                        }
                    } else {
                        program
                            .attach(&directory, CgroupAttachMode::Single)
                            .with_context(|| at(name))?;
                    }
                }
            };
        }
        // With the numbers of `enum bpf_attach_type`.
        attach!(CgroupSock: "pinif_create" = 2, "pinif_release" = 34);
        attach!(CgroupSock: "pinif_post_bind4" = 12, "pinif_post_bind6" = 13);
        attach!(CgroupSockAddr: "pinif_connect4" = 10, "pinif_connect6" = 11);
        attach!(CgroupSockAddr: "pinif_sendmsg4" = 14, "pinif_sendmsg6" = 15);
        attach!(CgroupSockopt: "pinif_setsockopt" = 22);
        Ok(Self { ebpf })
    }

    /// Loads the traffic program for what arrives, unless it is there.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it.
    pub fn load_ingress(&mut self, entries: &mut Entries) -> Result<()> {
        if entries.has(Direction::Ingress) {
            return Ok(());
        }
        load_traffic(&mut self.ebpf, Direction::Ingress, entries)
    }

    /// Gives every socket that was there before its owner.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the iterator: a socket's process is then looked for when there is a finding (`sock_diag`).
    pub fn mark_existing(&mut self, types: &KernelTypes) -> Result<()> {
        mark_existing(&mut self.ebpf, types)
    }

    /// Prepares [`Self::bypassing`].
    ///
    /// # Errors
    ///
    /// When the kernel refuses the iterator.
    pub fn prepare_bypassing(&mut self, types: &KernelTypes) -> Result<()> {
        bypass::load(&mut self.ebpf, types)
    }

    /// The sockets that can send past TC egress ([`bypass::list`]).
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn bypassing(&mut self) -> Result<Vec<Bypass>> {
        bypass::list(&mut self.ebpf)
    }
}

/// Runs the iterator once over all files of all processes.
fn mark_existing(ebpf: &mut Ebpf, types: &KernelTypes) -> Result<()> {
    let refused = "the kernel refused the iterator over existing sockets";
    let iterator: &mut Iter = program(ebpf, EXISTING)?;
    task_files::load(iterator, types).context(refused)?;
    let link = iterator.attach().context(refused)?;
    let mut output = iterator
        .take_link(link)
        .context(refused)?
        .into_file()
        .context(refused)?;
    // The program prints nothing; reading is what runs it.
    io::copy(&mut output, &mut io::sink()).context(refused)?;
    Ok(())
}

/// Loads the traffic program for what leaves, for every namespace's entry programs to go on with. The one for what arrives
/// comes where a policy needs it ([`CgroupHooks::load_ingress`]): the verifier takes as long for it.
///
/// # Errors
///
/// When the kernel refuses it.
pub fn load_egress(ebpf: &mut Ebpf) -> Result<Entries> {
    let mut entries = Entries::open(ebpf)?;
    load_traffic(ebpf, Direction::Egress, &mut entries)?;
    Ok(entries)
}

fn load_traffic(ebpf: &mut Ebpf, direction: Direction, entries: &mut Entries) -> Result<()> {
    let name = direction.program();
    let program: &mut SchedClassifier = program(ebpf, name)?;
    program
        .load()
        .map_err(refusal)
        .with_context(|| format!("the kernel refused the program {name} for TC"))?;
    entries.put(direction, program.fd()?)
}

/// The entry programs of one namespace, and where they are attached.
pub struct NamespaceHooks {
    netns: NetNs,
    mode: Mode,
    egress: Hook,
    /// What arrives is looked at where a policy can find something amiss with it.
    ingress: Hook,
}

impl NamespaceHooks {
    /// Loads the entry programs of a namespace, for links that are pinned where there are `pins`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses one.
    pub fn load(entries: &Entries, netns: NetNs, mode: Mode, pins: Option<Pins>) -> Result<Self> {
        let hook = |direction| -> Result<Hook> {
            let program = entries.of(netns.cookie, direction, pins.is_some())?;
            let pins = pins.clone();
            Ok(Hook::new(netns.cookie, direction, mode, program, pins))
        };
        Ok(Self {
            egress: hook(Direction::Egress)?,
            ingress: hook(Direction::Ingress)?,
            mode,
            netns,
        })
    }

    /// The namespace.
    pub fn netns(&self) -> &NetNs {
        &self.netns
    }

    /// The interfaces of which what leaves is seen: those that are audited.
    pub fn interfaces(&self) -> impl Iterator<Item = IfIndex> {
        self.egress.interfaces()
    }

    /// Whether what leaves by the interface is seen.
    pub fn has(&self, interface: IfIndex) -> bool {
        self.egress.has(interface)
    }

    /// Those of the interfaces at which an earlier life's program is still: they are the ones that it knew.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    pub fn left_at(&self, interfaces: &[(IfIndex, String)]) -> Result<BTreeSet<IfIndex>> {
        let Self { netns, egress, .. } = self;
        let was_left = |(index, name): &&(IfIndex, String)| egress.was_left_at(*index, name);
        netns
            .run(|| {
                let left = interfaces.iter().filter(was_left);
                left.map(|(index, _)| *index).collect()
            })
            .with_context(|| no_entry(netns))
    }

    /// Whether the program is attached to an interface in this direction.
    pub fn holds(&self, interface: IfIndex, direction: Direction) -> bool {
        match direction {
            Direction::Egress => self.egress.has(interface),
            Direction::Ingress => self.ingress.has(interface),
        }
    }

    /// Removes the filters that an earlier life of this auditor has left at interfaces which are not audited any more.
    pub fn remove_other_filters(&self, own: &Owner) {
        if self.mode == Mode::Clsact {
            let Self { netns, egress, .. } = self;
            // One that cannot be entered any more took its filters along.
            let _ = netns.run(|| {
                persist::filters_here(
                    |interface| egress.has(interface),
                    |program| own.has(program),
                )
            });
        }
    }

    /// Attaches to the egress of interfaces, by the names that they have now; those that it has already are left alone.
    /// `done` hears of each, and what went wrong with it; not of one that is gone or has another name by now, of which there
    /// are news.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered. An interface that refuses is `done`'s to tell.
    pub fn attach(
        &mut self,
        interfaces: &[(IfIndex, String)],
        done: impl FnMut(&str, Result<(), ProgramError>) + Send,
    ) -> Result<()> {
        let Self { netns, egress, .. } = self;
        netns
            .run(|| egress.attach(interfaces, done))
            .with_context(|| no_entry(netns))
    }

    /// Attaches to the ingress of those of the interfaces that are audited and where what arrives may be amiss; `done` as for
    /// [`Self::attach`].
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    pub fn watch_arrivals(
        &mut self,
        interfaces: &[(IfIndex, String)],
        done: impl FnMut(&str, Result<(), ProgramError>) + Send,
    ) -> Result<()> {
        let Self {
            netns,
            egress,
            ingress,
            ..
        } = self;
        let mut new = interfaces.to_vec();
        new.retain(|(index, _)| egress.has(*index) && !ingress.has(*index));
        if new.is_empty() {
            return Ok(());
        }
        netns
            .run(|| ingress.attach(&new, done))
            .with_context(|| no_entry(netns))
    }

    /// Detaches from the ingress of all interfaces but these.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    pub fn watch_arrivals_only_at(&mut self, interfaces: &[(IfIndex, String)]) -> Result<()> {
        let Self { netns, ingress, .. } = self;
        let wanted: BTreeSet<IfIndex> = interfaces.iter().map(|(index, _)| *index).collect();
        if ingress.interfaces().all(|index| wanted.contains(&index)) {
            return Ok(());
        }
        netns
            .run(|| ingress.detach(|index| wanted.contains(&index)))
            .with_context(|| no_entry(netns))
    }

    /// Forgets the interfaces that are gone, also those whose index another has by now; `there` are those that there are.
    /// Returns the indexes that are, or were, free.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered.
    pub fn forget_gone(&mut self, there: &[(IfIndex, String)]) -> Result<Vec<IfIndex>> {
        let mut gone: Vec<IfIndex> = self.interfaces().collect();
        gone.retain(|index| there.iter().all(|(other, _)| other != index));
        let Self { netns, egress, .. } = self;
        let deserted = netns
            .run(|| egress.deserted(there))
            .with_context(|| no_entry(netns))?;
        gone.extend(deserted?);
        for &index in &gone {
            self.forget(index);
        }
        Ok(gone)
    }

    /// Detaches from all interfaces, also where it is to persist.
    pub fn detach(&mut self) {
        let Self {
            netns,
            egress,
            ingress,
            ..
        } = self;
        if egress.interfaces().next().is_none() {
            return;
        }
        // A netlink filter can only be detached inside its namespace. One that cannot be entered any more is gone, and
        // took its filters along.
        let _ = netns.run(|| {
            ingress.detach(|_| false);
            egress.detach(|_| false);
        });
    }

    /// Forgets an interface that is gone, and the programs' place with it. Returns whether it was audited.
    pub fn forget(&mut self, interface: IfIndex) -> bool {
        self.ingress.forget(interface);
        self.egress.forget(interface)
    }
}

impl Drop for NamespaceHooks {
    fn drop(&mut self) {
        if !(self.ingress.leave() & self.egress.leave()) {
            self.detach();
        }
    }
}

/// An interface of a namespace to which an auditor is attached that outlives its collectors, and is not the one that `own`
/// tells.
///
/// # Errors
///
/// When the namespace cannot be entered.
pub fn strangers(netns: &NetNs, own: Option<&Persist>) -> Result<Option<String>> {
    let mut ours = BTreeSet::new();
    if let Some(persist) = own {
        let pins = persist.pins();
        let here = pins
            .all()
            .into_iter()
            .filter(|pin| pin.netns == netns.cookie);
        ours.extend(here.filter_map(|pin| link::program_of(&pins.path_of(pin))));
    }
    let direction = Direction::Egress;
    let has_anothers_link = |name: &str| {
        let programs = SchedClassifier::query_tcx(name, direction.attach_type());
        programs.is_ok_and(|(_, programs)| {
            programs.iter().any(|program| {
                program.name_as_str() == Some(direction.lasting_program())
                    && !ours.contains(&program.id())
            })
        })
    };
    let mut filters = Vec::new();
    let linked = netns
        .run(|| {
            let interfaces = if_nameindex().ok()?;
            interfaces.iter().find_map(|interface| {
                let name = interface.name().to_string_lossy().into_owned();
                let lasting = filters::lasting(IfIndex(interface.index()), direction);
                filters.extend(lasting.into_iter().map(|program| (name.clone(), program)));
                has_anothers_link(&name).then_some(name)
            })
        })
        .with_context(|| no_entry(netns))?;
    if linked.is_some() || filters.is_empty() {
        return Ok(linked);
    }
    let owner = own.map(Persist::owner).unwrap_or_default();
    let strange = filters
        .into_iter()
        .find(|(_, program)| !owner.has(*program));
    Ok(strange.map(|(name, _)| name))
}

fn no_entry(netns: &NetNs) -> String {
    format!("the network namespace {} cannot be entered", netns.name)
}

/// What the kernel said when it refused a program, in one line: the verifier's log is for debugging, and its end names
/// what it minds.
pub(super) fn refusal(error: ProgramError) -> anyhow::Error {
    let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = &error
    else {
        return error.into();
    };
    let log = verifier_log.to_string();
    log::debug!("the verifier's log:\n{log}");
    let complaint = log
        .lines()
        .rev()
        .find(|line| {
            let told_always = ["processed ", "verification time ", "stack depth "];
            !line.is_empty() && !told_always.iter().any(|start| line.starts_with(start))
        })
        .map_or_else(String::new, |line| format!(" (verifier: {line})"));
    anyhow::anyhow!("{io_error}{complaint}")
}

fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
{
    let program = ebpf
        .program_mut(name)
        .with_context(|| format!("the eBPF object has no program {name}"))?;
    program
        .try_into()
        .with_context(|| format!("the eBPF program {name} is of another type"))
}
