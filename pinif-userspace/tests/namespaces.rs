//! Namespaces that come and go while the auditor runs, with a name or a process only. Each test follows names of its own,
//! never those of the machine or of other tests.

mod bench;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bench::{Auditor, Bench, Need, Pinif, scenario};
use netlink_packet_route::link::{InfoData, InfoVeth};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use pinif_userspace::host::netns::NetNs;
use pinif_userspace::lab::{Namespace, hierarchy, patience};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};

/// How long the kernel may take to remove a namespace that nobody holds (`cleanup_net`).
const PATIENCE: Duration = Duration::from_secs(30);

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

fn wait_until_gone(namespace: &Namespace, link: &str) {
    let deadline = Instant::now() + patience(PATIENCE);
    while namespace.index(link).is_ok() {
        assert!(
            Instant::now() < deadline,
            "{link}: the namespace of its other end is kept alive"
        );
        thread::yield_now();
    }
}

/// The packets of each namespace's cells: bound device, egress interface, packets.
fn cells(report: &bench::Report, netns: &str) -> Vec<(String, String, u64)> {
    let of_it = report
        .summary
        .matrix
        .iter()
        .filter(|cell| cell.netns == netns);
    of_it
        .map(|cell| {
            assert_eq!(cell.verdict, "contained", "{report}");
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

#[test]
fn a_namespace_that_comes_later_is_audited_until_it_goes() {
    scenario("6 netns-named-later", &[], |bench| {
        let outside = &bench.chassis.outside;
        let other = Namespace::new("other").expect("a namespace");
        let mut auditor = bench.audit(&["--netns", &glob("box")]);
        let netns = Namespace::new("box").expect("a namespace");
        let name = netns.name().to_owned();
        auditor.wait_for_note(&format!("{name} is audited from now on"));
        // The same index as the card's fab0, which it must not be taken for.
        let index = bench.card().index("fab0").expect("it is there").0;
        plug(&netns, "web0", index, outside);
        auditor.wait_for_note("web0 is audited from now on");
        plug(&other, "web1", index, outside);
        send(bench, &netns, "web0", 300);
        send(bench, &other, "web1", 200);
        bench.send("udp --bind-device fab0 --to 10.0.0.2:9 --count 100");
        drop(netns);
        auditor.wait_for_note(&format!("{name} is gone"));
        wait_until_gone(outside, "to-web0");
        let report = auditor.stop();
        assert_eq!(cells(&report, &name), row("web0", 300), "{report}");
        assert_eq!(cells(&report, bench.card().name()), row("fab0", 100));
        assert_eq!(report.summary.matrix.len(), 2, "{report}");
        assert!(!report.stderr.contains(other.name()), "{report}");
        assert_eq!(report.ready.netns, [bench.card().name()]);
    });
}

#[test]
fn a_namespace_that_was_there_goes_although_it_was_asked_for_by_name() {
    scenario("6 netns-named-goes", &[], |bench| {
        let outside = &bench.chassis.outside;
        let netns = Namespace::new("box").expect("a namespace");
        let name = netns.name().to_owned();
        plug(&netns, "web0", 0, outside);
        let mut auditor = bench.audit(&["--netns", &name]);
        send(bench, &netns, "web0", 300);
        drop(netns);
        auditor.wait_for_note(&format!("{name} is gone"));
        wait_until_gone(outside, "to-web0");
        let report = auditor.stop();
        assert_eq!(cells(&report, &name), row("web0", 300), "{report}");
    });
}

#[test]
fn a_namespace_whose_name_goes_stays_audited_while_a_process_is_in_it() {
    scenario("6 netns-unnamed", &[], |bench| {
        let outside = &bench.chassis.outside;
        let netns = Namespace::new("box").expect("a namespace");
        let name = netns.name().to_owned();
        plug(&netns, "web0", 0, outside);
        let mut auditor = bench.audit(&["--netns", &glob("box")]);
        let arguments = format!(
            "--cgroup {} udp --bind-device web0 --to 198.51.100.2:9 --count 300 --wait-stdin",
            directory(bench).display()
        );
        let mut sender = bench.far_sender(&netns, &arguments);
        sender.wait_for("ready");
        drop(netns);
        // Another comes, so that it is known when the auditor has looked.
        let next = Namespace::new("box").expect("a namespace");
        auditor.wait_for_note(&format!("{} is audited from now on", next.name()));
        sender.go();
        sender.finish();
        auditor.wait_for_note(&format!("{name} is gone"));
        wait_until_gone(outside, "to-web0");
        let report = auditor.stop();
        assert_eq!(cells(&report, &name), row("web0", 300), "{report}");
    });
}

#[test]
fn an_interface_that_moves_has_its_counts_in_both_namespaces() {
    scenario("6 netns-moved", &[], |bench| {
        let outside = &bench.chassis.outside;
        let [one, other] = [(); 2].map(|()| Namespace::new("box").expect("a namespace"));
        plug(&one, "web0", 0, outside);
        let mut auditor = bench.audit(&["--netns", &glob("box")]);
        send(bench, &one, "web0", 300);
        let there = File::open(other.path()).expect("it is there");
        let index = one.index("web0").expect("it is there").0;
        let moved = LinkUnspec::new_with_index(index)
            .setns_by_fd(there.as_raw_fd())
            .build();
        let moved = one.netlink(async |handle| Ok(handle.link().set(moved).execute().await?));
        moved.expect("it can be moved");
        // It leaves the one before it is in the other, but the news of two namespaces have no order.
        auditor.wait_for_note("web0 is audited from now on");
        other.set_up("web0").expect("it is there");
        other.wait_until_operational("web0").expect("it is up");
        send(bench, &other, "web0", 200);
        let report = auditor.stop();
        assert_eq!(cells(&report, one.name()), row("web0", 300), "{report}");
        assert_eq!(cells(&report, other.name()), row("web0", 200), "{report}");
        assert_eq!(report.summary.matrix.len(), 2, "{report}");
    });
}

/// All namespaces of the machine are looked at, and nothing is attached to but what has this test's own name.
#[test]
fn all_namespaces_are_all_that_have_a_name_or_a_process() {
    scenario("6 netns-all", &[], |bench| {
        let link = format!("pin{}", std::process::id());
        let nobodys = Container::new(bench, 4);
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        command.args(["audit", "--all-netns", "--interface", &link, "--cgroup"]);
        command.arg(directory(bench)).args(["--format", "json"]);
        let mut pinif = Pinif::start(command);
        let ready = pinif.wait_for_line("it was ready", |_| true);
        let ready: serde_json::Value = serde_json::from_str(&ready).expect("JSON");
        let netns = ready["netns"].as_array().expect("a list");
        let is_there = |name: &str| netns.iter().any(|netns| netns == name);
        assert!(is_there(bench.card().name()), "{ready}");
        assert!(is_there(nobodys.name()), "{ready}");
        assert!(
            is_there(&NetNs::current().expect("current").name),
            "{ready}"
        );
        assert_eq!(ready["interfaces"], serde_json::json!([]));
        plug(bench.card(), &link, 0, &bench.chassis.outside);
        pinif.wait_for_note(&format!("{link} is audited from now on"));
        send(bench, bench.card(), &link, 30);
        pinif.signal(Signal::SIGTERM);
        let ended = pinif.end();
        assert!(ended.status.success(), "{ended:?}");
        let summary = ended.stdout.last().expect("a summary");
        let summary: serde_json::Value = serde_json::from_str(summary).expect("JSON");
        assert_eq!(summary["packets"], 30, "{summary}");
        assert_eq!(
            summary["matrix"][0]["netns"],
            bench.card().name(),
            "{summary}"
        );
    });
}

/// A process alone in a namespace, as a container engine makes one: its cgroup is called by the container's id.
struct Container {
    child: Child,
    id: String,
    cgroup: PathBuf,
}

impl Container {
    /// Begins a container that does nothing, in a namespace of its own.
    fn new(bench: &Bench, id: u64) -> Self {
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
    fn name(&self) -> &str {
        &self.id[..12]
    }

    /// A glob of names of this test's containers.
    fn glob() -> String {
        format!("{:08x}*", std::process::id())
    }

    /// A program that runs in it.
    fn enter(&self, program: &str, arguments: &str) -> Command {
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
        // pinif hears of it from the card's end of the pair: nothing that it has open has kept the namespace.
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
        let mut sender = container.enter(env!("CARGO_BIN_EXE_pinif-sender"), &arguments);
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
        let mut sender = container.enter(env!("CARGO_BIN_EXE_pinif-sender"), &arguments);
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

/// 200 namespaces, and 1,000 interfaces: the loopback of each, and four pairs between every two of them.
#[test]
fn many_namespaces_and_interfaces_come_and_go() {
    const NAMESPACES: usize = 200;
    const PAIRS: usize = 4;
    /// One of so many sends something.
    const SAMPLE: usize = 20;
    scenario("6 netns-many", &[], |bench| {
        let make = |number: usize| {
            let (one, other) = (namespace(), namespace());
            for pair in 0..PAIRS {
                plug_pair(&one, &other, &format!("v{number}-{pair}"));
            }
            [one, other]
        };
        let half = NAMESPACES / 4;
        let mut all: Vec<Namespace> = (0..half).flat_map(make).collect();
        // Half of them are there before, the others come while it runs.
        let mut auditor = bench.audit(&["--netns", &glob("many")]);
        all.extend((half..2 * half).flat_map(make));
        assert_eq!(all.len(), NAMESPACES);
        let mut late = 0;
        while late < (1 + PAIRS) * NAMESPACES / 2 {
            late += interfaces_in(&auditor.wait_for_note("is audited from now on"));
        }
        for (number, netns) in all.iter().enumerate().step_by(SAMPLE) {
            let link = format!("v{}-0", number / 2);
            netns.set_up(&link).expect("it is there");
            all[number + 1].set_up(&link).expect("it is there");
            netns.wait_until_operational(&link).expect("it is up");
            send(bench, netns, &link, 10 + number as u64);
        }
        let names: Vec<String> = all.iter().map(|netns| netns.name().to_owned()).collect();
        drop(all);
        for _ in 0..NAMESPACES {
            auditor.wait_for_note("-many is gone");
        }
        let report = auditor.stop();
        assert_eq!(report.ready.netns.len(), 1 + NAMESPACES / 2, "{report}");
        let ready = report.ready.interfaces.len();
        assert_eq!(ready, 3 + (1 + PAIRS) * NAMESPACES / 2, "{report}");
        for (number, name) in names.iter().enumerate().step_by(SAMPLE) {
            let expected = row(&format!("v{}-0", number / 2), 10 + number as u64);
            assert_eq!(cells(&report, name), expected, "{report}");
        }
        assert_eq!(report.summary.matrix.len(), NAMESPACES / SAMPLE, "{report}");
        assert_eq!(report.summary.uncounted.len(), 0, "{report}");
    });
}

fn namespace() -> Namespace {
    Namespace::new("many").expect("a namespace")
}

/// A veth between two namespaces, by one name in both, with both ends down.
fn plug_pair(one: &Namespace, other: &Namespace, name: &str) {
    let there = File::open(other.path()).expect("it is there");
    let far_end = LinkMessageBuilder::<LinkUnspec>::new()
        .name(name.to_owned())
        .arp(false)
        .setns_by_fd(there.as_raw_fd())
        .build();
    add_pair(one, name, 0, far_end);
}

/// How many interfaces a note tells of: those of a namespace that came, or one that came later.
fn interfaces_in(note: &str) -> usize {
    match note.split_once(" is audited from now on, with ") {
        Some((_, count)) => {
            let count = count.split(' ').next().and_then(|count| count.parse().ok());
            count.unwrap_or_else(|| panic!("{note}"))
        }
        None => 1,
    }
}
