//! What is read as a policy: a regular file, that nobody else can change where a service reads it.

use std::{
    fs::{self, File, Permissions},
    os::unix::{
        fs::{PermissionsExt as _, chown, lchown, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use pinif_userspace::policy::{Occasion, Policy};
use tempfile::TempDir;

/// The user that has nothing (`nobody`).
const NOBODY: u32 = 65534;
const GOOD: &str = "[zone.a]\ninterfaces = \"lo\"\n";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A policy in a folder of its own, both with their own modes.
fn good(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("policy.toml");
    fs::write(&path, GOOD).expect("it is ours");
    set_mode(&path, 0o644);
    path
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

fn error(path: &Path, occasion: Occasion) -> String {
    let errors = Policy::read(path, occasion).expect_err("no policy of ours");
    errors.brief()
}

/// What is warned of by hand, which is what a service refuses.
fn exposure(path: &Path) -> String {
    let policy = Policy::read(path, Occasion::ByHand).expect("only a warning");
    let warnings: Vec<_> = policy.warnings.iter().map(|all| all.brief()).collect();
    let warnings = warnings.join("; ");
    assert_eq!(error(path, Occasion::Service), warnings);
    warnings
}

fn is_accepted(path: &Path) {
    for occasion in [Occasion::Service, Occasion::ByHand, Occasion::AgainByHand] {
        let policy = Policy::read(path, occasion).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(policy.zones.len(), 1);
        assert!(policy.warnings.is_empty(), "{:?}", policy.warnings);
    }
}

#[test]
fn a_file_that_only_root_can_change_is_accepted() {
    let folder = folder();
    let path = good(&folder);
    is_accepted(&path);
    let links = [folder.path().join("link"), folder.path().join("link-2")];
    symlink("policy.toml", &links[0]).expect("a link");
    symlink(folder.path().join(".").join("link"), &links[1]).expect("a link");
    links.iter().for_each(|link| is_accepted(link));
    is_accepted(
        &folder
            .path()
            .join("../")
            .join(path.strip_prefix("/tmp").unwrap_or(&path)),
    );
}

#[test]
fn a_file_that_others_can_write_is_refused_to_a_service() {
    let folder = folder();
    let path = good(&folder);
    for mode in [0o664, 0o646, 0o666] {
        set_mode(&path, mode);
        let path = path.display();
        assert_eq!(
            exposure(&folder.path().join("policy.toml")),
            format!(
                "others can change the policy: the file {path} belongs to root, with mode {mode:04o}; run `chmod go-w {path}`"
            )
        );
    }
}

#[test]
fn the_command_that_closes_a_file_is_for_that_file_alone() {
    let folder = folder();
    let path = folder.path().join("a b; touch c.toml");
    fs::write(&path, GOOD).expect("it is ours");
    set_mode(&path, 0o666);
    let text = exposure(&path);
    let (_, command) = text.split_once("; run `").expect("a command");
    let line = command.strip_suffix('`').expect("its end");
    assert_eq!(line, format!("chmod go-w '{}'", path.display()));
    let closed = Command::new("sh").args(["-c", line]).status();
    assert!(closed.expect("a shell").success(), "{line}");
    is_accepted(&path);
}

#[test]
fn a_file_of_another_user_is_refused_to_a_service() {
    let folder = folder();
    let path = good(&folder);
    chown(&path, Some(NOBODY), None).expect("root can");
    let text = exposure(&path);
    let fix = format!("; run `chown root: {}`", path.display());
    assert!(
        text.contains("belongs to nobody, with mode 0644") && text.ends_with(&fix),
        "{text}"
    );
    set_mode(&path, 0o666);
    assert!(exposure(&path).ends_with(&format!(
        "{} and `chmod go-w {}`",
        &fix[..],
        path.display()
    )));
}

#[test]
fn a_directory_that_others_can_write_is_refused_to_a_service() {
    let folder = folder();
    let inner = folder.path().join("pinif");
    fs::create_dir(&inner).expect("a folder");
    let path = inner.join("policy.toml");
    fs::write(&path, GOOD).expect("it is ours");
    set_mode(&path, 0o644);
    is_accepted(&path);
    for open in [&inner, &folder.path().to_owned()] {
        set_mode(open, 0o777);
        let text = exposure(&path);
        let wanted = format!(
            "the directory {} belongs to root, with mode 0777; run `chmod go-w {0}`",
            open.display()
        );
        assert!(text.ends_with(&wanted), "{text}");
        // Others can put something into it, and not take this away.
        set_mode(open, 0o1777);
        is_accepted(&path);
        set_mode(open, 0o755);
        chown(open, Some(NOBODY), None).expect("root can");
        assert!(exposure(&path).contains("belongs to nobody, with mode 0755"));
        chown(open, Some(0), None).expect("root can");
    }
}

/// It is the link that others can replace.
#[test]
fn a_link_that_others_can_change_is_refused_to_a_service() {
    let (safe, open) = (folder(), folder());
    let path = good(&safe);
    let link = open.path().join("policy.toml");
    symlink(&path, &link).expect("a link");
    is_accepted(&link);
    set_mode(open.path(), 0o777);
    assert!(exposure(&link).contains("the directory "));
    set_mode(open.path(), 0o1777);
    is_accepted(&link);
    lchown(&link, Some(NOBODY), None).expect("root can");
    let text = exposure(&link);
    let wanted = format!("`chown -h root: {}`", link.display());
    assert!(
        text.contains("the link ") && text.ends_with(&wanted),
        "{text}"
    );
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    mkfifo(&at("fifo"), Mode::S_IRUSR).expect("a FIFO");
    let _socket = UnixListener::bind(at("socket")).expect("a socket");
    symlink("fifo", at("link")).expect("a link");
    symlink("circle", at("circle")).expect("a link");
    for (path, wanted) in [
        (at("fifo"), "it is a pipe (FIFO); name a regular file"),
        (at("link"), "it is a pipe (FIFO); name a regular file"),
        (at("socket"), "it is a socket; name a regular file"),
        ("/dev/zero".into(), "it is a device; name a regular file"),
        (
            folder.path().into(),
            "it is a directory; name the policy file in it",
        ),
        ("/".into(), "it is a directory; name the policy file in it"),
        (
            at("circle"),
            "Too many levels of symbolic links (os error 40); name a policy file that can be read",
        ),
        (
            at("none"),
            "there is no such file; create it, or name the file that the policy is in",
        ),
    ] {
        for occasion in [Occasion::Service, Occasion::ByHand, Occasion::AgainByHand] {
            let text = error(&path, occasion);
            assert_eq!(text, format!("cannot read {}: {wanted}", path.display()));
        }
        let (status, _, stderr) = check(Command::new(PINIF), &path, Stdio::null());
        assert!(
            !status && stderr.contains(wanted.split(';').next().expect("one")),
            "{stderr}"
        );
    }
}

#[test]
fn a_large_file_is_refused_by_its_size() {
    let folder = folder();
    let path = folder.path().join("policy.toml");
    let file = File::create(&path).expect("a file");
    file.set_len(1 << 30).expect("a sparse one");
    let text = error(&path, Occasion::Service);
    assert!(
        text.starts_with("this is no policy: it is larger than 1 MiB"),
        "{text}"
    );
}

const PINIF: &str = env!("CARGO_BIN_EXE_pinif");

/// Whether the policy is good, and what is said.
fn check(mut command: Command, path: &Path, stdin: Stdio) -> (bool, String, String) {
    command.args(["policy", "check"]).arg(path).stdin(stdin);
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("pinif runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.success(), text(stdout), text(stderr))
}

#[test]
fn checking_warns_a_person_and_refuses_a_service() {
    let folder = folder();
    let path = good(&folder);
    set_mode(&path, 0o666);
    let (is_good, stdout, stderr) = check(Command::new(PINIF), &path, Stdio::null());
    assert!(is_good && stdout.contains("ok, 1 zone"), "{stdout}");
    assert!(
        stderr.starts_with("warning: others can change the policy"),
        "{stderr}"
    );
    let mut service = Command::new(PINIF);
    service.env("NOTIFY_SOCKET", "/nowhere");
    let (is_good, stdout, stderr) = check(service, &path, Stdio::null());
    assert!(!is_good && stdout.is_empty(), "{stdout}");
    assert!(
        stderr.starts_with("error: others can change the policy"),
        "{stderr}"
    );
}

/// As the shell's `pinif policy check <(generate)` has it.
#[test]
fn a_pipe_that_is_open_already_is_read_by_hand_alone() {
    let piped = || {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        std::io::Write::write_all(&mut writer, GOOD.as_bytes()).expect("it takes so much");
        Stdio::from(reader)
    };
    for path in ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "-"] {
        let (is_good, stdout, stderr) = check(Command::new(PINIF), path.as_ref(), piped());
        assert!(
            is_good && stdout.contains("ok, 1 zone"),
            "{path}: {stdout}{stderr}"
        );
        assert_eq!(stderr, "");
    }
    let mut service = Command::new(PINIF);
    service.env("NOTIFY_SOCKET", "/nowhere");
    let (is_good, _, stderr) = check(service, "/dev/stdin".as_ref(), piped());
    assert!(
        !is_good && stderr.contains("it is a pipe (FIFO)"),
        "{stderr}"
    );
}
