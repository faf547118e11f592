//! Where an auditor is pinned, and what is attached to the card.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use aya::programs::{SchedClassifier, TcAttachType};
use pinif_lab::BpfFs;

use crate::bench::{Auditor, Bench, Setup};

pub const CLSACT: &[&str] = &["--attach", "clsact"];

/// A BPF file system of the test's own, and a directory in it.
pub struct Place {
    directory: PathBuf,
    _mounted: BpfFs,
}

impl Place {
    pub fn new() -> Self {
        let mounted = BpfFs::new("pins").expect("cannot mount a BPF file system");
        Self {
            directory: mounted.path().join("auditor"),
            _mounted: mounted,
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn argument(&self) -> String {
        format!("--persist={}", self.directory.display())
    }

    /// An auditor of the card that is pinned here.
    pub fn auditor<'a>(&self, bench: &'a Bench) -> Setup<'a> {
        bench.auditor().arguments([self.argument()])
    }

    /// Starts it, and waits until it is ready.
    pub fn audit<'a>(&self, bench: &'a Bench, arguments: &[&str]) -> Auditor<'a> {
        self.auditor(bench).arguments(arguments).start()
    }

    /// Runs `pinif detach`.
    pub fn detach(&self) -> Output {
        Command::new(env!("CARGO_BIN_EXE_pinif"))
            .args(["detach", &self.argument()])
            .output()
            .expect("cannot run pinif")
    }

    /// Runs it, and what it says.
    pub fn detached(&self) -> String {
        let output = self.detach();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        printed
    }

    /// All that is pinned, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut directories = vec![self.directory.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                match entry.file_type().expect("it is there") {
                    kind if kind.is_dir() => directories.push(entry.path()),
                    _ => files.push(entry.path()),
                }
            }
        }
        files.sort();
        files
    }

    /// How many links of interfaces are pinned.
    pub fn links(&self) -> usize {
        let builds = fs::read_dir(&self.directory).into_iter().flatten();
        builds
            .flatten()
            .flat_map(|build| {
                fs::read_dir(build.path().join("links"))
                    .into_iter()
                    .flatten()
            })
            .count()
    }
}

/// The names of pinif's programs at the egress of the card's links.
pub fn attached(bench: &Bench) -> Vec<String> {
    let programs = bench.card().run(|| {
        let of = |link: &str| SchedClassifier::query_tcx(link, TcAttachType::Egress);
        let all =
            ["lo", "fab0", "eth1"].map(|link| of(link).map_or_else(|_| Vec::new(), |(_, it)| it));
        let names = all
            .iter()
            .flatten()
            .filter_map(|program| program.name_as_str());
        names.map(str::to_owned).collect::<Vec<_>>()
    });
    let mut programs = programs.expect("the card is there");
    programs.retain(|name| name.starts_with("pinif"));
    programs
}

/// How many filters of pinif's are at the egress of the card's links.
pub fn filters(bench: &Bench) -> usize {
    let of = |link: &&str| {
        bench
            .ask("tc", &format!("filter show dev {link} egress"))
            .matches("pinif_egress_p direct-action")
            .count()
    };
    ["lo", "fab0", "eth1"].iter().map(of).sum()
}
