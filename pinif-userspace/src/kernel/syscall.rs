//! bpf(2) itself, for what aya has no way for.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

const BPF_MAP_LOOKUP_ELEM: u32 = 1;
const BPF_MAP_UPDATE_ELEM: u32 = 2;
const BPF_MAP_DELETE_ELEM: u32 = 3;
const BPF_OBJ_PIN: u32 = 6;
const BPF_OBJ_GET: u32 = 7;
const BPF_PROG_GET_FD_BY_ID: u32 = 13;
const BPF_MAP_GET_FD_BY_ID: u32 = 14;
const BPF_OBJ_GET_INFO_BY_FD: u32 = 15;
const BPF_PROG_QUERY: u32 = 16;
const BPF_LINK_CREATE: u32 = 28;
const BPF_LINK_DETACH: u32 = 34;
/// For [`link`]: before the program that is named, or before all where none is.
pub const BPF_F_BEFORE: u32 = 1 << 3;
/// `BPF_PROG_LOAD`.
pub const BPF_PROG_LOAD: u32 = 5;

/// The beginning of `union bpf_attr`, as [`BPF_PROG_LOAD`] has it; the kernel takes the rest for zero.
#[repr(C)]
#[derive(Default)]
pub struct LoadAttributes {
    /// `enum bpf_prog_type`.
    pub kind: u32,
    /// How many instructions there are.
    pub instruction_count: u32,
    /// Where they are.
    pub instructions: u64,
    /// Where the licence is, ended by a zero.
    pub licence: u64,
    /// How much the verifier logs; zero is nothing.
    pub log_level: u32,
    /// The room for that, in bytes.
    pub log_size: u32,
    /// Where it is.
    pub log: u64,
    /// Ignored by the kernel.
    pub kernel_version: u32,
    /// `BPF_F_*`.
    pub flags: u32,
    /// The name, ended by a zero ([`name`]).
    pub name: [u8; 16],
}

const _: () = assert!(size_of::<LoadAttributes>() == 64);

/// A program's name as the kernel has it: of a longer one, the first 15 bytes.
pub fn name(text: &str) -> [u8; 16] {
    let mut name = [0; 16];
    for (byte, &letter) in name[..15].iter_mut().zip(text.as_bytes()) {
        *byte = letter;
    }
    name
}

/// Runs a command; returns what it returns.
///
/// # Errors
///
/// The kernel's. What the command writes into the attributes before it fails is there.
///
/// # Safety
///
/// `attributes` are those of the command, and what they point to is there as they say.
pub unsafe fn bpf<T>(command: u32, attributes: &mut T) -> io::Result<libc::c_int> {
    // SAFETY: as the caller promises; the size is that of what is passed.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            libc::c_long::from(command),
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if outcome < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(outcome as libc::c_int)
    }
}

