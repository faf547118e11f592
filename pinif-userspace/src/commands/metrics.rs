//! `pinif metrics`: the metrics of a running auditor, for the textfile collector of node_exporter and for people.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{self, ExitCode},
};

use anyhow::{Context as _, Result};
use clap::Args;

use super::{asking::Asked, complaint::complain};
use crate::{
    surfaces::metrics::{Form, text},
    text::{escape::visible, streams},
};

/// The arguments of `pinif metrics`.
#[derive(Args, Clone, Debug)]
pub struct MetricsArgs {
    #[command(flatten)]
    asked: Asked,

    /// Write them to this file instead, in one step: whoever reads it never sees half of them. node_exporter reads what ends in .prom
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs `pinif metrics`. Where no auditor answers, the metrics say so (`pinif_ready 0`), and the exit status is 1.
///
/// # Errors
///
/// Where they cannot be written.
pub fn run(args: MetricsArgs) -> Result<ExitCode> {
    let (metrics, status) = match args.asked.ask(async |client| client.metrics().await) {
        Ok(metrics) => (metrics, ExitCode::SUCCESS),
        Err(error) => {
            complain(&error);
            (text(None, Form::Text), ExitCode::FAILURE)
        }
    };
    match &args.output {
        None => streams::answer(&metrics)?,
        Some(path) => replace(path, &metrics).with_context(|| {
            let path = path.to_string_lossy();
            format!("{} cannot be written", visible(&path))
        })?,
    }
    Ok(status)
}

/// Writes a file beside the one of this name, and puts it in its place.
///
/// What is there and is no regular file stays: root's rename would put a file in the place of `/dev/null`, for all of the machine.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let there = fs::symlink_metadata(path);
    if there.is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other(
            "it is no regular file; leave out --output for standard output",
        ));
    }
    let mut aside: OsString = path.into();
    // Neither another's name, nor one that is read for metrics.
    aside.push(format!(".{}.new", process::id()));
    let aside = PathBuf::from(aside);
    // One of this process's number that ended in between.
    let _ = fs::remove_file(&aside);
    write_new(&aside, text)?;
    let put = fs::rename(&aside, path);
    if put.is_err() {
        let _ = fs::remove_file(&aside);
    }
    put
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // Others read it: node_exporter has a user of its own.
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("pinif.prom");
        for text in ["one\n", "two\n"] {
            replace(&path, text)?;
            assert_eq!(fs::read_to_string(&path)?, text);
        }
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        let away = folder.path().join("away/pinif.prom");
        let error = replace(&away, "three\n").expect_err("there is no such folder");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        Ok(())
    }
    #[test]
    fn what_is_no_regular_file_stays() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let at = |name| folder.path().join(name);
        fs::write(at("file"), "of another\n")?;
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU)?;
        std::os::unix::fs::symlink(at("file"), at("link"))?;
        fs::create_dir(at("folder"))?;
        for name in ["pipe", "link", "folder"] {
            let before = fs::symlink_metadata(at(name))?.file_type();
            let error = replace(&at(name), "one\n").expect_err(name);
            assert_eq!(
                error.to_string(),
                "it is no regular file; leave out --output for standard output"
            );
            assert_eq!(
                fs::symlink_metadata(at(name))?.file_type(),
                before,
                "{name}"
            );
        }
        assert_eq!(fs::read_to_string(at("file"))?, "of another\n");
        assert_eq!(fs::read_dir(folder.path())?.count(), 4);
        Ok(())
    }
}
