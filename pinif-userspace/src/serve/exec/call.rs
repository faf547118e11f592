//! One call of the operator's program: no shell, an environment of its own, and a limit of time.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        prctl::set_pdeathsig,
        signal::{Signal, killpg},
    },
    unistd::{Pid, getppid},
};
use tokio::{process::Command, task::spawn_blocking, time::timeout};

use crate::{
    policy::open_guarded,
    text::{escape::visible_path, shell},
};

/// Where programs are looked for where nobody says so (systemd.exec(5)).
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    limit: Duration,
}

/// How a call ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Succeeded,
    Failed(ExitStatus),
    TimedOut,
    NotStarted(io::Error),
    /// The program is not there, or others can change it.
    Refused(String),
}

impl Program {
    /// The one at this path, each of whose calls may take so long.
    ///
    /// # Errors
    ///
    /// That it is no program, or that others can change it.
    pub fn new(path: &Path, limit: Duration) -> Result<Self, String> {
        let shown = || visible_path(path);
        if !path.is_absolute() {
            return Err(format!(
                "{} is no absolute path; write it from / on (--exec)",
                shown()
            ));
        }
        if limit.is_zero() {
            return Err("no call ends in no time; give --exec-timeout more, as in 10s".to_owned());
        }
        let file = open(path)?;
        let metadata = file
            .metadata()
            .map_err(|error| format!("{}: {error}", shown()))?;
        if metadata.permissions().mode() & 0o111 == 0 {
            let argument = shell::path(path);
            return Err(format!(
                "{} is no program; run `chmod a+x {argument}`",
                shown()
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            limit,
        })
    }

    /// Its path, to be shown.
    pub(super) fn shown(&self) -> String {
        visible_path(&self.path)
    }

    /// Calls it, and waits for its end; where that does not come in time, ends it with all that it has started in its group.
    pub(super) async fn call(&self, variables: Vec<(String, String)>) -> Outcome {
        // It may be another by now, or others' to change.
        let looked_at = self.path.clone();
        if let Ok(Err(why)) = spawn_blocking(move || open(&looked_at)).await {
            return Outcome::Refused(why);
        }
        let path = env::var_os("PATH").unwrap_or_else(|| OsString::from(PATH));
        let mut command = Command::new(&self.path);
        command
            .env_clear()
            .env("PATH", path)
            .envs(variables)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        let caller = Pid::this();
        // SAFETY: what runs between fork and exec makes two system calls, and allocates nothing.
        unsafe {
            command.pre_exec(move || end_with(caller));
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Outcome::NotStarted(error),
        };
        // Its own group has its number. It is not waited for yet, so the number is nobody else's.
        let group = child.id().map(|pid| Pid::from_raw(pid.cast_signed()));
        let mut group = Group(group);
        let ended = timeout(self.limit, child.wait()).await;
        match ended {
            Ok(Ok(status)) => {
                group.0 = None;
                if status.success() {
                    Outcome::Succeeded
                } else {
                    Outcome::Failed(status)
                }
            }
            Ok(Err(error)) => Outcome::NotStarted(error),
            Err(_) => {
                drop(group);
                // Reaped, whatever became of it.
                let _ = child.wait().await;
                Outcome::TimedOut
            }
        }
    }
}

/// Has this process be killed when its parent ends, also by SIGKILL (`PR_SET_PDEATHSIG`, prctl(2)). That is when the thread ends that has
/// forked it: `pinif serve` does that on its first, which is the last to end.
fn end_with(parent: Pid) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    // It may have ended before.
    if getppid() == parent {
        Ok(())
    } else {
        Err(Errno::ESRCH.into())
    }
}

/// Opens the program, where nobody else can change it.
fn open(path: &Path) -> Result<File, String> {
    open_guarded(path, "program of --exec")
}

/// A group of processes, which ends with this.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Outcome {
    /// The label's values in metrics.
    pub(super) const NAMES: [&str; 4] = ["succeeded", "failed", "timed-out", "not-started"];

    /// Which of [`Self::NAMES`].
    pub(super) fn number(&self) -> usize {
        match self {
            Self::Succeeded => 0,
            Self::Failed(_) => 1,
            Self::TimedOut => 2,
            Self::NotStarted(_) | Self::Refused(_) => 3,
        }
    }

    /// What went wrong, where something did.
    pub(super) fn failure(&self) -> Option<String> {
        match self {
            Self::Succeeded => None,
            Self::Failed(status) => Some(match (status.code(), status.signal()) {
                (Some(code), _) => format!("ends with status {code}"),
                (None, Some(signal)) => format!("is ended by signal {signal}"),
                (None, None) => "fails".to_owned(),
            }),
            Self::TimedOut => {
                Some("does not end in time (--exec-timeout), and is killed".to_owned())
            }
            Self::NotStarted(error) => Some(format!("cannot be started: {error}")),
            Self::Refused(why) => Some(format!("is not called, for this reason: {why}")),
        }
    }
}
