//! What `pinif detach` finds and removes, and what it never touches: whatever pinif did not make.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use aya::maps::{Array, MapData};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use pinif_lab::BpfFs;

use super::apart;
use super::place::{CLSACT, Place, attached, filters};
use crate::bench::{Bench, Need, Pinif, scenario};

/// A build's name that no build has.
const BUILD: &str = "0123456789abcdef";

/// Runs `pinif detach --persist=DIR` in a directory.
fn detach(persist: &str, within: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pinif"))
        .args(["detach", &format!("--persist={persist}")])
        .current_dir(within)
        .output()
        .expect("cannot run pinif")
}

/// What a refused one says.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What one says that is done.
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Pins a map that is not pinif's.
fn pin(path: PathBuf) -> PathBuf {
    let map = Array::<MapData, u32>::create(1, 0).expect("a map");
    map.pin(&path).expect("a pin");
    path
}

fn make(path: PathBuf) -> PathBuf {
    fs::create_dir_all(&path).expect("a directory");
    path
}

/// All that is below a directory, but for what the kernel itself pins at the mount point (`bpf_preload`).
fn tree(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        if entry.path().extension().is_some_and(|it| it == "debug") {
            continue;
        }
        all.push(entry.path());
        if entry.file_type().expect("a type").is_dir() {
            all.extend(tree(&entry.path()));
        }
    }
    all.sort();
    all
}

#[test]
fn a_directory_out_of_bpf_file_systems_is_refused() {
    scenario("persist detach-elsewhere", &[], |_| {
        let folder = tempfile::tempdir().expect("a folder");
        let build = make(folder.path().join("etc").join(BUILD));
        for part in ["links", "cgroup", "maps"] {
            fs::write(make(build.join(part)).join("pinif_file"), "1").expect("a file");
        }
        fs::write(build.join("state"), "1").expect("a file");
        fs::write(folder.path().join("etc/passwd"), "1").expect("a file");
        let before = tree(folder.path());
        for path in ["etc", "./etc/", "etc/../etc", &format!("etc/{BUILD}")] {
            let said = refused(&detach(path, folder.path()));
            assert!(
                said.contains(&format!("{path} is not in a BPF file system")),
                "{said}"
            );
        }
        mkfifo(&folder.path().join("fifo"), Mode::S_IRUSR).expect("a FIFO");
        for path in ["etc/passwd", "fifo"] {
            let said = refused(&detach(path, folder.path()));
            assert!(
                said.contains(&format!("the directory {path} cannot be locked")),
                "{said}"
            );
        }
        fs::remove_file(folder.path().join("fifo")).expect("it is there");
        assert_eq!(tree(folder.path()), before);
    });
}

#[test]
fn other_programs_pins_stay() {
    scenario("persist detach-foreign", &[], |_| {
        let mounted = BpfFs::new("foreign").expect("cannot mount a BPF file system");
        let root = make(mounted.path().join("others"));
        make(root.join("tc"));
        for name in ["tc/globals", "ip", "state", "pinif_egress"] {
            pin(root.join(name));
        }
        make(root.join("cilium/maps"));
        pin(root.join("cilium/maps/FINDINGS"));
        let before = tree(mounted.path());
        for (directory, holds) in [
            ("", "`cilium`, `ip`, `pinif_egress`, `state`, `tc`"),
            ("cilium", "`maps`"),
        ] {
            let path = root.join(directory).display().to_string();
            let said = refused(&detach(&path, Path::new("/")));
            assert!(said.contains("no auditor is pinned in "), "{said}");
            let why = format!("so that nothing was removed: it holds {holds}\n");
            assert!(said.contains(&why), "{said}");
        }
        assert_eq!(tree(mounted.path()), before);
        let missing = mounted.path().join("missing");
        let said = done(&detach(&missing.display().to_string(), Path::new("/")));
        assert_eq!(
            said,
            format!("no auditor is pinned in {}\n", missing.display())
        );
    });
}

/// The directory of the build in which an auditor counts.
fn build_of(place: &Place) -> PathBuf {
    let entries = fs::read_dir(place.directory()).expect("it is there");
    let mut builds: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(builds.len(), 1, "{builds:?}");
    builds.remove(0)
}

