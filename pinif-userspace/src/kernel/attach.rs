//! Attaching: the cgroup hooks once, the traffic program to every interface of a namespace.

mod ahead;

use std::{collections::BTreeMap, fs::File, io, path::Path};

use anyhow::{Context as _, Result};
use aya::{
    Btf, Ebpf,
    programs::{
        CgroupAttachMode, CgroupSock, CgroupSockAddr, CgroupSockopt, Iter, LinkOrder, ProgramError,
        SchedClassifier, TcAttachType,
        tc::{SchedClassifierLinkId, TcAttachOptions},
    },
    util::KernelVersion,
};
use nix::net::if_::if_indextoname;
use pinif_ebpf::key::IfIndex;

use pinif_ebpf::bypass::Bypass;

use super::{bypass, entry::Entries, filters};
use crate::host::netns::NetNs;

pub use ahead::{Ahead, at_egress};

/// The traffic program, by the name of its function.
const EGRESS: &str = "pinif_egress";
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
    /// Attaches the hooks to a cgroup.
    ///
    /// # Errors
    ///
    /// When the cgroup cannot be opened, or the kernel refuses a hook.
    pub fn attach(mut ebpf: Ebpf, cgroup: &Path) -> Result<Self> {
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
        // The types have these methods in common, and no trait for them.
        macro_rules! attach {
            ($program:ty: $($name:literal),+) => {
                for name in [$($name),+] {
                    let program: &mut $program = program(&mut ebpf, name)?;
                    program.load().map_err(refusal).with_context(|| at(name))?;
                    program
                        .attach(&directory, CgroupAttachMode::Single)
                        .with_context(|| at(name))?;
                }
            };
        }
        attach!(CgroupSock: "pinif_create", "pinif_release", "pinif_post_bind4", "pinif_post_bind6");
        attach!(CgroupSockAddr: "pinif_connect4", "pinif_connect6", "pinif_sendmsg4", "pinif_sendmsg6");
        attach!(CgroupSockopt: "pinif_setsockopt");
        Ok(Self { ebpf })
    }

    /// Gives every socket that was there before its owner.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the iterator: a socket's process is then looked for when there is a finding (`sock_diag`).
    pub fn mark_existing(&mut self, btf: &Btf) -> Result<()> {
        mark_existing(&mut self.ebpf, btf)
    }

    /// Prepares [`Self::bypassing`].
    ///
    /// # Errors
    ///
    /// When the kernel refuses the iterator.
    pub fn prepare_bypassing(&mut self, btf: &Btf) -> Result<()> {
        bypass::load(&mut self.ebpf, btf)
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
fn mark_existing(ebpf: &mut Ebpf, btf: &Btf) -> Result<()> {
    let refused = "the kernel refused the iterator over existing sockets";
    let iterator: &mut Iter = program(ebpf, EXISTING)?;
    iterator
        .load("task_file", btf)
        .map_err(refusal)
        .context(refused)?;
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

/// Loads the traffic program, for every namespace's entry program to go on with.
///
/// # Errors
///
/// When the kernel refuses it.
pub fn load_traffic(ebpf: &mut Ebpf) -> Result<Entries> {
    let egress: &mut SchedClassifier = program(ebpf, EGRESS)?;
    egress
        .load()
        .map_err(refusal)
        .context("the kernel refused the program for TC egress")?;
    let traffic = egress
        .fd()
        .and_then(|descriptor| Ok(descriptor.try_clone()?))
        .context("the program for TC egress has no descriptor")?;
    Entries::to(&traffic, EGRESS, ebpf)
}

/// The entry program of one namespace, and where it is attached.
pub struct NamespaceHooks {
    netns: NetNs,
    egress: SchedClassifier,
    mode: Mode,
    links: BTreeMap<IfIndex, SchedClassifierLinkId>,
}

impl NamespaceHooks {
    /// Loads the entry program of a namespace.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it.
    pub fn load(entries: &Entries, netns: NetNs, mode: Mode) -> Result<Self> {
        Ok(Self {
            egress: entries.of(netns.cookie)?,
            netns,
            mode,
            links: BTreeMap::new(),
        })
    }

    /// The namespace.
    pub fn netns(&self) -> &NetNs {
        &self.netns
    }

    /// Where it is attached.
    pub fn interfaces(&self) -> impl Iterator<Item = IfIndex> {
        self.links.keys().copied()
    }

    /// Whether it is attached to the interface.
    pub fn has(&self, interface: IfIndex) -> bool {
        self.links.contains_key(&interface)
    }

    /// Attaches to interfaces, by the names that they have now; those that it has already are left alone. `done` hears
    /// of each, and what went wrong with it; not of one that is gone or has another name by now, of which there are news.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered. An interface that refuses is `done`'s to tell.
    pub fn attach(
        &mut self,
        interfaces: &[(IfIndex, String)],
        mut done: impl FnMut(&str, Result<(), ProgramError>) + Send,
    ) -> Result<()> {
        let Self {
            netns,
            egress,
            mode,
            links,
        } = self;
        netns
            .run(|| {
                for (index, name) in interfaces {
                    if links.contains_key(index) {
                        continue;
                    }
                    let attached = match name_now(*index, name) {
                        Name::Same => attach_one(egress, *index, name, *mode),
                        Name::NoText => Err(no_text()),
                        Name::Another => continue,
                    };
                    // Another may have taken the name in between.
                    match attached {
                        Ok(link) if name_now(*index, name) != Name::Same => {
                            let _ = egress.detach(link);
                        }
                        Ok(link) => {
                            links.insert(*index, link);
                            done(name, Ok(()));
                        }
                        Err(error) => done(name, Err(error)),
                    }
                }
            })
            .with_context(|| format!("the network namespace {} cannot be entered", netns.name))
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
        let Self {
            netns,
            egress,
            mode,
            links,
        } = self;
        let id = egress
            .info()
            .context("the program cannot be asked for its id")?
            .id();
        let held = there.iter().filter(|(index, _)| links.contains_key(index));
        let deserted = netns.run(|| {
            held.filter(|(index, name)| match mode {
                Mode::Tcx => !is_attached(id, name),
                Mode::Clsact => !filters::is_attached(*index, EGRESS),
            })
            .map(|(index, _)| *index)
            .collect::<Vec<_>>()
        });
        gone.extend(
            deserted.with_context(|| {
                format!("the network namespace {} cannot be entered", netns.name)
            })?,
        );
        for &index in &gone {
            self.forget(index);
        }
        Ok(gone)
    }

    /// Detaches from all interfaces.
    pub fn detach(&mut self) {
        let links = std::mem::take(&mut self.links);
        if links.is_empty() {
            return;
        }
        let egress = &mut self.egress;
        let detach = || {
            for link in links.into_values() {
                // The device may be gone, and the link with it.
                let _ = egress.detach(link);
            }
        };
        // A netlink filter can only be detached inside its namespace. One that cannot be entered any more is gone, and
        // took its filters along.
        let _ = self.netns.run(detach);
    }

    /// Forgets an interface that is gone, and the program's place with it. Returns whether it was attached there.
    pub fn forget(&mut self, interface: IfIndex) -> bool {
        let Some(link) = self.links.remove(&interface) else {
            return false;
        };
        match self.mode {
            // The device took its link along; the descriptor is closed here.
            Mode::Tcx => drop(self.egress.take_link(link)),
            // The qdisc went with the device. Detaching would hit another that has its index by now.
            Mode::Clsact => std::mem::forget(self.egress.take_link(link)),
        }
        true
    }
}

impl Drop for NamespaceHooks {
    fn drop(&mut self) {
        self.detach();
    }
}

/// What an interface is called now, compared with what it was called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    /// The same.
    Same,
    /// Something that is no text, and therefore was shown as something else.
    NoText,
    /// Something else; or it is gone.
    Another,
}

/// In the calling thread's namespace.
fn name_now(index: IfIndex, name: &str) -> Name {
    match if_indextoname(index.0) {
        Ok(now) if now.to_bytes() == name.as_bytes() => Name::Same,
        Ok(now) if now.to_str().is_err() => Name::NoText,
        Ok(_) | Err(_) => Name::Another,
    }
}

fn no_text() -> ProgramError {
    ProgramError::IOError(io::Error::new(
        io::ErrorKind::InvalidInput,
        "its name is not UTF-8; rename it",
    ))
}

/// In the namespace's thread: aya attaches by name, in the calling thread's namespace.
fn attach_one(
    egress: &mut SchedClassifier,
    interface: IfIndex,
    name: &str,
    mode: Mode,
) -> Result<SchedClassifierLinkId, ProgramError> {
    let options = match mode {
        // First, since a program before ours could end the run.
        Mode::Tcx => TcAttachOptions::TcxOrder(LinkOrder::first()),
        Mode::Clsact => TcAttachOptions::Netlink(filters::make_way(interface, name, EGRESS)?),
    };
    egress.attach_with_options(name, TcAttachType::Egress, options)
}

/// Whether the program with this id is among those that the interface has. Where that cannot be told, it is taken to be.
fn is_attached(id: u32, interface: &str) -> bool {
    match SchedClassifier::query_tcx(interface, TcAttachType::Egress) {
        Ok((_, programs)) => programs.iter().any(|program| program.id() == id),
        Err(_) => true,
    }
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
