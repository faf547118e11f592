//! One machine: booted, given something to run, and gone.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::sys::{prctl, signal::Signal};

use super::{
    kernels::{Kernel, Line},
    tools::{QEMU, Tools},
};
use crate::{process::say, script::quoted, workspace::Workspace};

/// What the machine prints before and after what the command prints.
const BEGINS: &str = "-- the command begins --";
const ENDED: &str = "-- the command has ended --";
/// How much is shown of what a machine printed that was cut short.
const LAST_LINES: usize = 40;
/// A machine that runs longer hangs.
const TIME_LIMIT: Duration = Duration::from_secs(40 * 60);

/// The processor that software emulates fastest: of the newer instructions it has only the one that makes random numbers,
/// without which programs wait for the kernel to collect enough, and those that reach its timer without a device.
pub const EMULATED_CPU: &str = "qemu64,+rdrand,+x2apic";
/// virtme-ng gives the machine six serial devices of 31 ports each, and has one port of each: QEMU waits for as many queues
/// as there are ports, and looks at all of them each time that it wakes.
const FEW_QUEUES: &str = "-global virtio-serial-pci.max_ports=2";
/// Against waiting: for defences that an emulated processor does not need, for RCU's grace periods to be long enough for
/// many processors, and for the slow clocks that the kernel takes where it distrusts the processor's.
pub const KERNEL_ARGUMENTS: &str = "mitigations=off rcupdate.rcu_expedited=1 tsc=reliable";

/// What executes the machine's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU's software.
    Emulation,
}

/// How a machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With the command, which ended well or not.
    Command {
        /// Whether it ended well.
        success: bool,
    },
    /// While the command ran.
    Cut,
    /// Before the command began.
    NotUp,
}

/// A machine to be booted, once or more.
#[derive(Debug)]
pub struct Machine<'a> {
    kernel: &'a Kernel,
    tools: &'a Tools,
    root: &'a Path,
    accelerator: Accelerator,
    /// What begins each line that its command prints.
    name: String,
    /// The one directory that the machine can write.
    directory: PathBuf,
    time_limit: Duration,
}

impl<'a> Machine<'a> {
    /// Describes a machine. Those that run at one time differ in `part`.
    pub fn new(
        workspace: &'a Workspace,
        tools: &'a Tools,
        kernel: &'a Kernel,
        accelerator: Accelerator,
        part: &str,
    ) -> Self {
        let line = kernel.line.name();
        Self {
            kernel,
            tools,
            root: &workspace.root,
            accelerator,
            name: if part.is_empty() {
                line.to_owned()
            } else {
                format!("{line}/{part}")
            },
            directory: workspace.target.join("vm/run").join(line).join(part),
            time_limit: TIME_LIMIT,
        }
    }

    /// The same with another limit of its time.
    pub fn with_time_limit(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }

