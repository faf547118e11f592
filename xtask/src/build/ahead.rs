//! A first build: what of pinif does not wait for the eBPF programs is compiled while they come, since neither what builds them nor
//! they themselves keep two processors busy. So it is with what the tests need besides, most of which is downloaded.
//!
//! pinif's build script, which puts them into pinif, waits for a lock on a file (`pinif-userspace/build/main.rs`).

use std::{
    fs::{self, File},
    num::NonZero,
    process::{Child, Command},
    thread,
};

use anyhow::{Context as _, Result, bail};

use crate::{process::in_words, workspace::Workspace};

/// The environment variable that names the file.
const VARIABLE: &str = "PINIF_OBJECTS_LOCK";

/// A build of pinif that waits for the eBPF programs.
#[derive(Debug)]
pub struct Ahead {
    words: String,
    cargo: Child,
    lock: Option<File>,
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
            .env(VARIABLE, &path)
            // Another cargo shows its own beside it.
            .env("CARGO_TERM_PROGRESS_WHEN", "never");
        let words = in_words(&cargo);
        let cargo = cargo
            .spawn()
            .with_context(|| format!("cannot start `{words}`"))?;
        Ok(Self {
            words,
            cargo,
            lock: Some(lock),
        })
    }

    /// Lets it go on, since the programs are there.
    pub fn go_on(&mut self) {
        self.lock = None;
    }

    /// Lets it go on, and waits for its end.
    ///
    /// # Errors
    /// Where it fails.
    pub fn finish(mut self) -> Result<()> {
        self.go_on();
        let status = self.cargo.wait()?;
        if !status.success() {
            bail!("`{}` failed: {status}", self.words);
        }
        Ok(())
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Where there are no programs, or it has ended.
        let _ended = self.cargo.kill();
        let _status = self.cargo.wait();
    }
}