#[test]
fn what_is_beside_an_auditor_stays_and_is_named() {
    scenario("persist detach-beside", &[], |bench| {
        let place = Place::new();
        place.audit(bench, &[]).kill();
        let build = build_of(&place);
        let elsewhere = make(place.directory().with_file_name("elsewhere"));
        let mut kept = vec![
            pin(place.directory().join("others")),
            pin(build.join("links/others")),
            pin(build.join("cgroup/others")),
            pin(build.join("maps/others")),
            make(build.join("findings_of_others")),
            elsewhere.clone(),
            make(elsewhere.join("maps")),
            pin(elsewhere.join("maps/FINDINGS")),
        ];
        // What leads elsewhere is not followed.
        let link = place.directory().join(BUILD);
        symlink(&elsewhere, &link).expect("a symbolic link");
        kept.push(link);
        let said = done(&place.detach());
        assert!(said.starts_with("detached from "), "{said}");
        assert_eq!(attached(bench), [""; 0]);
        let tag = build.file_name().expect("a name").to_string_lossy();
        let last = format!(
            "not made by pinif, and left as it is: `{tag}/links/others`, `{tag}/cgroup/others`, \
             `{tag}/maps/others`, `{tag}/findings_of_others`, `{BUILD}` and 1 more"
        );
        assert_eq!(said.lines().last(), Some(last.as_str()), "{said}");
        for part in ["links", "cgroup", "maps"] {
            kept.push(build.join(part));
        }
        kept.extend([build, place.directory().to_owned()]);
        kept.sort();
        let root = place.directory().parent().expect("the mount point");
        assert_eq!(tree(root), kept);
    });
}

#[test]
fn what_is_not_pinifs_outlives_takeovers() {
    outlives("persist beside-foreign", &[], |_| ());
}

#[test]
fn what_is_not_pinifs_outlives_beginnings() {
    // As a start that was cut short leaves it. A filter of clsact would be one of a start that was not.
    outlives("persist beside-foreign-anew", &[Need::Tcx], |build| {
        fs::remove_file(build.join("state")).expect("it is there");
    });
}

/// What else is pinned among an auditor's pins outlives the next audit, which finds them as `change` leaves them, and their end.
fn outlives(name: &str, needs: &[Need], change: impl FnOnce(&Path)) {
    scenario(name, needs, |bench| {
        let place = Place::new();
        place.audit(bench, &[]).kill();
        let build = build_of(&place);
        let kept =
            ["links/others", "cgroup/others-new", "maps/others"].map(|name| pin(build.join(name)));
        let are_there = || kept.iter().all(|pin| pin.exists());
        change(&build);
        place.audit(bench, &[]).kill();
        assert!(are_there());
        place.detached();
        assert!(are_there());
        assert_eq!(attached(bench), [""; 0]);
    });
}

#[test]
fn a_directory_that_was_there_before_stays() {
    scenario("persist detach-old-directory", &[], |bench| {
        let place = Place::new();
        make(place.directory().to_owned());
        place.audit(bench, &[]).kill();
        let said = place.detached();
        assert!(said.starts_with("detached from "), "{said}");
        assert!(tree(place.directory()).is_empty());
    });
}

#[test]
fn a_build_that_is_a_symbolic_link_is_not_followed() {
    scenario("persist symbolic-link", &[], |bench| {
        let place = Place::new();
        place.audit(bench, &[]).kill();
        let build = build_of(&place);
        let elsewhere = place.directory().with_file_name("elsewhere");
        fs::rename(&build, &elsewhere).expect("it is ours");
        symlink(&elsewhere, &build).expect("a symbolic link");
        let before = tree(&elsewhere);
        let setup = place.auditor(bench).arguments(["--duration", "1s"]);
        let output = setup.into_command().output();
        let said = refused(&output.expect("cannot run pinif"));
        assert!(said.contains("cannot be begun anew"), "{said}");
        let said = refused(&place.detach());
        assert!(said.contains("no auditor is pinned in "), "{said}");
        assert_eq!(tree(&elsewhere), before);
        // It is ended by what it is.
        fs::remove_file(&build).expect("it is there");
        fs::rename(&elsewhere, &build).expect("it is ours");
        place.detached();
    });
}

