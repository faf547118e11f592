//! What pinif is compared with: other programs that watch, or state, the same. Each is there until its guard is dropped.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use pinif_lab::Namespace;

use crate::auditor::Auditor;
use crate::bpf::{Hook, empty};
use crate::placed::{self, FLOWS, Placed, RECOGNIZING, RESTRICTION};
use crate::policies;
use crate::site::Site;

/// What may be there while a load sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rival {
    /// Nothing.
    Nothing,
    /// A TCX program that does nothing, on every link.
    EmptyProgram,
    /// The same, and one at each of the hooks on system calls that pinif has.
    EmptyPrograms,
    /// `pinif audit` with a policy.
    Pinif,
    /// An nftables ruleset that states the same policy.
    Nftables,
    /// `tcpdump -i any -w /dev/null`.
    Tcpdump,
    /// A bpftrace program that counts by bound device and interface.
    Bpftrace,
    /// What systemd attaches for `RestrictNetworkInterfaces=`, by hand.
    Restriction,
    /// A program that keeps flows in a hash table.
    Flows,
    /// The least that recognizes copies.
    Recognizing,
}

impl Rival {
    /// All, what the others are compared with first.
    pub const ALL: [Self; 10] = [
        Self::Nothing,
        Self::EmptyProgram,
        Self::EmptyPrograms,
        Self::Pinif,
        Self::Nftables,
        Self::Tcpdump,
        Self::Bpftrace,
        Self::Restriction,
        Self::Flows,
        Self::Recognizing,
    ];

    /// Sets it up; it is there when this returns, until what it returns is dropped.
    ///
    /// # Errors
    /// Where it cannot run here; the error says why.
    pub fn set_up(self, site: &Site) -> Result<Guard<'_>> {
        Ok(match self {
            Self::Nothing => Guard::Nothing,
            Self::EmptyProgram => Guard::Placed(place_empty(site, &[Hook::EGRESS])?),
            Self::EmptyPrograms => Guard::Placed(place_empty(site, &PINIFS)?),
            Self::Pinif => Guard::Pinif(Auditor::of(site, &policies::one_prefix())?),
            Self::Nftables => Guard::Rules(Rules::load(&site.chassis.card)?),
            Self::Tcpdump => Guard::Process(tcpdump(&site.chassis.card)?),
            Self::Bpftrace => Guard::Process(bpftrace()?),
            Self::Restriction => Guard::Placed(placed::restriction(site)?),
            Self::Flows => Guard::Placed(placed::flows(site)?),
            Self::Recognizing => Guard::Placed(placed::recognizing(site)?),
        })
    }
}

impl fmt::Display for Rival {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Nothing => "nothing",
            Self::EmptyProgram => "an empty program",
            Self::EmptyPrograms => "empty programs at all hooks",
            Self::Pinif => "pinif",
            Self::Nftables => "nftables",
            Self::Tcpdump => "tcpdump",
            Self::Bpftrace => "bpftrace",
            Self::Restriction => RESTRICTION,
            Self::Flows => FLOWS,
            Self::Recognizing => RECOGNIZING,
        })
    }
}

/// What is there.
#[derive(Debug)]
#[expect(dead_code, reason = "they are held, not read")]
pub enum Guard<'a> {
    /// Nothing.
    Nothing,
    /// Attached programs.
    Placed(Vec<Placed>),
    /// An auditor.
    Pinif(Auditor),
    /// A ruleset.
    Rules(Rules<'a>),
    /// A process.
    Process(Watcher),
}

/// Where pinif's programs are.
const PINIFS: [Hook; 10] = [
    Hook::EGRESS,
    Hook::CREATE,
    Hook::RELEASE,
    Hook::POST_BIND4,
    Hook::POST_BIND6,
    Hook::CONNECT4,
    Hook::CONNECT6,
    Hook::SENDMSG4,
    Hook::SENDMSG6,
    Hook::SETSOCKOPT,
];

fn place_empty(site: &Site, hooks: &[Hook]) -> Result<Vec<Placed>> {
    let place = |&hook: &Hook| Placed::new(site, hook, &empty(hook));
    hooks.iter().map(place).collect()
}

