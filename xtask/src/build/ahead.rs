//! A first build: what of pinif does not wait for the eBPF programs is compiled while they come, since neither what builds them nor
//! they themselves keep two processors busy. So it is with what the tests need besides, most of which is downloaded.
//!
//! pinif's build script, which puts them into pinif, waits for a lock on a file (`pinif-userspace/build/main.rs`).

use std::{
    fs::{self, File},
    io,
    num::NonZero,
    path::Path,
    process::{Child, Command},
    thread,
    time::SystemTime,
};

use anyhow::{Context as _, Result, bail};

use super::objects;
use crate::{process::in_words, workspace::Workspace};

/// A build of pinif that waits for the eBPF programs.
#[derive(Debug)]
pub struct Ahead {
    words: String,
    cargo: Child,
    lock: Option<File>,
    began: SystemTime,
}

impl Ahead {
    /// Starts it, by a command of cargo's or nextest's.
    ///
    /// # Errors
    /// Where the file cannot be locked or cargo not be started.
    pub fn start(workspace: &Workspace, mut cargo: Command) -> Result<Self> {
        let path = workspace.target.join("objects.lock");
        let lock = fs::create_dir_all(&workspace.target)
            .and_then(|()| File::create(&path))
            .and_then(|lock| lock.lock().map(|()| lock))
            .with_context(|| format!("{} cannot be locked", path.display()))?;
        // The build script waits in one of cargo's places, and needs no processor there.
        let places = thread::available_parallelism().map_or(1, NonZero::get) + 1;
        cargo
            .env("CARGO_BUILD_JOBS", places.to_string())
            // Another cargo shows its own beside it.
            .env("CARGO_TERM_PROGRESS_WHEN", "never");
        let words = in_words(&cargo);
        let began = SystemTime::now();
        let cargo = cargo
            .spawn()
            .with_context(|| format!("cannot start `{words}`"))?;
        Ok(Self {
            words,
            cargo,
            lock: Some(lock),
            began,
        })
    }

    /// Lets it go on, since the programs are there.
    ///
    /// # Errors
    /// Where they are not.
    pub fn go_on(&mut self, workspace: &Workspace) -> Result<()> {
        if self.lock.is_some() {
            for object in objects(workspace) {
                date_back(&object, self.began)
                    .with_context(|| format!("cannot date {}", object.display()))?;
            }
        }
        self.lock = None;
        Ok(())
    }

    /// Lets it go on, and waits for its end.
    ///
    /// # Errors
    /// Where it fails.
    pub fn finish(mut self, workspace: &Workspace) -> Result<()> {
        self.go_on(workspace)?;
        let status = self.cargo.wait()?;
        if !status.success() {
            bail!("`{}` failed: {status}", self.words);
        }
        Ok(())
    }
}

/// Gives a file that is newer than the start of the build the time of that start. The build script reads it afterwards, but cargo compares with
/// the time at which it started the script: a newer file would have the next build compile all of pinif once more.
fn date_back(file: &Path, began: SystemTime) -> io::Result<()> {
    let file = File::options().write(true).open(file)?;
    if file.metadata()?.modified()? > began {
        file.set_modified(began)?;
    }
    Ok(())
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Where there are no programs, or it has ended.
        let _ended = self.cargo.kill();
        let _status = self.cargo.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::{env, process, time::Duration};

    use super::*;

    #[test]
    fn what_was_made_meanwhile_is_as_old_as_the_start_and_what_was_there_stays_as_it_is() {
        let path = env::temp_dir().join(format!("pinif-xtask-ahead-{}", process::id()));
        let file = File::create(&path).expect("a file");
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let dated = |of: SystemTime| {
            file.set_modified(of).expect("it is ours");
            date_back(&path, began).expect("it is there");
            let metadata = fs::metadata(&path).expect("it is there");
            metadata.modified().expect("a time")
        };
        let earlier = began - Duration::from_secs(1);
        let found = [began + Duration::from_secs(1), earlier].map(dated);
        fs::remove_file(&path).expect("clean-up");
        assert_eq!(found, [began, earlier]);
        assert!(date_back(&path, began).is_err());
    }
}
