//! Entry programs (`hooks/entry.rs` of the programs): what is attached to the interfaces of a namespace. Each has its namespace's
//! cookie as a constant, and goes on with a traffic program by a tail call.
//!
//! A traffic program is large, and takes the verifier tens of milliseconds; so it is loaded once, and each namespace has entry
//! programs of its own.

mod code;

use std::{
    ffi::CStr,
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf,
    maps::{Map, MapData, MapError, ProgramArray},
    programs::{ProgramFd, SchedClassifier},
};
use aya_obj::generated::bpf_insn;
use pinif_ebpf::key::NetNsCookie;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use self::code::Code;
use super::{
    direction::TcDirection,
    object::take_map,
    syscall::{self, BPF_PROG_LOAD, LoadAttributes},
};

const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
/// The entry programs' licence, as the kernel wants it.
const LICENCE: &CStr = c"Dual MIT/GPL";

/// Makes entry programs to the traffic programs.
pub struct Entries {
    code: Code,
    /// The table that holds the traffic programs, for as long as it is open.
    table: ProgramArray<MapData>,
    /// The same table's descriptor, which aya does not give.
    table_descriptor: OwnedFd,
    /// Those that were put into it.
    traffic: Vec<Traffic>,
    /// A program that was loaded here is handed to aya by a pin, in a BPF file system that is mounted nowhere.
    pins: OwnedFd,
}

/// A traffic program in the table.
struct Traffic {
    direction: TcDirection,
    /// Its number.
    id: u32,
    program: ProgramFd,
}

impl Entries {
    /// Opens the table of traffic programs, of an object whose maps nobody has taken yet: entry programs read some. Without a traffic
    /// program for its direction, an entry program lets every packet pass unseen.
    ///
    /// # Errors
    ///
    /// When the object lacks a map or a program, or the kernel has no BPF file system to give.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let code = Code::of(ebpf)?;
        let Map::ProgramArray(table) = take_map(ebpf, "TRAFFIC")? else {
            bail!("the eBPF object's map TRAFFIC is of another type");
        };
        Ok(Self {
            code,
            table_descriptor: table.fd().as_fd().try_clone_to_owned()?,
            table: ProgramArray::try_from(Map::ProgramArray(table))?,
            traffic: Vec::new(),
            pins: detached_bpffs()?,
        })
    }

    /// Makes a traffic program the one that entry programs go on with.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it.
    pub fn put(&mut self, direction: TcDirection, program: &ProgramFd) -> Result<()> {
        self.table
            .set(direction.place(), program, 0)
            .context("the kernel refused a traffic program in its table")?;
        self.traffic.retain(|other| other.direction != direction);
        self.traffic.push(Traffic {
            direction,
            id: syscall::id_of_program(&program.as_fd())?,
            program: program.try_clone()?,
        });
        Ok(())
    }

    /// The directions whose traffic program is in its table no longer: whoever may write to the table took it out, or put another
    /// in its place.
    ///
    /// # Errors
    ///
    /// When the table cannot be read.
    pub fn removed(&self) -> io::Result<Vec<TcDirection>> {
        let mut removed = Vec::new();
        for Traffic { direction, id, .. } in &self.traffic {
            let now = syscall::program_in(&self.table_descriptor, direction.place())?;
            if now != Some(*id) {
                removed.push(*direction);
            }
        }
        Ok(removed)
    }

    /// Puts a traffic program that was removed into its table again.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it.
    pub fn put_again(&mut self, direction: TcDirection) -> Result<()> {
        let mut traffic = self.traffic.iter();
        if let Some(traffic) = traffic.find(|traffic| traffic.direction == direction) {
            self.table
                .set(direction.place(), &traffic.program, 0)
                .context("the kernel refused a traffic program in its table")?;
        }
        Ok(())
    }

    /// The table's descriptor.
    pub(super) fn table(&self) -> &OwnedFd {
        &self.table_descriptor
    }

    /// Whether entry programs of this direction have a traffic program to go on with.
    pub fn has(&self, direction: TcDirection) -> bool {
        let mut traffic = self.traffic.iter();
        traffic.any(|traffic| traffic.direction == direction)
    }

    /// Has the entry programs go on with nothing any more: everywhere at the same instant, no packet that comes after it is
    /// seen.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn close(&mut self) -> Result<()> {
        for Traffic { direction, .. } in &self.traffic {
            match self.table.clear_index(&direction.place()) {
                // Somebody took it out before.
                Err(MapError::SyscallError(error))
                    if error.io_error.kind() == io::ErrorKind::NotFound => {}
                cleared => {
                    cleared.context("a traffic program cannot be taken out of its table")?;
                }
            }
        }
        Ok(())
    }

    /// Loads the entry program of a namespace for one direction, under the traffic program's name, or under that of an auditor
    /// that persists: by that it is distinguished from other programs of an interface.
    ///
    /// # Errors
    ///
    /// When the kernel refuses it.
    pub fn of(
        &self,
        netns: NetNsCookie,
        direction: TcDirection,
        persists: bool,
    ) -> Result<SchedClassifier> {
        let name = if persists {
            direction.lasting_program()
        } else {
            direction.program()
        };
        let program = load(&self.code.of_namespace(netns, direction)?, name)
            .context("the kernel refused the entry program of a network namespace")?;
        let pin = PathBuf::from(format!(
            "/proc/self/fd/{}/{}",
            self.pins.as_raw_fd(),
            netns.0
        ));
        hand_over(&program, &pin).context("an entry program cannot be handed over")
    }
}

fn hand_over(program: &OwnedFd, pin: &Path) -> Result<SchedClassifier> {
    syscall::pin(program, pin)?;
    let handed_over = SchedClassifier::from_pin(pin);
    fs::remove_file(pin)?;
    Ok(handed_over?)
}

fn load(instructions: &[bpf_insn], name: &str) -> io::Result<OwnedFd> {
    let mut attributes = LoadAttributes {
        kind: BPF_PROG_TYPE_SCHED_CLS,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        licence: LICENCE.as_ptr() as u64,
        name: syscall::name(name),
        ..LoadAttributes::default()
    };
    // SAFETY: instructions and licence outlive the call, and are as long as is said.
    unsafe { syscall::make(BPF_PROG_LOAD, &mut attributes) }
}

/// A BPF file system that is mounted nowhere (`fsopen(2)`, `fsmount(2)`): there is no path to collide with, and it goes
/// with the process.
fn detached_bpffs() -> Result<OwnedFd> {
    let context = fsopen("bpf", FsOpenFlags::FSOPEN_CLOEXEC)
        .context("no BPF file system can be made (fsopen \"bpf\")")?;
    fsconfig_create(&context).context("no BPF file system can be made (fsconfig)")?;
    fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
    .context("no BPF file system can be made (fsmount)")
}
