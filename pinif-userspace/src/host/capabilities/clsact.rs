//! Whether the kernel has what stands in for TCX: the clsact qdisc and filters that are eBPF programs. Both are modules on many
//! kernels, so both are tried, on the loopback interface of a network namespace that goes at once.

use std::{io, thread};

use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::{
    libc,
    sched::{CloneFlags, unshare},
};

use super::outcome::{NEEDS_ROOT, Outcome};
use crate::host::netlink::Requester;

/// Loopback's index, in every namespace.
const LOOPBACK: i32 = 1;
const RTM_NEWQDISC: u16 = 36;
const RTM_NEWTFILTER: u16 = 44;
const NLM_F_EXCL: u16 = 0x200;
/// `TC_H_CLSACT`, and its egress.
const CLSACT: TcHandle = TcHandle {
    major: 0xffff,
    minor: 0xfff1,
};
const EGRESS: TcHandle = TcHandle {
    major: 0xffff,
    minor: 0xfff3,
};

/// What was found.
pub(super) fn outcome() -> Outcome {
    let tried = thread::spawn(attempt).join();
    of(tried.unwrap_or_else(|_| Err(io::ErrorKind::Other.into())))
}

/// The module that is missing, if one is.
fn attempt() -> io::Result<Option<&'static str>> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let mut requester = Requester::open(NETLINK_ROUTE)?;
    let qdisc = message(CLSACT, 0, "clsact");
    match requester.create(RTM_NEWQDISC, NLM_F_EXCL, &qdisc) {
        // "Specified qdisc kind is unknown" (`qdisc_create`)
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(Some("sch_ingress")),
        outcome => outcome?,
    }
    let every_protocol = u32::from((libc::ETH_P_ALL as u16).to_be());
    let filter = message(EGRESS, 1 << 16 | every_protocol, "bpf");
    match requester.create(RTM_NEWTFILTER, NLM_F_EXCL, &filter) {
        // "TC classifier not found" (`tcf_proto_lookup_ops`)
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Some("cls_bpf")),
        // It has no program, which the classifier refuses.
        _ => Ok(None),
    }
}

fn message(parent: TcHandle, info: u32, kind: &str) -> TcMessage {
    let mut message = TcMessage::default();
    message.header.index = LOOPBACK;
    message.header.parent = parent;
    message.header.info = info;
    message.attributes.push(TcAttribute::Kind(kind.to_owned()));
    message
}

fn of(missing: io::Result<Option<&'static str>>) -> Outcome {
    match missing {
        Ok(None) => Outcome::Ok("clsact, since TCX came with Linux 6.6".to_owned()),
        Ok(Some(module)) => Outcome::fatal(
            format!("the kernel has neither TCX, which came with Linux 6.6, nor {module}"),
            format!(
                "`modprobe -a sch_ingress cls_bpf`, or use a kernel that is built with {}",
                match module {
                    "cls_bpf" => "CONFIG_NET_CLS_BPF",
                    _ => "CONFIG_NET_SCH_INGRESS",
                }
            ),
        ),
        // Without the right to make a namespace, which another check reports.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Outcome::Note(format!(
            "clsact, since TCX came with Linux 6.6; whether the kernel has it is unknown: {NEEDS_ROOT}"
        )),
        Err(error) => Outcome::Note(format!(
            "clsact, since TCX came with Linux 6.6; whether the kernel has it could not be tried ({error})"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::capabilities::obstacle;

    #[test]
    fn a_module_that_is_missing_is_named_with_the_fix() {
        let lacking = |module| obstacle(&[super::super::Check::new("egress hook", of(module))]);
        assert_eq!(lacking(Ok(None)), None);
        assert_eq!(lacking(Err(io::ErrorKind::PermissionDenied.into())), None);
        let sentence = lacking(Ok(Some("sch_ingress"))).expect("nothing works without");
        assert_eq!(
            sentence,
            "the kernel has neither TCX, which came with Linux 6.6, nor sch_ingress; `modprobe -a sch_ingress cls_bpf`, or use a \
             kernel that is built with CONFIG_NET_SCH_INGRESS"
        );
    }

    #[test]
    fn a_kernel_that_has_all_is_known_to() {
        if nix::unistd::geteuid().is_root() {
            assert_eq!(attempt_apart().expect("this kernel has it"), None);
        }
    }

    /// As [`outcome`] does: the namespace is that thread's alone.
    fn attempt_apart() -> io::Result<Option<&'static str>> {
        thread::spawn(attempt).join().expect("no panic")
    }
}