#[test]
fn a_directory_may_be_named_in_any_way() {
    scenario("persist paths", &[], |bench| {
        let mounted = BpfFs::new("paths").expect("cannot mount a BPF file system");
        let audit = |persist: &str, within: &Path| {
            let persist = format!("--persist={persist}");
            let setup = bench.auditor().arguments([&persist, "--format", "json"]);
            let mut command = setup.into_command();
            command.current_dir(within);
            let mut pinif = Pinif::start(command);
            pinif.wait_for_line("it was ready", |_| true);
            pinif.kill();
        };
        let check = |persist: &str, within: &Path, left: &[&str]| {
            let said = done(&detach(persist, within));
            assert!(said.starts_with("detached from "), "{persist}: {said}");
            assert_eq!(attached(bench), [""; 0], "{persist}");
            let left: Vec<_> = left.iter().map(|name| mounted.path().join(name)).collect();
            assert_eq!(tree(mounted.path()), left, "{persist}");
        };
        // Relative, and with a slash at its end.
        audit("auditor", mounted.path());
        check("./auditor/", mounted.path(), &[]);
        audit("above/auditor/", mounted.path());
        check("above/auditor", mounted.path(), &["above"]);
        // The mount point itself.
        audit(&mounted.path().display().to_string(), Path::new("/"));
        check(".", mounted.path(), &["above"]);
        // By a symbolic link, which stays.
        let folder = tempfile::tempdir().expect("a folder");
        symlink(mounted.path().join("above"), folder.path().join("link")).expect("a symbolic link");
        audit("link", folder.path());
        check("link", folder.path(), &["above"]);
    });
}

fn netns(bench: &Bench) -> &Path {
    bench.card().path()
}

#[test]
fn the_auditor_is_found_wherever_it_is_pinned() {
    scenario("persist detach-anywhere", &[], |bench| {
        let place = Place::new();
        let root = place.directory().parent().expect("the mount point");
        let kept = [root, netns(bench)];
        let said = done(&apart::detach(&kept));
        assert_eq!(said, "no auditor has left anything attached\n");
        let auditor = place.audit(bench, &[]);
        let interfaces = auditor.ready().interfaces.len();
        auditor.kill();
        pin(root.join("others"));
        let said = done(&apart::detach(&kept));
        assert!(
            said.starts_with(&format!(
                "detached from {interfaces} interfaces and 9 cgroup hooks; "
            )),
            "{said}"
        );
        assert_eq!(attached(bench), [""; 0]);
        assert_eq!(tree(root), [root.join("others")]);
    });
}

#[test]
fn of_several_auditors_each_is_named_and_none_is_detached() {
    scenario("persist detach-several", &[], |bench| {
        let place = Place::new();
        // At its end, it says by which commands this one is meant.
        let report = place.audit(bench, &[]).stop();
        let directory = place.directory().display();
        let next = format!(
            "`pinif audit --persist={directory}` takes over, `pinif detach --persist={directory}` ends it"
        );
        assert!(report.stderr.contains(&next), "{report}");
        let root = place.directory().parent().expect("the mount point");
        let another = make(root.join("below/another"));
        pin(make(another.join(BUILD)).join("state"));
        let before = tree(root);
        let said = refused(&apart::detach(&[root, netns(bench)]));
        let commands = [place.directory(), &another]
            .map(|directory| format!("`pinif detach --persist={}`", directory.display()));
        let expected = format!(
            "there are 2 persistent auditors, and nothing was removed: end each with {}",
            commands.join(", ")
        );
        assert!(said.contains(&expected), "{said}");
        assert_eq!(tree(root), before);
        place.detached();
    });
}

#[test]
fn filters_that_nobody_can_take_over_are_found() {
    let needs = &[Need::Program("tc")];
    scenario("persist detach-stray", needs, |bench| {
        let place = Place::new();
        place.audit(bench, CLSACT).kill();
        drop(place);
        assert_eq!(filters(bench), 3, "they outlive the file system");
        let said = done(&apart::detach(&[netns(bench)]));
        assert!(
            said.starts_with("detached from 3 interfaces and "),
            "{said}"
        );
        assert_eq!(filters(bench), 0);
    });
}

#[test]
fn filters_of_an_auditor_that_is_attended_stay() {
    let needs = &[Need::Program("tc")];
    scenario("persist detach-attended-clsact", needs, |bench| {
        let place = Place::new();
        let auditor = place.audit(bench, CLSACT);
        let root = place.directory().parent().expect("the mount point");
        let said = refused(&apart::detach(&[root, netns(bench)]));
        // Its number is another one there, if it has any.
        assert!(
            said.contains("another collector attends to what is pinned in "),
            "{said}"
        );
        assert_eq!(filters(bench), 3);
        auditor.stop().expect().nothing_else();
        place.detached();
        assert_eq!(filters(bench), 0);
    });
}