    /// A directory of its own, for what goes in and comes out.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn directory(&self) -> Result<&Path> {
        fs::create_dir_all(&self.directory)
            .with_context(|| format!("cannot make {}", self.directory.display()))?;
        Ok(&self.directory)
    }

    /// The file of all that it prints.
    pub fn console(&self) -> PathBuf {
        self.directory.join("console")
    }

    /// What begins each line that its command prints.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last lines of all that it printed.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn last_words(&self) -> Result<String> {
        let console = self.console();
        let text =
            fs::read(&console).with_context(|| format!("cannot read {}", console.display()))?;
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        Ok(lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"))
    }

    /// Boots, runs a command as root in the workspace, and shows what it prints.
    ///
    /// # Errors
    /// Where a file cannot be written, or what starts the machine does not start.
    pub fn run(&self, command: &[OsString]) -> Result<End> {
        let directory = self.directory()?;
        let script = directory.join("command");
        let status = directory.join("status");
        let _none = fs::remove_file(&status);
        fs::write(&script, self.script(command, &status))
            .with_context(|| format!("cannot write {}", script.display()))?;
        say(format_args!(
            "booting Linux {} for {}",
            self.kernel.release, self.name
        ));
        let has_begun = self.boot(&script)?;
        Ok(match fs::read_to_string(&status) {
            Ok(status) => End::Command {
                success: status.trim() == "0",
            },
            Err(_) if has_begun => End::Cut,
            Err(_) => End::NotUp,
        })
    }

    /// The line of its kernel.
    pub const fn line(&self) -> Line {
        self.kernel.line
    }

    /// What the machine runs. The kernel's own messages stay in its log.
    fn script(&self, command: &[OsString], status: &Path) -> String {
        let words: Vec<_> = command
            .iter()
            .map(|word| quoted(&word.to_string_lossy()))
            .collect();
        // The kernel loads modules by `modprobe`, which this machine may have among the machine's tools only. Before Linux 5.11, what eBPF
        // takes counts as locked memory. What a test loads of tunnels would give each namespace of the others more interfaces.
        format!(
            "ulimit -l unlimited\nulimit -n 65536\necho 1 >/proc/sys/net/core/fb_tunnels_only_for_init_net\ndmesg --console-level 1\nexport PATH=\"$PATH\":{}\necho {} >/proc/sys/kernel/modprobe\ncd {} || exit\n\
             echo {}\n{}\necho $? >{}\necho {}\n",
            quoted(&self.tools.bin.to_string_lossy()),
            quoted(&self.tools.program("modprobe").to_string_lossy()),
            quoted(&self.root.to_string_lossy()),
            quoted(BEGINS),
            words.join(" "),
            quoted(&status.to_string_lossy()),
            quoted(ENDED),
        )
    }

    /// Runs virtme-ng in a pseudo-terminal, which it wants, and shows of the console what the command prints. Whether the
    /// command began.
    fn boot(&self, script: &Path) -> Result<bool> {
        let mut path = self.tools.bin.clone().into_os_string();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        let mut timeout = Command::new("timeout");
        // In the group of this process, for Ctrl-C to reach it.
        timeout
            .args(["--foreground", "--kill-after=30s"])
            .arg(format!("{}s", self.time_limit.as_secs()))
            .arg(self.tools.program("script"))
            .args(["--quiet", "--return", "--command"])
            .arg(self.virtme_ng(script)?)
            .arg("/dev/null")
            .current_dir(self.root)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        end_with_parent(&mut timeout);
        let mut child = timeout.spawn().context("cannot start `timeout`")?;
        let console = self.console();
        let mut log = fs::File::create(&console)
            .with_context(|| format!("cannot write {}", console.display()))?;
        let mut has_begun = false;
        let mut is_commands = false;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line?;
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end_matches('\r');
                writeln!(log, "{line}")?;
                if line.contains(ENDED) {
                    is_commands = false;
                }
                if is_commands {
                    // In one piece: other machines run beside this one.
                    eprintln!("{} | {line}", self.name);
                }
                if line.contains(BEGINS) {
                    has_begun = true;
                    is_commands = true;
                }
            }
        }
        // The command's own status is in its file; virtme-ng's says nothing without virtio ports.
        child.wait()?;
        Ok(has_begun)
    }

    /// The command line. One processor: two that are emulated wait for each other, and take half as much time again of the
    /// real ones'. The file system is served by QEMU itself (9p), which needs no daemon of a certain version. Without
    /// `--verbose` there is no output but by virtio ports, which want udev.
    fn virtme_ng(&self, script: &Path) -> Result<String> {
        let utf8 = |path: &Path| -> Result<String> {
            let path = path.to_str().context("a path is no UTF-8")?;
            Ok(path.to_owned())
        };
        let mut words: Vec<_> = [
            "vng",
            "--verbose",
            "--disable-microvm",
            "--force-9p",
            "--memory",
            "2G",
            "--cpus",
            "1",
            "--append",
            KERNEL_ARGUMENTS,
        ]
        .map(str::to_owned)
        .into();
        let mut options = FEW_QUEUES.to_owned();
        if self.accelerator == Accelerator::Emulation {
            words.push("--disable-kvm".to_owned());
            options += &format!(" -cpu {EMULATED_CPU}");
        }
        words.push(format!("--qemu-opts={options}"));
        words.push("--qemu".to_owned());
        words.push(utf8(&self.tools.program(QEMU))?);
        words.push("--busybox".to_owned());
        words.push(utf8(&self.tools.program("busybox"))?);
        words.push("--run".to_owned());
        words.push(utf8(&self.kernel.image)?);
        words.push(format!("--rwdir={}", utf8(&self.directory)?));
        words.push("--".to_owned());
        words.push(format!("sh {}", quoted(&utf8(script)?)));
        Ok(words
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(" "))
    }
}

/// Has a command end when this process does, however that ends: a machine would go on by itself.
fn end_with_parent(command: &mut Command) {
    let ask = || Ok(prctl::set_pdeathsig(Signal::SIGTERM)?);
    // SAFETY: between fork and exec it makes one system call, and allocates nothing.
    unsafe { command.pre_exec(ask) };
}

/// Runs a machine to its end. Where that is no good one, `console` has what it printed.
///
/// # Errors
/// Where it cannot be started, or ends otherwise than by itself.
pub fn run_machine(command: &mut Command, console: &Path) -> Result<()> {
    end_with_parent(command);
    let status = command.status().context("cannot start `timeout`")?;
    anyhow::ensure!(
        status.success(),
        "QEMU ended with {status}: {} has what the machine printed",
        console.display()
    );
    Ok(())
}
