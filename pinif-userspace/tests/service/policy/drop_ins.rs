//! The files beside a policy's, in `policy.d`.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use pinif_userspace::policy::{Occasion, Policy, PolicyErrors};
use tempfile::TempDir;

const RULES: &str = "[[rule]]\nname = \"fabric\"\nport = 53\npinned = true\n";

/// A folder with a policy, and these files beside it.
struct Folder(TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        fs::create_dir(folder.at("policy.d")).expect("a directory");
        folder.write("policy.toml", RULES);
        for (name, text) in files {
            folder.write(&format!("policy.d/{name}"), text);
        }
        folder
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).expect("it is ours");
        fs::set_permissions(self.at(name), Permissions::from_mode(0o644)).expect("it is ours");
    }

    fn read(&self, occasion: Occasion) -> Result<Policy, PolicyErrors> {
        Policy::read(&self.at("policy.toml"), occasion)
    }

    /// A text, with the folder's own path left out.
    fn plain(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn accept(kind: &str) -> String {
    format!("[[accept]]\nkind = \"{kind}\"\nreason = \"of {kind}\"\nuntil = 2100-12-31\n")
}

#[test]
fn they_are_read_in_the_order_of_their_names_and_others_are_not() {
    let (one, two) = (accept("unpinned"), accept("device-escape"));
    let folder = Folder::with(&[
        ("20-two.toml", &two),
        ("10-one.toml", &one),
        (".hidden.toml", "not TOML"),
        ("10-one.toml~", "not TOML"),
        ("README", "not TOML"),
    ]);
    let policy = folder.read(Occasion::Service).expect("a policy");
    let accepts = policy.accepts.iter();
    let read: Vec<_> = accepts
        .map(|accept| (accept.reason.clone(), folder.plain(&accept.place)))
        .collect();
    let expected = [
        ("of unpinned", "policy.d/10-one.toml:1"),
        ("of device-escape", "policy.d/20-two.toml:1"),
    ];
    assert_eq!(read, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert_eq!(policy.rules.len(), 1);
    assert!(policy.warnings.is_empty(), "{:?}", policy.warnings);
}

#[test]
fn they_are_read_where_there_is_no_policy() {
    let folder = Folder::with(&[("one.toml", &accept("unpinned"))]);
    let path = folder.at("policy.toml");
    fs::remove_file(&path).expect("it is there");
    let policy = Policy::read_drop_ins(&path, Occasion::Service).expect("a policy");
    assert_eq!(policy.map(|policy| policy.accepts.len()), Some(1));
    fs::remove_file(folder.at("policy.d/one.toml")).expect("it is there");
    let none = Policy::read_drop_ins(&path, Occasion::Service).expect("nothing wrong");
    assert!(none.is_none());
}

#[test]
fn what_is_wrong_in_any_of_them_is_an_error_with_its_place() {
    let folder = Folder::with(&[
        ("a.toml", "[zone.a]\ninterfaces = \"lo\"\n"),
        ("b.toml", &accept("unpind")),
        (
            "c.toml",
            "unparsed = \"pass\"\n[[rule]]\nname = \"r\"\nport = 1\npinned = true\n",
        ),
    ]);
    let errors = folder.read(Occasion::ByHand).expect_err("three are wrong");
    let lines: Vec<_> = errors
        .lines()
        .iter()
        .map(|line| folder.plain(line))
        .collect();
    let alone =
        "a file beside the policy's has `[[accept]]`, and nothing else; put it into policy.toml";
    assert_eq!(
        lines,
        [
            format!("policy.d/a.toml:1:7: {alone}"),
            "policy.d/b.toml:2:8: unknown kind `unpind`; did you mean `unpinned`?".to_owned(),
            format!("policy.d/c.toml:1:12: {alone}"),
            format!("policy.d/c.toml:2:1: {alone}"),
        ]
    );
    assert_eq!(
        folder.plain(&errors.summary()),
        "policy.d/a.toml, policy.d/b.toml, policy.d/c.toml: 4 errors"
    );
}

#[test]
fn a_rule_of_the_policy_is_known_to_them_and_another_is_warned_of() {
    let of = |rule: &str| {
        format!("[[accept]]\nrule = \"{rule}\"\nreason = \"known\"\nuntil = 2100-12-31\n")
    };
    let folder = Folder::with(&[("a.toml", &of("fabric")), ("b.toml", &of("fabrik"))]);
    let policy = folder.read(Occasion::Service).expect("a policy");
    let warnings = policy.warnings.iter();
    let warnings: Vec<_> = warnings.map(|one| folder.plain(&one.brief())).collect();
    assert_eq!(
        warnings,
        ["policy.d/b.toml:2:8: no rule is named `fabrik`; did you mean `fabric`?"]
    );
}

#[test]
fn one_that_others_can_change_is_refused_to_a_service() {
    let folder = Folder::with(&[("a.toml", &accept("unpinned"))]);
    let set = |name, mode| {
        fs::set_permissions(folder.at(name), Permissions::from_mode(mode)).expect("it is ours");
    };
    for (name, mode, good, what) in [
        ("policy.d/a.toml", 0o666, 0o644, "the file"),
        ("policy.d", 0o777, 0o755, "the directory"),
    ] {
        set(name, mode);
        let errors = folder.read(Occasion::Service).expect_err("it is exposed");
        let path = folder.at(name);
        let words = format!(
            "others can change the policy: {what} {} belongs to root, with mode {mode:04o}; run `chmod go-w {0}`",
            path.display()
        );
        assert!(errors.brief().ends_with(&words), "{}", errors.brief());
        let warned = folder.read(Occasion::ByHand).expect("only a warning");
        assert_eq!(warned.warnings.len(), 1, "{:?}", warned.warnings);
        set(name, good);
    }
    folder.read(Occasion::Service).expect("it is not exposed");
}
