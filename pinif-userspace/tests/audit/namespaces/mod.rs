//! Namespaces that come and go while the auditor runs, with a name or a process only. Each test follows names of its own,
//! never those of the machine or of other tests.

pub mod containers;
mod many;
mod named;

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use netlink_packet_route::link::{InfoData, InfoVeth};
use pinif_ebpf::verdict::CellVerdict;
use pinif_lab::{Namespace, hierarchy};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};

use crate::bench::{Bench, Events, Report, wait_until};

/// The names of this test's namespaces that end in `label`.
fn glob(label: &str) -> String {
    format!("pinif-{}-*-{label}", std::process::id())
}

/// A veth from a namespace's `name` to another's, without addresses; both ends up. With the index, if one is asked for.
fn plug(namespace: &Namespace, name: &str, index: u32, far: &Namespace) {
    let there = File::open(far.path()).expect("it is there");
    let far_name = format!("to-{name}");
    let far_end = LinkMessageBuilder::<LinkUnspec>::new()
        .name(far_name.clone())
        .arp(false)
        .setns_by_fd(there.as_raw_fd())
        .build();
    add_pair(namespace, name, index, far_end);
    far.set_up(&far_name).expect("it is there");
    namespace.set_up(name).expect("it is there");
    namespace.wait_until_operational(name).expect("it is up");
}

fn add_pair(
    namespace: &Namespace,
    name: &str,
    index: u32,
    far_end: netlink_packet_route::link::LinkMessage,
) {
    let mut pair = LinkMessageBuilder::<LinkVeth>::new(name, "")
        .arp(false)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(far_end)))
        .build();
    pair.header.index = index;
    let added = namespace.netlink(async |handle| Ok(handle.link().add(pair).execute().await?));
    added.unwrap_or_else(|error| panic!("cannot make {name}: {error:#}"));
}

/// Sends from a namespace, bound to its `link`, in the audited cgroup.
fn send(bench: &Bench, namespace: &Namespace, link: &str, count: u64) {
    bench
        .far_sender(
            namespace,
            &format!(
                "--cgroup {} udp --bind-device {link} --to 198.51.100.2:9 --count {count}",
                directory(bench).display()
            ),
        )
        .finish();
}

fn directory(bench: &Bench) -> PathBuf {
    let root = hierarchy().expect("cgroup v2");
    root.join(bench.cgroup().trim_start_matches('/'))
}

/// Waits until a link of the namespace has gone with the namespace of its other end, which no process holds (`cleanup_net`).
fn wait_until_gone(namespace: &Namespace, link: &str) {
    wait_until(
        &format!("{link} is gone"),
        &Events::of_links([namespace]),
        || namespace.index(link).is_err(),
    );
}

/// The packets of each namespace's cells: bound device, egress interface, packets.
fn cells(report: &Report, netns: &str) -> Vec<(String, String, u64)> {
    let of_it = report
        .summary
        .matrix
        .iter()
        .filter(|cell| cell.netns == netns);
    of_it
        .map(|cell| {
            assert_eq!(cell.verdict, CellVerdict::Contained, "{report}");
            (
                cell.bound_device.clone().unwrap_or_default(),
                cell.egress_interface.clone(),
                cell.packets,
            )
        })
        .collect()
}

fn row(link: &str, packets: u64) -> Vec<(String, String, u64)> {
    vec![(link.to_owned(), link.to_owned(), packets)]
}