/// Runs a command that makes a descriptor.
///
/// # Errors
///
/// The kernel's.
///
/// # Safety
///
/// As of [`bpf`]; and the command makes a descriptor.
pub unsafe fn make<T>(command: u32, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: as the caller promises.
    let descriptor = unsafe { bpf(command, attributes) }?;
    // SAFETY: the call just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// The beginning of `union bpf_attr`, as `BPF_LINK_CREATE` has it.
#[repr(C)]
struct LinkAttributes {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
}

/// Attaches a program by a link (`BPF_LINK_CREATE`): to a cgroup, by its descriptor, or to an interface of the calling thread's
/// namespace, by its index. The attach type is a number of `enum bpf_attach_type`.
///
/// # Errors
///
/// The kernel's.
pub fn link(program: &impl AsFd, target: u32, attach_type: u32, flags: u32) -> io::Result<OwnedFd> {
    let mut attributes = LinkAttributes {
        program: program.as_fd().as_raw_fd().cast_unsigned(),
        target,
        attach_type,
        flags,
    };
    // SAFETY: the attributes are those of the command, which makes a descriptor, and point nowhere.
    unsafe { make(BPF_LINK_CREATE, &mut attributes) }
}

/// Detaches a link (`BPF_LINK_DETACH`), whoever else has it: what comes after this is not seen by its program. Closing or unpinning
/// the last descriptor does so an RCU grace period later.
///
/// # Errors
///
/// The kernel's.
pub fn detach(link: &impl AsFd) -> io::Result<()> {
    let mut descriptor = link.as_fd().as_raw_fd().cast_unsigned();
    // SAFETY: the attributes are those of the command, and point nowhere.
    unsafe { bpf(BPF_LINK_DETACH, &mut descriptor) }.map(|_| ())
}

/// The beginning of `union bpf_attr`, as `BPF_OBJ_PIN` and `BPF_OBJ_GET` have it.
#[repr(C)]
struct PathAttributes {
    path: u64,
    descriptor: u32,
    flags: u32,
}

/// Pins a program, a map or a link here, in a BPF file system (`BPF_OBJ_PIN`).
///
/// # Errors
///
/// The kernel's.
pub fn pin(object: &OwnedFd, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attributes = PathAttributes {
        path: path.as_ptr() as u64,
        descriptor: object.as_raw_fd().cast_unsigned(),
        flags: 0,
    };
    // SAFETY: the path outlives the call, and ends with a zero.
    unsafe { bpf(BPF_OBJ_PIN, &mut attributes) }.map(|_| ())
}

/// Opens what is pinned here (`BPF_OBJ_GET`).
///
/// # Errors
///
/// The kernel's.
pub fn pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attributes = PathAttributes {
        path: path.as_ptr() as u64,
        descriptor: 0,
        flags: 0,
    };
    // SAFETY: the path outlives the call, and ends with a zero; the command makes a descriptor.
    unsafe { make(BPF_OBJ_GET, &mut attributes) }
}

/// `query` of `union bpf_attr`, up to what the first kernel with TCX has.
#[repr(C)]
#[derive(Default)]
struct QueryAttributes {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    _pad: u32,
    program_attach_flags: u64,
    links: u64,
    link_attach_flags: u64,
    revision: u64,
}

/// As many programs as one hook of an interface can have (`BPF_MPROG_MAX`).
const PROGRAMS: usize = 64;

/// The numbers of the programs at an interface of the calling thread's namespace, in the order in which they run
/// (`BPF_PROG_QUERY`, `tcx_prog_query`). The attach type is a number of `enum bpf_attach_type`.
///
/// # Errors
///
/// The kernel's: `ENODEV` where there is no such interface, `EINVAL` where it knows no such hook.
pub fn programs_at(interface: u32, attach_type: u32) -> io::Result<Vec<u32>> {
    let mut programs = vec![0u32; PROGRAMS];
    let mut attributes = QueryAttributes {
        target: interface,
        attach_type,
        programs: programs.as_mut_ptr().expose_provenance() as u64,
        count: PROGRAMS as u32,
        ..QueryAttributes::default()
    };
    // SAFETY: the attributes are those of the command, and the numbers have the room that is said.
    unsafe { bpf(BPF_PROG_QUERY, &mut attributes) }?;
    programs.truncate(attributes.count as usize);
    Ok(programs)
}

