//! The filters of an interface's clsact qdisc (tc-bpf(8)): how programs are attached before Linux 6.6.
//!
//! A filter's handle is the process id of its auditor. So several auditors can be side by side, and what a killed one left
//! (it would count everything once more) is removed. An auditor that outlives its collectors has a handle of its own.

use std::{fs, io, ops::ControlFlow, process};

use aya::programs::tc::{NlOptions, SchedClassifierLink, TcError, qdisc_add_clsact};
use netlink_packet_route::tc::{TcHandle, TcMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use pinif_ebpf::key::IfIndex;

use super::{ahead::Ahead, direction::TcDirection};
use crate::{
    host::{
        attributes::{attributes, text},
        listing::list,
        netlink::Requester,
        pid_namespace,
    },
    text::shell,
};

/// Attributes of `RTM_NEWTFILTER` (linux/rtnetlink.h, linux/pkt_cls.h).
mod attribute {
    pub const KIND: u16 = 1;
    pub const OPTIONS: u16 = 2;
    pub const BPF_NAME: u16 = 7;
    pub const BPF_ID: u16 = 11;
}

/// `struct tcmsg`.
const HEADER: usize = 20;
/// The place that is asked first; zero would be any.
const FIRST_PLACE: u16 = 1;
/// `TC_H_CLSACT`: its egress and its ingress have numbers of their own below it.
const CLSACT: u16 = 0xffff;
/// `TC_H_INGRESS`, the parent of a clsact qdisc too (`TC_H_CLSACT`).
const HOOKS: u32 = 0xffff_fff1;
/// The kind of the qdisc that has an ingress alone.
const INGRESS: &str = "ingress";
/// `ETH_P_ALL`, as the header has it.
const EVERY_PROTOCOL: u16 = (libc::ETH_P_ALL as u16).to_be();

/// The handle of an auditor's filter that persists: above all process ids (`PID_MAX_LIMIT`).
const LASTING: u32 = 0x7069_6e66;

/// What distinguishes this auditor's filters from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwnFilter {
    direction: TcDirection,
    program: &'static str,
    handle: u32,
}

impl OwnFilter {
    /// The filters of this process's auditor, or of the one that outlives it.
    pub(super) fn of(direction: TcDirection, persists: bool) -> Self {
        let (program, handle) = if persists {
            (direction.lasting_program(), LASTING)
        } else {
            (direction.program(), process::id())
        };
        Self {
            direction,
            program,
            handle,
        }
    }

    fn is(self, filter: &Filter) -> bool {
        filter.is_called(self.program) && filter.handle == self.handle
    }
}

/// Where this auditor's filter can be.
pub(super) enum FilterPlace {
    /// Here.
    Free(NlOptions),
    /// Where a previous instance's is, whose program can be replaced.
    Taken(SchedClassifierLink),
}

/// Prepares an interface of the calling thread's namespace for this auditor's filter: the qdisc is there, and no filter of
/// an auditor that was killed. Gives the place for ours: the first, or the first free one.
///
/// # Errors
///
/// What the kernel says.
pub(super) fn prepare_place(
    interface: IfIndex,
    name: &str,
    own: OwnFilter,
) -> Result<FilterPlace, TcError> {
    let direction = own.direction;
    match qdisc_add_clsact(name) {
        Ok(()) => {}
        Err(error) if is_there(&error) => {
            // Its older kind takes a filter for egress, too, and puts it at the ingress (`ingress_tcf_block`).
            if kind_of_qdisc(interface)?.as_deref() == Some(INGRESS) {
                return Err(TcError::IoError(without_egress(name)));
            }
        }
        Err(error) => return Err(error),
    }
    // At the egress first, and only later perhaps at the ingress: what was left there counts all the same until then.
    let directions = match direction {
        TcDirection::Egress => &TcDirection::ALL[..],
        TcDirection::Ingress => &[TcDirection::Ingress],
    };
    for &direction in directions {
        for filter in at(interface, direction)? {
            if filter.is_left_behind(direction.program()) {
                remove(interface, direction, &filter)?;
            }
        }
    }
    let filters = at(interface, direction)?;
    let handle = own.handle.into();
    if let Some(before) = filters.iter().find(|filter| own.is(filter)) {
        let link = SchedClassifierLink::attached(
            name,
            direction.attach_type(),
            before.priority,
            handle,
            None,
        )?;
        return Ok(FilterPlace::Taken(link));
    }
    Ok(FilterPlace::Free(NlOptions {
        priority: free_place(&filters),
        handle,
        classid: None,
    }))
}

