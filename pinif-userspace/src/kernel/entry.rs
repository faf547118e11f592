//! Entry programs: what is attached to the interfaces of a namespace. Each writes its namespace's cookie to where the
//! traffic programs read it (`state/netns.rs` of the programs) and goes on with one of these by a tail call.
//!
//! A traffic program is large, and takes the verifier tens of milliseconds; so it is loaded once, and each namespace costs
//! the verifier a dozen instructions. They are assembled here, since their only difference is a constant.

use std::{
    ffi::CStr,
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf,
    maps::{Map, MapData, MapError, ProgramArray},
    programs::{ProgramFd, SchedClassifier},
};
use pinif_ebpf::key::NetNsCookie;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

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
    netns: MapData,
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
    /// Opens the table of traffic programs. Without one for its direction, an entry program lets every packet pass unseen.
    ///
    /// # Errors
    ///
    /// When the object lacks a map, or the kernel has no BPF file system to give.
    pub fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let mut take = |name| take_map(ebpf, name);
        let Map::PerCpuArray(netns) = take("NETNS")? else {
            bail!("the eBPF object's map NETNS is of another type");
        };
        let Map::ProgramArray(table) = take("TRAFFIC")? else {
            bail!("the eBPF object's map TRAFFIC is of another type");
        };
        Ok(Self {
            netns,
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
        let [place, table] = [self.netns.fd().as_fd(), self.table_descriptor.as_fd()];
        let instructions = assemble(
            netns,
            direction.place(),
            place.as_raw_fd(),
            table.as_raw_fd(),
        );
        let program = load(&instructions, name)
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

/// `struct bpf_insn`: code, destination and source register, offset, immediate.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

impl Instruction {
    fn bytes(self) -> [u8; 8] {
        let [o0, o1] = self.offset.to_ne_bytes();
        let [i0, i1, i2, i3] = self.immediate.to_ne_bytes();
        [self.code, self.registers, o0, o1, i0, i1, i2, i3]
    }
}

const fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers: from << 4 | to,
        offset,
        immediate,
    }
}

/// The instructions that are needed, by the names of the kernel's documentation (Documentation/bpf/standardization).
mod op {
    pub const ADD: u8 = 0x07;
    pub const JEQ: u8 = 0x15;
    pub const LDDW: u8 = 0x18;
    pub const ST_W: u8 = 0x62;
    pub const STX_DW: u8 = 0x7b;
    pub const CALL: u8 = 0x85;
    pub const EXIT: u8 = 0x95;
    pub const MOV: u8 = 0xb7;
    pub const MOV_REGISTER: u8 = 0xbf;
    /// `BPF_PSEUDO_MAP_FD`: the constant of `LDDW` is a map's descriptor.
    pub const MAP: u8 = 1;
    /// `BPF_FUNC_map_lookup_elem`.
    pub const LOOK_UP: i32 = 1;
    /// `BPF_FUNC_tail_call`.
    pub const TAIL_CALL: i32 = 12;
}

/// `TC_ACT_UNSPEC`: no verdict.
const UNSPEC: i32 = -1;
/// The frame pointer.
const FRAME: u8 = 10;

/// The entry program of a namespace, which goes on with the traffic program in this place of the table: instructions as the kernel takes
/// them, with the numbers by which they name the maps `NETNS` and `TRAFFIC`.
pub fn entry_program(netns: NetNsCookie, traffic: u32, maps: [RawFd; 2]) -> Vec<[u8; 8]> {
    let [place, table] = maps;
    let instructions = assemble(netns, traffic, place, table);
    instructions.into_iter().map(Instruction::bytes).collect()
}

/// The same, for [`load`].
fn assemble(netns: NetNsCookie, traffic: u32, place: RawFd, table: RawFd) -> Vec<Instruction> {
    let [low, high] = [netns.0 as u32, (netns.0 >> 32) as u32].map(u32::cast_signed);
    vec![
        // *NETNS[0] = netns, where it is: it always is.
        instruction(op::MOV_REGISTER, 6, 1, 0, 0),
        instruction(op::ST_W, FRAME, 0, -4, 0),
        instruction(op::MOV_REGISTER, 2, FRAME, 0, 0),
        instruction(op::ADD, 2, 0, 0, -4),
        instruction(op::LDDW, 1, op::MAP, 0, place),
        instruction(0, 0, 0, 0, 0),
        instruction(op::CALL, 0, 0, 0, op::LOOK_UP),
        instruction(op::JEQ, 0, 0, 8, 0),
        instruction(op::LDDW, 1, 0, 0, low),
        instruction(0, 0, 0, 0, high),
        instruction(op::STX_DW, 0, 1, 0, 0),
        // TRAFFIC[traffic](context): with a constant index a direct jump (`bpf_arch_poke`).
        instruction(op::MOV_REGISTER, 1, 6, 0, 0),
        instruction(op::LDDW, 2, op::MAP, 0, table),
        instruction(0, 0, 0, 0, 0),
        instruction(op::MOV, 3, 0, 0, traffic.cast_signed()),
        instruction(op::CALL, 0, 0, 0, op::TAIL_CALL),
        instruction(op::MOV, 0, 0, 0, UNSPEC),
        instruction(op::EXIT, 0, 0, 0, 0),
    ]
}

fn load(instructions: &[Instruction], name: &str) -> io::Result<OwnedFd> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_program_is_what_the_kernel_takes_for_one() {
        let cookie = NetNsCookie(0x0123_4567_89ab_cdef);
        let instructions = assemble(cookie, 1, 3, 4);
        assert_eq!(size_of::<Instruction>(), 8);
        assert_eq!(size_of::<LoadAttributes>(), 64);
        let constant = instructions
            .iter()
            .position(|instruction| instruction.immediate == 0x89ab_cdef_u32.cast_signed())
            .expect("the cookie's lower half");
        assert_eq!(instructions[constant + 1].immediate, 0x0123_4567);
        let jump = instructions
            .iter()
            .position(|instruction| instruction.code == op::JEQ)
            .expect("a jump");
        let target = jump + 1 + instructions[jump].offset as usize;
        assert_eq!(
            instructions[target..]
                .iter()
                .map(|i| i.code)
                .collect::<Vec<_>>(),
            [op::MOV, op::EXIT]
        );
    }
}