/// `struct` of `union bpf_attr` for one element of a map.
#[repr(C)]
struct ElementAttributes {
    map: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The number of the program in a place of a program array (`bpf_fd_array_map_lookup_elem`); none where there is none.
///
/// # Errors
///
/// The kernel's.
pub fn program_in(table: &impl AsFd, place: u32) -> io::Result<Option<u32>> {
    let mut program = 0u32;
    let mut attributes = ElementAttributes {
        map: table.as_fd().as_raw_fd().cast_unsigned(),
        _pad: 0,
        key: std::ptr::from_ref(&place).expose_provenance() as u64,
        value: std::ptr::from_mut(&mut program).expose_provenance() as u64,
        flags: 0,
    };
    // SAFETY: key and value are of four bytes each, as a program array's are, and outlive the call.
    match unsafe { bpf(BPF_MAP_LOOKUP_ELEM, &mut attributes) } {
        Ok(_) => Ok(Some(program)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks for what the kernel refuses, and does nothing for: that no link be detached.
pub fn detach_none() {
    let mut none = u32::MAX;
    // SAFETY: the attributes are those of the command, and point nowhere.
    let _refused = unsafe { bpf(BPF_LINK_DETACH, &mut none) };
}

/// Asks for what the kernel refuses, and does nothing for: that no program be put into a program array (`bpf_fd_array_map_update_elem`).
pub fn put_none(table: &impl AsFd) {
    change_none(BPF_MAP_UPDATE_ELEM, table, 0);
}

/// Asks for what the kernel refuses, and does nothing for: that the program in no place of a program array be taken out
/// (`fd_array_map_delete_elem`).
pub fn cut_none(table: &impl AsFd) {
    change_none(BPF_MAP_DELETE_ELEM, table, u32::MAX);
}

fn change_none(command: u32, table: &impl AsFd, place: u32) {
    let none = u32::MAX;
    let mut attributes = ElementAttributes {
        map: table.as_fd().as_raw_fd().cast_unsigned(),
        _pad: 0,
        key: std::ptr::from_ref(&place).expose_provenance() as u64,
        value: match command {
            BPF_MAP_DELETE_ELEM => 0,
            _ => std::ptr::from_ref(&none).expose_provenance() as u64,
        },
        flags: 0,
    };
    // SAFETY: key and value are of four bytes each, as a program array's are, and outlive the call.
    let _refused = unsafe { bpf(command, &mut attributes) };
}

/// `info` of `union bpf_attr`.
#[repr(C)]
struct InfoAttributes {
    descriptor: u32,
    length: u32,
    info: u64,
}

/// Asks what a program, a map or a link is (`BPF_OBJ_GET_INFO_BY_FD`).
///
/// # Errors
///
/// The kernel's.
///
/// # Safety
///
/// `info` is the beginning of the kernel's structure for this kind of object, and what it points to is there as it says.
pub unsafe fn info<T>(object: &impl AsFd, info: &mut T) -> io::Result<()> {
    let mut attributes = InfoAttributes {
        descriptor: object.as_fd().as_raw_fd().cast_unsigned(),
        length: size_of::<T>() as u32,
        info: std::ptr::from_mut(info).expose_provenance() as u64,
    };
    // SAFETY: the kernel writes no more than the length, which is that of what is there; the rest is the caller's promise.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attributes) }.map(|_| ())
}

/// `get_id` of `union bpf_attr`.
#[repr(C)]
struct IdAttributes {
    id: u32,
    next: u32,
    flags: u32,
}

/// Opens a map by its number.
///
/// # Errors
///
/// The kernel's.
pub fn map_of_id(id: u32) -> io::Result<OwnedFd> {
    of_id(BPF_MAP_GET_FD_BY_ID, id)
}

/// Opens an object by its number; the command says of which kind.
fn of_id(command: u32, id: u32) -> io::Result<OwnedFd> {
    let mut attributes = IdAttributes {
        id,
        next: 0,
        flags: 0,
    };
    // SAFETY: the attributes are those of the command, which makes a descriptor, and point nowhere.
    unsafe { make(command, &mut attributes) }
}

/// The beginning of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    _kind: u32,
    id: u32,
    _before: [u64; 5],
    _user: u32,
    map_count: u32,
    maps: u64,
}

const _: () = assert!(size_of::<ProgramInfo>() == 64);

/// The number of a program.
///
/// # Errors
///
/// The kernel's.
pub fn id_of_program(program: &impl AsFd) -> io::Result<u32> {
    let mut program_info = ProgramInfo::default();
    // SAFETY: it is a program; all pointers and lengths are zero.
    unsafe { info(program, &mut program_info) }?;
    Ok(program_info.id)
}

/// How many maps of a program [`maps_of_program`] asks for at most: an entry program has two.
const MAPS: usize = 64;

/// The numbers of the maps that a program uses, by its number.
///
/// # Errors
///
/// The kernel's; that there is no such program among them.
pub fn maps_of_program(id: u32) -> io::Result<Vec<u32>> {
    let program = of_id(BPF_PROG_GET_FD_BY_ID, id)?;
    let mut maps = vec![0u32; MAPS];
    let mut program_info = ProgramInfo {
        map_count: MAPS as u32,
        maps: maps.as_mut_ptr().expose_provenance() as u64,
        ..ProgramInfo::default()
    };
    // SAFETY: it is a program, and the numbers have the room that is said; all other pointers and lengths are zero.
    unsafe { info(&program, &mut program_info) }?;
    maps.truncate(program_info.map_count as usize);
    Ok(maps)
}