/// Whether this auditor's filter, with this program, is at the interface, in the calling thread's namespace; and the places of
/// those that are asked before it.
///
/// # Errors
///
/// The kernel's.
pub(super) fn presence(
    interface: IfIndex,
    own: OwnFilter,
    program: u32,
) -> io::Result<(bool, Vec<u16>)> {
    let filters = at(interface, own.direction)?;
    let is_own = |filter: &Filter| own.is(filter) && filter.program_id == Some(program);
    let before = filters.iter().take_while(|filter| !own.is(filter));
    let before = before.filter(|filter| filter.handle != 0);
    Ok((
        filters.iter().any(is_own),
        before.map(|filter| filter.priority).collect(),
    ))
}

/// The programs, by their numbers, of an interface's filters of auditors that outlive their collectors; in the calling thread's
/// namespace.
pub(super) fn lasting(interface: IfIndex, direction: TcDirection) -> Vec<u32> {
    let own = OwnFilter::of(direction, true);
    let filters = at(interface, direction).unwrap_or_default();
    let lasting = filters.into_iter().filter(|filter| own.is(filter));
    lasting.filter_map(|filter| filter.program_id).collect()
}

/// Removes the filters of auditors that outlive their collectors, in the calling thread's namespace: those whose program, by
/// its number, is `wanted`. Whether there was one.
pub(super) fn remove_lasting(
    interface: IfIndex,
    direction: TcDirection,
    wanted: impl Fn(u32) -> bool,
) -> bool {
    let own = OwnFilter::of(direction, true);
    let filters = at(interface, direction).unwrap_or_default();
    let mut removed = false;
    for filter in filters.iter().filter(|filter| own.is(filter)) {
        if filter.program_id.is_some_and(&wanted) {
            removed |= remove(interface, direction, filter).is_ok();
        }
    }
    removed
}

/// The kind of the qdisc of an interface's hooks: `clsact`, or `ingress`, which have one place.
fn kind_of_qdisc(interface: IfIndex) -> io::Result<Option<String>> {
    let mut found = None;
    Requester::open(NETLINK_ROUTE)?.dump(
        libc::RTM_GETQDISC,
        &TcMessage::default(),
        |_, payload| {
            if let Some(header) = payload.first_chunk::<HEADER>() {
                let word =
                    |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
                if (word(4), word(12)) == (interface.0, HOOKS) {
                    found = attributes(&payload[HEADER..])
                        .find(|nla| nla.kind() == attribute::KIND)
                        .map(|nla| text(nla.value()));
                }
            }
            ControlFlow::Continue(())
        },
    )?;
    Ok(found)
}

fn without_egress(name: &str) -> io::Error {
    let name = shell::word(name);
    let text = format!(
        "its qdisc `ingress` has no egress; put a clsact qdisc in its place: `tc qdisc del dev {name} ingress`, then \
         `tc qdisc add dev {name} clsact`, and add its filters again"
    );
    io::Error::other(text)
}

/// The filters that are asked before this auditor's, in the calling thread's namespace; not those of other auditors.
pub(super) fn ahead(interface: IfIndex, own: OwnFilter) -> io::Result<Vec<Ahead>> {
    let filters = at(interface, own.direction)?;
    let before = filters.into_iter().take_while(|filter| !own.is(filter));
    let is_entry = |name: &str| own.direction.is_entry(name);
    // Each place begins with an entry that is no filter; a place that is pinif's alone has nobody else's.
    let others = before
        .filter(|filter| filter.handle != 0 && !filter.program.as_deref().is_some_and(is_entry));
    let others = others.map(|filter| Ahead::Filter {
        priority: filter.priority,
        kind: filter.kind,
    });
    Ok(others.collect())
}

