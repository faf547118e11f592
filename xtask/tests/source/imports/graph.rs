//! Files and the arrows between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

/// A file takes something from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    pub from: PathBuf,
    pub to: PathBuf,
    /// What it takes.
    pub name: String,
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from.display(), self.to.display());
        write!(f, "  {from} takes `{}` from {to}", self.name)
    }
}

/// The arrows of a crate.
pub struct Graph(BTreeMap<PathBuf, BTreeSet<Arrow>>);

/// Files each of which takes from the others, in the end.
pub struct Circle {
    pub files: BTreeSet<PathBuf>,
    arrows: Vec<Arrow>,
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "a circle of {} files:", self.files.len())?;
        self.arrows
            .iter()
            .try_for_each(|arrow| writeln!(f, "{arrow}"))
    }
}

impl Graph {
    /// The graph of these arrows.
    pub fn of(arrows: impl IntoIterator<Item = Arrow>) -> Self {
        let mut graph: BTreeMap<PathBuf, BTreeSet<Arrow>> = BTreeMap::new();
        for arrow in arrows {
            graph.entry(arrow.from.clone()).or_default().insert(arrow);
        }
        Self(graph)
    }

    /// All arrows.
    pub fn arrows(&self) -> impl Iterator<Item = &Arrow> {
        self.0.values().flatten()
    }

    /// Its circles: the files from which one comes back to where one began.
    pub fn circles(&self) -> Vec<Circle> {
        let reached: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = self
            .0
            .keys()
            .map(|file| (file, self.reached_from(file)))
            .collect();
        let reaches =
            |from: &PathBuf, to: &PathBuf| reached.get(from).is_some_and(|it| it.contains(to));
        let mut circles = Vec::new();
        let mut done: BTreeSet<&PathBuf> = BTreeSet::new();
        for file in self.0.keys() {
            if done.contains(file) || !reaches(file, file) {
                continue;
            }
            let files: BTreeSet<&PathBuf> = reached[file]
                .iter()
                .copied()
                .filter(|it| reaches(it, file))
                .collect();
            done.extend(&files);
            let inside = self
                .arrows()
                .filter(|it| files.contains(&it.from) && files.contains(&it.to));
            circles.push(Circle {
                arrows: inside.cloned().collect(),
                files: files.into_iter().cloned().collect(),
            });
        }
        circles
    }

    fn reached_from(&self, file: &PathBuf) -> BTreeSet<&PathBuf> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&PathBuf> = vec![file];
        while let Some(file) = open.pop() {
            for arrow in self.0.get(file).into_iter().flatten() {
                if reached.insert(&arrow.to) {
                    open.push(&arrow.to);
                }
            }
        }
        reached
    }
}

#[test]
fn a_circle_is_found_with_what_closes_it() {
    let arrow = |from: &str, to: &str| Arrow {
        from: from.into(),
        to: to.into(),
        name: "Thing".to_owned(),
    };
    let line = [arrow("a.rs", "b.rs"), arrow("b.rs", "c.rs")];
    assert!(Graph::of(line.clone()).circles().is_empty());
    let circles = Graph::of(line.into_iter().chain([arrow("c.rs", "b.rs")])).circles();
    let shown: Vec<String> = circles.iter().map(ToString::to_string).collect();
    let expected =
        "a circle of 2 files:\n  b.rs takes `Thing` from c.rs\n  c.rs takes `Thing` from b.rs\n";
    assert_eq!(shown, [expected]);
}
