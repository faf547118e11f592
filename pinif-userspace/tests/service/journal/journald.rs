//! Entries in a real journal: systemd's own daemon, for a journal beside the machine's, in a mount namespace of its own.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixDatagram},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pinif_ebpf::verdict::Kind;
use pinif_userspace::surfaces::journal::message_id;
use serde_json::Value;
use tempfile::TempDir;

use crate::bench::{Need, SENDER, Sender, leak, scenario};
use crate::output::examples;

const LEAK: &str = "udp --bind-device fab0 --pktinfo eth1 --to 10.0.0.2:9";
/// What a journal is called that is no other's: the namespace of mounts is its own.
const NAME: &str = "pinif-test";
/// Its files are in memory.
const START: &str = "for place in /run/systemd /run/log /var/log; do mkdir -p $place; mount -t tmpfs none $place; done; \
     exec /usr/lib/systemd/systemd-journald \"$0\"";

/// What a process is called that would forge a field, where it is safe to have in JSON.
const NAME_OF_PROCESS: &str = "\u{fffd}\nPRIORITY=0\u{202e}";

/// A running journald; ended when dropped.
struct Journald {
    child: Child,
    _folder: TempDir,
}

impl Journald {
    /// Starts it, and waits until it is ready.
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let manager = folder.path().join("notify");
        let messages = UnixDatagram::bind(&manager).expect("a socket");
        let limit = Some(pinif_lab::patience(Duration::from_secs(60)));
        messages.set_read_timeout(limit).expect("a socket");
        let child = Command::new("unshare")
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-e",
                "-c",
                START,
                NAME,
            ])
            .env("NOTIFY_SOCKET", &manager)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("unshare is there");
        let journald = Self {
            child,
            _folder: folder,
        };
        let mut buffer = [0; 4096];
        loop {
            let length = messages.recv(&mut buffer).expect("journald is ready");
            if buffer[..length].starts_with(b"READY=1") {
                return journald;
            }
        }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The option that has pinif write there.
    fn option(&self) -> String {
        let pid = self.pid();
        format!("--journal=/proc/{pid}/root/run/systemd/journal.{NAME}/socket")
    }

    fn journalctl(&self) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--mount=/proc/{}/ns/mnt", self.pid()))
            .args(["journalctl", "--quiet", "--output", "json"])
            .arg(format!("--namespace={NAME}"))
            .stdin(Stdio::null());
        command
    }

    /// The entries that match, once there are so many.
    fn wait_for(&self, number: usize, matches: &str) -> Vec<Value> {
        let mut command = self.journalctl();
        command.args(["--follow", "--lines=all", matches]);
        let mut reader = command.stdout(Stdio::piped()).spawn().expect("nsenter");
        let lines = BufReader::new(reader.stdout.take().expect("piped")).lines();
        let lines: Vec<_> = lines.take(number).collect();
        reader.kill().expect("it is ours");
        reader.wait().expect("it is ours");
        let line = |line: std::io::Result<String>| {
            serde_json::from_str(&line.expect("a line")).expect("JSON")
        };
        lines.into_iter().map(line).collect()
    }

    /// The entries that match now.
    fn entries(&self, matches: &str) -> Vec<Value> {
        let output = self.journalctl().arg(matches).output().expect("nsenter");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let line = |line| serde_json::from_str(line).expect("JSON");
        text.lines().map(line).collect()
    }
}

impl Drop for Journald {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        let _gone = kill(pid, Signal::SIGKILL);
        let _gone = self.child.wait();
    }
}

#[test]
fn journalctl_finds_each_entry_by_its_fields() {
    let needs = [
        Need::Program("journalctl"),
        Need::File("/usr/lib/systemd/systemd-journald"),
    ];
    scenario("journal journald", &needs, |bench| {
        let journald = Journald::start();
        let setup = bench.auditor().arguments([journald.option()]);
        let mut auditor = setup.start();
        // A name that is not UTF-8, with a field of its own and a bidirectional override.
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder
            .path()
            .join(OsStr::from_bytes(b"\xff\nPRIORITY=0\xe2\x80\xae"));
        symlink(*SENDER, &path).expect("a link");
        let cgroup = bench.cgroup_path();
        let sender = Sender::start_as(&path, bench.card(), Some(cgroup), LEAK);
        let hostile = sender.finish();
        let line = auditor.wait_for_finding("device-escape");
        let found = journald.wait_for(1, "PINIF_KIND=device-escape");
        let [opened] = found.as_slice() else {
            panic!("{found:?}");
        };
        for (field, value) in [
            ("MESSAGE_ID", message_id(Kind::DeviceEscape)),
            ("PINIF_BOUND", "fab0"),
            ("PINIF_EGRESS", "eth1"),
            ("PINIF_ID", &*line.id),
            ("PINIF_NETNS", bench.card().name()),
            ("PINIF_PACKETS", "1"),
            ("PINIF_PROCESS", "\u{fffd}\\nPRIORITY=0\\u{202e}"),
            ("PINIF_SEVERITY", "leak"),
            ("PINIF_STATE", "open"),
            ("PINIF_TRANSITION", "opened"),
            ("PRIORITY", "2"),
            ("SYSLOG_IDENTIFIER", "pinif"),
            // What the journal itself says of the sender.
            ("_COMM", "pinif"),
            ("_PID", &*auditor.pid().to_string()),
            ("_TRANSPORT", "journal"),
        ] {
            assert_eq!(opened[field], value, "{field} of {opened}");
        }
        // Ten times as many.
        let more = bench.send(&format!("{LEAK} --count 9"));
        let sent = journald.wait_for(2, "PINIF_KIND=device-escape");
        let report = auditor.stop();
        let escape = || leak("device-escape").bound("fab0").egress("eth1");
        report
            .expect()
            .finding(escape().packets(1).by_program(NAME_OF_PROCESS, hostile.pid))
            .finding(escape().packets(9).by(&more))
            .nothing_else();
        assert_eq!(journald.entries("PINIF_KIND=device-escape"), sent);
        let by_id = format!("MESSAGE_ID={}", message_id(Kind::DeviceEscape));
        assert_eq!(journald.entries(&by_id), sent);
        assert_eq!(journald.entries("PRIORITY=0"), Vec::<Value>::new());
    });
}

#[test]
fn the_catalog_has_a_text_for_each_kind() {
    let needs = [Need::Program("journalctl")];
    scenario("journal catalog", &needs, |_| {
        let root = tempfile::tempdir().expect("a folder");
        let catalog =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/journal/pinif.catalog");
        let folder = root.path().join("usr/lib/systemd/catalog");
        for folder in [&folder, &root.path().join("var/lib/systemd/catalog")] {
            fs::create_dir_all(folder).expect("a folder");
        }
        fs::copy(catalog, folder.join("pinif.catalog")).expect("it is there");
        let journalctl = |arguments: &[&str]| {
            let mut command = Command::new("journalctl");
            command.arg("--root").arg(root.path()).args(arguments);
            let output = command.output().expect("it is there");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).expect("UTF-8")
        };
        journalctl(&["--update-catalog"]);
        let listed = journalctl(&["--list-catalog"]);
        assert_eq!(listed.lines().count(), Kind::ALL.len(), "{listed}");
        let documented = examples::read("docs/journal.md");
        for kind in Kind::ALL {
            let text = journalctl(&["--dump-catalog", message_id(kind)]);
            let command = format!("`pinif explain {}`", kind.name());
            assert!(text.contains(&command), "{text}");
            let row = format!("kinds/{}.md) | `{}` |", kind.name(), message_id(kind));
            assert!(documented.contains(&row), "{row}");
        }
    });
}