/// The first place where a program can be.
fn free_place(filters: &[Filter]) -> u16 {
    let is_free = |place: &u16| {
        filters
            .iter()
            .all(|filter| filter.priority != *place || filter.admits_programs())
    };
    (FIRST_PLACE..=u16::MAX)
        .find(is_free)
        .unwrap_or(FIRST_PLACE)
}

/// Whether the qdisc was there already.
fn is_there(error: &TcError) -> bool {
    match error {
        TcError::AlreadyAttached => true,
        TcError::NetlinkError(error) => error.raw_os_error() == Some(libc::EEXIST),
        _ => false,
    }
}

/// Whether an auditor with this process id runs: not, if it is this one's, which has attached nothing yet.
fn is_auditor(pid: u32) -> bool {
    let name = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    let alive = kill(Pid::from_raw(pid.cast_signed()), None) != Err(Errno::ESRCH);
    pid != process::id() && alive && name(pid) == name(process::id())
}

/// A filter at the egress or ingress of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    /// Its place: those with a lower one are asked before. One place is for one kind and one protocol.
    priority: u16,
    /// What it is called among those of its place.
    handle: u32,
    /// What decides: `bpf`, `matchall`, `flower`, ….
    kind: String,
    /// The name of the program, of those that are one.
    program: Option<String>,
    /// Its number.
    program_id: Option<u32>,
    /// The ethertype that it is asked for, in network byte order.
    protocol: u16,
}

impl Filter {
    /// Whether a program that is asked for every packet can be beside it.
    fn admits_programs(&self) -> bool {
        self.kind == "bpf" && self.protocol == EVERY_PROTOCOL
    }

    fn is_called(&self, program: &str) -> bool {
        self.program.as_deref() == Some(program)
    }

    fn is_left_behind(&self, program: &str) -> bool {
        // In another PID namespace than the initial one, a number says nothing of an auditor elsewhere.
        self.is_called(program) && pid_namespace::is_initial() && !is_auditor(self.handle)
    }

    fn decode(message: &[u8]) -> Option<Self> {
        let header = message.first_chunk::<HEADER>()?;
        let word = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
        let (handle, information) = (word(8), word(16));
        let mut filter = Self {
            priority: (information >> 16) as u16,
            handle,
            kind: String::new(),
            program: None,
            program_id: None,
            protocol: information as u16,
        };
        for nla in attributes(&message[HEADER..]) {
            match nla.kind() {
                attribute::KIND => filter.kind = text(nla.value()),
                attribute::OPTIONS => filter.decode_program(nla.value()),
                _ => {}
            }
        }
        Some(filter)
    }

    fn decode_program(&mut self, options: &[u8]) {
        for nla in attributes(options) {
            match nla.kind() {
                attribute::BPF_NAME => self.program = Some(text(nla.value())),
                attribute::BPF_ID => {
                    let id = nla.value().first_chunk();
                    self.program_id = id.map(|bytes| u32::from_ne_bytes(*bytes));
                }
                _ => {}
            }
        }
    }
}

/// The filters of one direction at an interface of the calling thread's namespace, in their order. Each place begins with
/// one that has no handle. Without a qdisc, there are none.
fn at(interface: IfIndex, direction: TcDirection) -> io::Result<Vec<Filter>> {
    let listed = list(
        NETLINK_ROUTE,
        libc::RTM_GETTFILTER,
        &message(interface, direction),
        |kind, payload| {
            let is_filter = kind == libc::RTM_NEWTFILTER;
            is_filter.then(|| Filter::decode(payload)).flatten()
        },
    )?;
    Ok(listed.what_there_is())
}

/// Removes a filter from an interface of the calling thread's namespace.
fn remove(interface: IfIndex, direction: TcDirection, filter: &Filter) -> io::Result<()> {
    let mut message = message(interface, direction);
    message.header.handle = TcHandle::from(filter.handle);
    message.header.info = u32::from(filter.priority) << 16 | u32::from(filter.protocol);
    Requester::open(NETLINK_ROUTE)?.order(libc::RTM_DELTFILTER, &message)
}

fn message(interface: IfIndex, direction: TcDirection) -> TcMessage {
    let mut message = TcMessage::default();
    message.header.index = interface.0.cast_signed();
    message.header.parent = TcHandle {
        major: CLSACT,
        minor: direction.minor(),
    };
    message
}

#[cfg(test)]
mod tests;
