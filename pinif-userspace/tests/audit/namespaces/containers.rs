//! Namespaces that have a process and no name, as containers have them.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use super::{add_pair, cells, directory};
use crate::bench::{Auditor, Bench, Need, SENDER, scenario};

/// A process alone in a namespace, as a container engine makes one: its cgroup is called by the container's id.
pub struct Container {
    child: Child,
    id: String,
    cgroup: PathBuf,
}

impl Container {
    /// Begins a container that does nothing, in a namespace of its own.
    pub fn new(bench: &Bench, id: u64) -> Self {
        Self::enter_at(bench, id, None)
    }

    /// Begins a container in the namespace that is mounted somewhere.
    fn enter_at(bench: &Bench, id: u64, mount: Option<&Path>) -> Self {
        let id = format!("{:08x}{id:056x}", std::process::id());
        let cgroup = directory(bench).join(format!("docker-{id}.scope"));
        fs::create_dir(&cgroup).expect("a cgroup");
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo 0 > "$0/cgroup.procs" && echo in && exec cat"#]);
        command
            .arg(&cgroup)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let start = || {
            match mount {
                None => unshare(CloneFlags::CLONE_NEWNET),
                Some(mount) => setns(
                    File::open(mount).expect("it is there"),
                    CloneFlags::CLONE_NEWNET,
                ),
            }
            .expect("a network namespace");
            command.spawn().expect("sh")
        };
        let mut child = thread::scope(|scope| scope.spawn(start).join()).expect("no panic");
        // It is in its cgroup when it says so.
        let mut said = [0; 3];
        let stdout = child.stdout.as_mut().expect("piped");
        stdout.read_exact(&mut said).expect("it says so");
        Self { child, id, cgroup }
    }

    /// What pinif calls it.
    pub fn name(&self) -> &str {
        &self.id[..12]
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The directory of its cgroup.
    pub fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// A glob of names of this test's containers.
    pub fn glob() -> String {
        format!("{:08x}*", std::process::id())
    }

    /// A program that runs in it.
    pub fn enter(&self, program: &str, arguments: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.child.id()))
            .arg(program);
        command.args(arguments.split_whitespace());
        command
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        let _gone = fs::remove_dir(&self.cgroup);
    }
}

fn is_audited(auditor: &mut Auditor<'_>, container: &Container) {
    auditor.wait_for_note(&format!("{} is audited from now on", container.name()));
}

#[test]
fn a_container_is_found_by_the_interface_that_is_moved_into_it() {
    scenario("6 netns-container-link", &[], |bench| {
        let card = bench.card();
        let mut auditor = bench.audit(&["--netns", &Container::glob()]);
        let container = Container::new(bench, 1);
        let far_end = LinkMessageBuilder::<LinkUnspec>::new()
            .name("eth0".to_owned())
            .setns_by_pid(container.child.id())
            .build();
        add_pair(card, "con0", 0, far_end);
        is_audited(&mut auditor, &container);
        let name = container.name().to_owned();
        drop(container);
        // pinif learns of it from the card's end of the pair: nothing that it has open has kept the namespace.
        auditor.wait_for_note(&format!("{name} is gone"));
        auditor.wait_for_note("con0 is gone");
        let report = auditor.stop();
        assert_eq!(report.summary.matrix.len(), 0, "{report}");
    });
}

#[test]
fn a_container_is_found_by_its_first_socket() {
    let needs = [Need::Program("nsenter"), Need::Program("ip")];
    scenario("6 netns-container-socket", &needs, |bench| {
        let mut auditor = bench.audit(&["--netns", &Container::glob()]);
        let container = Container::new(bench, 2);
        let up = container.enter("ip", "link set lo up").status();
        assert!(up.expect("nsenter").success());
        let arguments = format!(
            "--cgroup {} udp --bind-device lo --to 127.0.0.1:9 --count 300 --wait-stdin",
            container.cgroup.display()
        );
        let mut sender = container.enter(*SENDER, &arguments);
        let mut sender = sender
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("nsenter");
        is_audited(&mut auditor, &container);
        let mut stdin = sender.stdin.take().expect("piped");
        stdin.write_all(b"\n").expect("it waits");
        assert!(sender.wait().expect("a child").success());
        let name = container.name().to_owned();
        drop(container);
        auditor.wait_for_note(&format!("{name} is gone"));
        let report = auditor.stop();
        let of_it = report
            .summary
            .matrix
            .iter()
            .filter(|cell| cell.netns == name);
        let pinned = of_it.filter(|cell| cell.bound_device.as_deref() == Some("lo"));
        let packets: u64 = pinned.map(|cell| cell.packets).sum();
        assert_eq!(packets, 300, "{report}");
        assert!(report.findings.is_empty(), "{report}");
    });
}

#[test]
fn a_container_has_a_name_as_soon_as_it_has_a_process() {
    let needs = [Need::Program("ip"), Need::Program("nsenter")];
    scenario("6 netns-container-name", &needs, |bench| {
        // Engines make the namespace first, and keep it by a mount somewhere.
        let place = tempfile::NamedTempFile::new().expect("a file");
        let (mount, inode) = thread::scope(|scope| scope.spawn(|| Mount::new(place.path())).join())
            .expect("no panic");
        let nameless = format!("net:[{inode}]");
        let mut auditor = bench.audit(&["--netns", &nameless]);
        let container = Container::enter_at(bench, 3, Some(place.path()));
        let up = container.enter("ip", "link set lo up").status();
        assert!(up.expect("nsenter").success());
        let arguments = format!(
            "--cgroup {} udp --bind-device lo --to 127.0.0.1:9 --count 30",
            container.cgroup.display()
        );
        let mut sender = container.enter(*SENDER, &arguments);
        let sent = sender.stdout(Stdio::null()).status();
        assert!(sent.expect("nsenter").success());
        let name = container.name().to_owned();
        auditor.wait_for_note(&format!("{nameless} is called {name} from now on"));
        drop(container);
        drop(mount);
        auditor.wait_for_note(&format!("{name} is gone"));
        let report = auditor.stop();
        assert_eq!(report.ready.netns, [bench.card().name(), &nameless]);
        let pinned = cells(&report, &name).contains(&("lo".to_owned(), "lo".to_owned(), 30));
        assert!(pinned, "{report}");
    });
}

/// A mount that keeps the namespace that the calling thread has moved to.
struct Mount(PathBuf);

impl Mount {
    fn new(place: &Path) -> (Self, u64) {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        let own = "/proc/thread-self/ns/net";
        mount(
            Some(own),
            place,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )
        .expect("a mount");
        let inode = fs::metadata(own).expect("it is there").ino();
        (Self(place.to_owned()), inode)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _gone = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}
