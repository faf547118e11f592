//! Interfaces that are plugged in, renamed and pulled out while the auditor runs.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicU32, Ordering};

use netlink_packet_core::DefaultNla;
use netlink_packet_route::link::{InfoData, InfoVeth, LinkAttribute};
use pinif_lab::Namespace;
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};

use super::{Bench, renames_what_is_up};

/// Plugs a cable from the namespace's `name` into the outside, and waits until packets pass. Like the chassis's links,
/// it resolves no addresses: what is sent by it leaves at once. `index` is the one to have, where that matters.
pub fn plug(bench: &Bench, namespace: &Namespace, name: &str, index: Option<u32>) {
    let outside = &bench.chassis.outside;
    static PLUGGED: AtomicU32 = AtomicU32::new(0);
    let far = format!("far{}", PLUGGED.fetch_add(1, Ordering::Relaxed));
    let there = File::open(outside.path()).expect("the outside is there");
    let far_end = LinkMessageBuilder::<LinkUnspec>::new()
        .name(far.clone())
        .arp(false)
        .setns_by_fd(there.as_raw_fd())
        .build();
    let mut pair = LinkMessageBuilder::<LinkVeth>::new(name, &far)
        .arp(false)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(far_end)))
        .build();
    pair.header.index = index.unwrap_or_default();
    let added = namespace.netlink(async |handle| Ok(handle.link().add(pair).execute().await?));
    added.unwrap_or_else(|error| panic!("cannot plug in {name}: {error:#}"));
    outside.set_up(&far).expect("it is there");
    namespace.set_up(name).expect("it is there");
    namespace.wait_until_operational(name).expect("it is up");
}

/// Gives a link another name.
pub fn rename(namespace: &Namespace, old: &str, new: &str) {
    rename_to_bytes(namespace, old, new.as_bytes());
}

/// Gives a link a name that need not be text: the kernel takes any bytes but whitespace, `/` and `:`.
pub fn rename_to_bytes(namespace: &Namespace, old: &str, new: &[u8]) {
    const IFLA_IFNAME: u16 = 3;
    let index = index(namespace, old);
    let name = DefaultNla::new(IFLA_IFNAME, [new, &[0]].concat());
    let is_down_meanwhile = !renames_what_is_up();
    if is_down_meanwhile {
        change(namespace, index, LinkMessageBuilder::down);
    }
    change(namespace, index, |link| {
        link.append_extra_attribute(LinkAttribute::Other(name))
    });
    if is_down_meanwhile {
        change(namespace, index, LinkMessageBuilder::up);
    }
}

/// Moves a link to another namespace.
pub fn move_to(namespace: &Namespace, name: &str, to: &Namespace) {
    let there = File::open(to.path()).expect("the namespace is there");
    change(namespace, index(namespace, name), |link| {
        link.setns_by_fd(there.as_raw_fd())
    });
}

/// Changes a link until the kernel cannot keep all its events for a reader that does not fetch them.
pub fn flood_with_events(namespace: &Namespace) {
    const BATCH: usize = 500;
    let index = namespace.index("lo").expect("it is there").0;
    while !has_lost_events(namespace) {
        let flooded = namespace.netlink(async |handle| {
            for number in 0..BATCH {
                let mut message = LinkUnspec::new_with_index(index).build();
                let alias = LinkAttribute::IfAlias(number.to_string());
                message.attributes.push(alias);
                handle.link().set(message).execute().await?;
            }
            Ok(())
        });
        flooded.expect("the link can have another alias");
    }
}

/// Whether a listener's queue was full: the ninth column of `/proc/net/netlink`.
fn has_lost_events(namespace: &Namespace) -> bool {
    let table = namespace.run(|| fs::read_to_string("/proc/thread-self/net/netlink"));
    let table = table.expect("it is there").expect("/proc is mounted");
    let drops = |line: &str| line.split_whitespace().nth(8).map(str::to_owned);
    table
        .lines()
        .skip(1)
        .filter_map(drops)
        .any(|drops| drops != "0")
}

fn change(
    namespace: &Namespace,
    index: u32,
    change: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec>,
) {
    let message = change(LinkUnspec::new_with_index(index)).build();
    let changed =
        namespace.netlink(async |handle| Ok(handle.link().set(message).execute().await?));
    changed.unwrap_or_else(|error| panic!("cannot change link {index}: {error:#}"));
}

fn index(namespace: &Namespace, name: &str) -> u32 {
    namespace.index(name).expect("it is there").0
}
