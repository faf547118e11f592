//! Another build of pinif takes over what one has left, or refuses to before it touches anything.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use memchr::memmem;
use tempfile::TempDir;

use super::ends::refused;
use super::place::{CLSACT, Place, attached};
use crate::bench::{Bench, leak, scenario};

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";
const CONTAINED: &str = "udp --bind-device fab0 --to 10.0.0.2:9";

/// A build of pinif with other programs inside: this one, with some bytes of its eBPF object changed.
pub struct Build {
    _folder: TempDir,
    pinif: PathBuf,
}

impl Build {
    /// With other programs, which count in the same maps: their licence is another of those that the kernel takes for GPL
    /// (`license_is_gpl_compatible`).
    pub fn of_other_programs() -> Self {
        Self::changed(b"Dual MIT/GPL\0", b"Dual BSD/GPL\0")
    }

    /// With maps of another layout: a member of their values has another name.
    fn of_another_layout() -> Self {
        Self::changed(b"\0bound_address\0", b"\0found_address\0")
    }

    /// Has a command be this build's.
    pub fn runs(&self, command: &mut Command) {
        let mut other = Command::new(&self.pinif);
        other.args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                other.env(name, value);
            }
        }
        *command = other;
    }

    fn changed(from: &[u8], to: &[u8]) -> Self {
        assert_eq!(from.len(), to.len());
        let mut bytes = fs::read(env!("CARGO_BIN_EXE_pinif")).expect("pinif");
        // It has a hundred megabytes, and the processor may be an emulated one.
        let places: Vec<_> = memmem::find_iter(&bytes, from).collect();
        assert!(!places.is_empty(), "it is not in pinif");
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let pinif = folder.path().join("pinif");
        fs::write(&pinif, bytes).expect("it is ours");
        fs::set_permissions(&pinif, fs::Permissions::from_mode(0o755)).expect("it is ours");
        Self {
            _folder: folder,
            pinif,
        }
    }
}

/// What is sent while one build after another takes over is all in the last one's report.
fn taken_over_while_it_sends(bench: &Bench, arguments: &[&str]) {
    let place = Place::new();
    let build = Build::of_other_programs();
    let began = place.audit(bench, arguments).kill();
    let mut contained = bench.sender(&format!("{CONTAINED} --until-line --wait-stdin"));
    let mut leaking = bench.sender(&format!("{LEAK} --until-line --wait-stdin"));
    contained.wait_for("ready").go();
    leaking.wait_for("ready").go();
    // From this build to the other, back, and there again, under load.
    for round in 0..3 {
        let setup = place.auditor(bench).arguments(arguments);
        let setup = match round % 2 {
            0 => setup.changed(|command| build.runs(command)),
            _ => setup,
        };
        setup.start().kill();
    }
    contained.go();
    leaking.go();
    let (contained, leaked) = (contained.finish(), leaking.finish());
    assert!(contained.refused.is_empty() && leaked.refused.is_empty());
    let escape = leak("device-escape").bound("fab0").egress("eth1");
    let last = place.audit(bench, arguments).since(&began).stop();
    let took_over = "took over from an earlier collector";
    assert!(last.stderr.contains(took_over), "{}", last.stderr);
    last.expect()
        .finding(escape.packets(leaked.sent).by(&leaked))
        .contained("fab0", "fab0", contained.sent)
        .nothing_else();
}

#[test]
fn another_build_takes_over_under_load_and_loses_no_packet() {
    scenario("persist upgrade", &[], |bench| {
        taken_over_while_it_sends(bench, &[]);
    });
}

#[test]
fn another_build_takes_over_filters_as_well() {
    scenario("persist upgrade-clsact", &[], |bench| {
        taken_over_while_it_sends(bench, CLSACT);
    });
}

#[test]
fn another_layout_is_refused_before_anything_is_touched() {
    scenario("persist another-layout", &[], |bench| {
        let place = Place::new();
        let build = Build::of_another_layout();
        let began = place.audit(bench, &[]).kill();
        let (pinned, programs) = (place.files(), attached(bench));
        let mut command = place.auditor(bench).into_command();
        build.runs(&mut command);
        let message = refused(command);
        assert!(
            message.contains("whose maps have another layout ("),
            "{message}"
        );
        let end = format!("end it with `pinif detach {}`", place.argument());
        assert!(message.contains(&end), "{message}");
        assert_eq!((place.files(), attached(bench)), (pinned, programs));
        // It went on counting.
        let sent = bench.send(&format!("{LEAK} --count 10"));
        let escape = leak("device-escape").bound("fab0").egress("eth1");
        place
            .audit(bench, &[])
            .since(&began)
            .stop()
            .expect()
            .finding(escape.packets(10).by(&sent))
            .nothing_else();
    });
}

#[test]
fn a_restart_leaves_what_the_next_build_can_take_over() {
    scenario("persist detach-unless-compatible", &[], |bench| {
        let place = Place::new();
        let detach = |pinif: &Path| {
            let mut command = Command::new(pinif);
            command.args(["detach", "--unless-compatible", &place.argument()]);
            let output = command.output().expect("cannot run pinif");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        place.audit(bench, &[]).kill();
        let pinned = place.files();
        let own = Path::new(env!("CARGO_BIN_EXE_pinif"));
        for pinif in [own, &Build::of_other_programs().pinif] {
            let said = detach(pinif);
            assert!(said.starts_with("left as it is: "), "{said}");
            let next = format!("the next `pinif audit {}` takes over", place.argument());
            assert!(said.contains(&next), "{said}");
            assert_eq!(place.files(), pinned);
        }
        // Whatever path leads to it.
        let folder = tempfile::tempdir().expect("a folder");
        symlink(place.directory(), folder.path().join("link")).expect("a link");
        let mut command = Command::new(own);
        command.args(["detach", "--unless-compatible", "--persist=link"]);
        let output = command.current_dir(&folder).output();
        let output = output.expect("cannot run pinif");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(place.files(), pinned, "{output:?}");
        let said = detach(&Build::of_another_layout().pinif);
        assert!(said.starts_with("detached from "), "{said}");
        assert!(!place.directory().exists());
        let said = detach(own);
        assert!(said.starts_with("no auditor is pinned in "), "{said}");
    });
}
