//! One machine: booted, given something to run, and gone.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use nix::sys::{prctl, signal::Signal};

use super::{kernels::Kernel, tools::Tools};
use crate::{process::say, workspace::Workspace};

/// What the machine prints before and after what the command prints.
const BEGINS: &str = "-- the command begins --";
const ENDED: &str = "-- the command has ended --";
/// A machine that runs longer hangs.
const TIME_LIMIT: &str = "75m";

/// A machine to be booted, once or more.
#[derive(Debug)]
pub struct Machine<'a> {
    kernel: &'a Kernel,
    tools: &'a Tools,
    root: &'a Path,
    /// The one directory that the machine can write.
    directory: PathBuf,
}

impl<'a> Machine<'a> {
    /// Describes a machine.
    pub fn new(workspace: &'a Workspace, tools: &'a Tools, kernel: &'a Kernel) -> Self {
        Self {
            kernel,
            tools,
            root: &workspace.root,
            directory: workspace.target.join("vm/run").join(kernel.line.name()),
        }
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

    /// Boots, runs a command as root in the workspace, and shows what it prints. Whether it ended well.
    ///
    /// # Errors
    /// Where the machine does not boot, or does not come to the command's end.
    pub fn run(&self, command: &[OsString]) -> Result<bool> {
        let directory = self.directory()?;
        let script = directory.join("command");
        let status = directory.join("status");
        let _none = fs::remove_file(&status);
        let console = directory.join("console");
        fs::write(&script, self.script(command, &status))
            .with_context(|| format!("cannot write {}", script.display()))?;
        say(format_args!("booting Linux {}", self.kernel.release));
        self.boot(&script, &console)?;
        let Ok(status) = fs::read_to_string(&status) else {
            bail!(
                "Linux {} did not come to the command's end: {} tells what it said",
                self.kernel.release,
                console.display()
            );
        };
        Ok(status.trim() == "0")
    }

    /// What the machine runs. The kernel's own messages stay in its log.
    fn script(&self, command: &[OsString], status: &Path) -> String {
        let words: Vec<_> = command
            .iter()
            .map(|word| quoted(&word.to_string_lossy()))
            .collect();
        format!(
            "dmesg --console-level 1\ncd {} || exit\necho {}\n{}\necho $? >{}\necho {}\n",
            quoted(&self.root.to_string_lossy()),
            quoted(BEGINS),
            words.join(" "),
            quoted(&status.to_string_lossy()),
            quoted(ENDED),
        )
    }

    /// Runs virtme-ng in a pseudo-terminal, which it wants, and shows of the console what the command prints.
    fn boot(&self, script: &Path, console: &Path) -> Result<()> {
        let mut path = OsString::from(&self.tools.virtme);
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        let mut timeout = Command::new("timeout");
        // In the group of this process, for Ctrl-C to reach it.
        timeout
            .args([
                "--foreground",
                "--kill-after=30s",
                TIME_LIMIT,
                "script",
                "--quiet",
                "--return",
                "--command",
            ])
            .arg(self.virtme_ng(script)?)
            .arg("/dev/null")
            .current_dir(self.root)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        end_with_parent(&mut timeout);
        let mut child = timeout.spawn().context("cannot start `timeout script`")?;
        let mut log = fs::File::create(console)
            .with_context(|| format!("cannot write {}", console.display()))?;
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
                    eprintln!("{} | {line}", self.kernel.line.name());
                }
                if line.contains(BEGINS) {
                    is_commands = true;
                }
            }
        }
        // The command's own status is in its file; virtme-ng's says nothing without virtio ports.
        child.wait()?;
        Ok(())
    }

    /// The command line. One processor: two that are emulated wait for each other, and take half as much time again of the
    /// real ones'. Software emulation serves everywhere; the file system is served by QEMU itself (9p), which
    /// needs no daemon of a certain version. Without `--verbose` there is no output but by virtio ports, which want udev.
    fn virtme_ng(&self, script: &Path) -> Result<String> {
        let mut words: Vec<_> = [
            "vng",
            "--verbose",
            "--disable-kvm",
            "--disable-microvm",
            "--force-9p",
            "--memory",
            "2G",
            "--cpus",
            "1",
            "--run",
        ]
        .map(str::to_owned)
        .into();
        words.push(self.kernel.image.to_string_lossy().into_owned());
        let directory = self.directory.to_str().context("a path is no UTF-8")?;
        words.push(format!("--rwdir={directory}"));
        words.push("--".to_owned());
        words.push(format!("sh {}", quoted(&script.to_string_lossy())));
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

/// A word as a shell takes it literally.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_a_quoted_word_literally() {
        for word in [
            "",
            "plain-word_1.0",
            "two words",
            "it's",
            "$HOME `x` \"y\"",
            "a\nb",
        ] {
            let output = Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(word))])
                .output()
                .expect("sh");
            assert_eq!(String::from_utf8_lossy(&output.stdout), word);
        }
    }
}
