//! It needs no privilege but to be let in at the control socket.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    process::Command,
};

use super::served::{Served, shown};
use crate::{
    bench::scenario,
    control::asked::{LEAK, Place},
};

/// A user and a group that own nothing.
pub const NOBODY: u32 = 65_534;
pub const GROUP: u32 = 64_243;

#[test]
fn nobody_in_the_group_serves_and_keeps_the_history() {
    scenario("serve unprivileged", &[], |bench| {
        let place = Place::new();
        let mut auditor = place.audit(bench, &[]);
        let folder = place.path().parent().expect("a folder");
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("it is ours");
        chown(place.path(), None, Some(GROUP)).expect("it is ours");
        // Whoever cannot reach the binary where it is built has a copy of it.
        let copy = folder.join("pinif");
        fs::copy(env!("CARGO_BIN_EXE_pinif"), &copy).expect("it is there");
        let own = folder.join("history");
        fs::create_dir(&own).expect("it is ours");
        chown(&own, Some(NOBODY), Some(GROUP)).expect("it is ours");
        let file = own.join("history.db");

        let mut command = Command::new(&copy);
        command.args(["serve", "--history"]).arg(&file);
        command.uid(NOBODY).gid(GROUP);
        let mut served = Served::of(&place, command);
        served.wait_until_heard();
        let pid = served.pinif.pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        for line in [
            "Uid:\t65534\t65534\t65534\t65534",
            "CapEff:\t0000000000000000",
            "CapPrm:\t0000000000000000",
        ] {
            assert!(status.lines().any(|is| is == line), "{line}: {status}");
        }
        bench.send(&format!("{LEAK} --count 7"));
        auditor.wait_for_finding("device-escape");
        served.until("the finding", |served| {
            let (_, page) = served.json("/v1/history");
            (page["findings"][0]["packets"] == 7).then_some(())
        });
        served.stop();
        auditor.stop();
        let owner = fs::metadata(&file).expect("a file");
        assert_eq!((owner.uid(), owner.mode() & 0o777), (NOBODY, 0o640));
        // Root reads it as well.
        assert!(shown(&file, "--format json").contains("device-escape"));
        fs::remove_file(copy).expect("it is there");
    });
}
