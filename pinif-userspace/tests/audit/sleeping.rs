//! An audit sleeps while nothing of its findings grows, and the next packet of one wakes it: the kernel's map says who sleeps.

use std::time::Duration;

use aya::maps::{Array, Map, MapData, loaded_maps};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use pinif_ebpf::wake::Sleeper;

use super::held::held;
use crate::bench::{Events, leak, scenario, wait_until};

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";

/// How long until it is looked again who sleeps: the kernel gives no event of it.
const PAUSE: Duration = Duration::from_millis(100);

/// The auditor's map of who sleeps.
pub struct Sleepers(Array<MapData, u32>);

impl Sleepers {
    pub fn sleeps(&self, sleeper: Sleeper) -> bool {
        let sleeps = self.0.get(&(sleeper as u32), 0);
        sleeps.expect("a place of the map") != 0
    }

    #[track_caller]
    pub fn wait_until_asleep(&self, sleeper: Sleeper) {
        let what = format!("this sleeps: {sleeper:?}");
        wait_until(&what, &Events::every(PAUSE), || self.sleeps(sleeper));
    }
}

pub fn sleepers(pid: Pid) -> Sleepers {
    let held: Vec<u32> = held(pid)
        .iter()
        .filter_map(|held| held.number("map_id"))
        .collect();
    let mut all = loaded_maps().flatten();
    let is_it =
        |map: &aya::maps::MapInfo| map.name_as_str() == Some("ASLEEP") && held.contains(&map.id());
    let map = all.find(is_it).expect("it is held");
    let map = MapData::from_id(map.id()).expect("it is there");
    Sleepers(Array::try_from(Map::Array(map)).expect("an array"))
}

#[test]
fn a_finding_that_does_not_grow_is_slept_on_and_its_next_packet_wakes() {
    scenario("sleeping", &[], |bench| {
        let mut auditor = bench.audit(&[]);
        let sleepers = sleepers(auditor.pid());
        let sent = bench.send(&format!("{LEAK} --count 1"));
        auditor.wait_for_finding_that("the leak", |finding| finding.packets == 1);
        // Though the finding is open.
        sleepers.wait_until_asleep(Sleeper::Counters);
        // So that it does not sleep again before that is looked at.
        auditor.signal(Signal::SIGSTOP);
        bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --count 3");
        assert!(
            sleepers.sleeps(Sleeper::Counters),
            "what is contained wakes nobody"
        );
        bench.send(&format!("{LEAK} --count 2"));
        assert!(!sleepers.sleeps(Sleeper::Counters), "what leaks does");
        auditor.signal(Signal::SIGCONT);
        auditor.wait_for_finding_that("it grows", |finding| finding.packets == 3);
        sleepers.wait_until_asleep(Sleeper::Counters);
        let report = auditor.stop();
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        report
            .expect()
            .finding(escape.packets(3).by(&sent))
            .contained("fab0", "fab0", 3)
            .nothing_else();
    });
}