/// A ruleset of one namespace; flushed when dropped.
#[derive(Debug)]
pub struct Rules<'a>(&'a Namespace);

/// The policy of [`policies::one_prefix`] in nftables' words (nft(8)).
const RULESET: &str = r#"
table inet bench {
    set backplane { type ifname; elements = { "fab0", "fab1", "fab1m", "fab1b" } }
    set control { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 } }
    chain egress {
        type filter hook postrouting priority filter; policy accept;
        ip daddr @control oifname @backplane counter accept
        ip daddr @control counter
    }
}
"#;

impl<'a> Rules<'a> {
    fn load(namespace: &'a Namespace) -> Result<Self> {
        nft(namespace, RULESET)?;
        Ok(Self(namespace))
    }
}

impl Drop for Rules<'_> {
    fn drop(&mut self) {
        // The namespace takes along what stays.
        let _flushed = nft(self.0, "flush ruleset\n");
    }
}

fn nft(namespace: &Namespace, ruleset: &str) -> Result<()> {
    let mut command = Command::new("nft");
    command
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped());
    let mut nft = namespace
        .run(|| command.spawn())?
        .context("cannot start nft")?;
    nft.stdin
        .take()
        .context("nft has no input")?
        .write_all(ruleset.as_bytes())?;
    let output = nft.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "nft refuses the ruleset: {}",
        errors.trim()
    );
    Ok(())
}

/// A process that watches; ended when dropped, and also when the bench ends, however it ends.
#[derive(Debug)]
pub struct Watcher(Child);

/// Runs a program until standard input ends, which it does with the bench.
const WHILE_THERE_IS_INPUT: &str = r#""$@" & read -r _; kill $!; wait $!"#;

impl Watcher {
    /// The command that runs a program so.
    fn command(program: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", WHILE_THERE_IS_INPUT, "sh"])
            .args(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ended = self.0.wait();
    }
}

fn tcpdump(namespace: &Namespace) -> Result<Watcher> {
    let program = [
        "tcpdump",
        "-Z",
        "root",
        "-n",
        "-i",
        "any",
        "-w",
        "/dev/null",
    ];
    let mut command = Watcher::command(&program);
    let child = namespace.run(|| command.spawn())?;
    let mut watcher = Watcher(child.context("cannot start tcpdump")?);
    let stderr = watcher.0.stderr.take().context("tcpdump has no errors")?;
    until(BufReader::new(stderr), "listening on")?;
    Ok(watcher)
}

/// What the transmission of a packet shows to bpftrace. The second probe says that the first is attached.
const ONE_LINER: &str = "tracepoint:net:net_dev_start_xmit {
    $skb = (struct sk_buff *)args->skbaddr;
    @[$skb->sk->__sk_common.skc_bound_dev_if, $skb->dev->ifindex] = count();
}
interval:ms:100 { if (@attached == 0) { @attached = 1; printf(\"attached\\n\"); } }";

/// The tracing file system is mounted for it alone, where it is not mounted.
const WITH_TRACING: &str = "mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing; exec bpftrace -e \"$0\"";

fn bpftrace() -> Result<Watcher> {
    let program = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        WITH_TRACING,
        ONE_LINER,
    ];
    let mut command = Watcher::command(&program);
    let mut watcher = Watcher(command.spawn().context("cannot start bpftrace")?);
    let stdout = watcher.0.stdout.take().context("bpftrace has no output")?;
    if until(BufReader::new(stdout), "attached").is_err() {
        let mut errors = String::new();
        if let Some(mut stderr) = watcher.0.stderr.take() {
            stderr.read_to_string(&mut errors)?;
        }
        bail!(
            "bpftrace cannot run here: {}",
            errors.lines().last().unwrap_or_default()
        );
    }
    Ok(watcher)
}

/// Reads lines until one has these words in it; then discards all that comes, so that the writer never waits.
fn until(mut reader: impl BufRead + Send + 'static, words: &str) -> Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            bail!("it ended before it said {words:?}");
        }
        if line.contains(words) {
            break;
        }
    }
    thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
    Ok(())
}
