//! The pages that have a topology, commands and what these print: each is run, and prints just that.
//!
//! A page's `toml` and `python` blocks are the files that the lines above them name. Its `sh` blocks are run one after the other in one
//! shell, and a `text` block is what the `sh` block before it prints.

use std::{fs, path::Path};

use crate::{
    bench::{Need, scenario},
    output::examples,
    shell,
};

/// What separates what two blocks print.
const MARK: &str = "-- the next block --\n";

/// A block of a page.
struct Block {
    language: String,
    text: String,
    /// Where the text is in the page.
    place: std::ops::Range<usize>,
    /// The file that the line above it names, between backquotes.
    file: Option<String>,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut place = 0;
    while let Some(start) = page[place..].find("\n```").map(|at| place + at + 4) {
        let body = start + page[start..].find('\n').expect("a fence is a line") + 1;
        // From the newline of the fence on, for a block may be empty.
        let end = body + page[body - 1..].find("\n```").expect("a block ends");
        let above = page[..start].trim_end_matches(['\n', '`']);
        let above = above.rsplit('\n').next().unwrap_or_default();
        let file = above
            .strip_prefix("Save this as `")
            .or_else(|| Some(above.split_once("Save this as `")?.1));
        blocks.push(Block {
            language: page[start..body].trim().to_owned(),
            text: page[body..end].to_owned(),
            place: body..end,
            file: file.and_then(|file| Some(file.split_once('`')?.0.to_owned())),
        });
        place = end + 3;
    }
    blocks
}

/// What differs from run to run, as the page has it.
fn settled(text: &str) -> String {
    let is_digit = |letter: char| letter.is_ascii_digit();
    let mut text = text.to_owned();
    for (before, is_replaced, after) in [
        ("(pid ", &is_digit as &dyn Fn(char) -> bool, "4242"),
        (", pid ", &is_digit, "4242"),
        ("cookie ", &is_digit, "17"),
        ("--netns ", &is_digit, "4200"),
        ("net:[", &is_digit, "4026532178"),
        (", cgroup /", &|letter| letter != '\n', "user.slice"),
        ("Audited for ", &|letter| letter != 's', "250 m"),
    ] {
        text = replaced(&text, before, is_replaced, after);
    }
    let lines: Vec<_> = text
        .lines()
        // Its executable is not known where it has ended before it was looked up.
        .map(|line| match line.split_once(", uid 0, /") {
            Some((process, rest)) if rest.contains(", cgroup /") => {
                format!("{process}, uid 0, cgroup /user.slice")
            }
            _ => ephemeral(&timed(line)),
        })
        .collect();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// With `after` in place of all that follows each `before` and that `is_replaced` takes.
fn replaced(text: &str, before: &str, is_replaced: &dyn Fn(char) -> bool, after: &str) -> String {
    let mut parts = text.split(before);
    let mut new = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(is_replaced);
        let is_there = rest.len() < part.len();
        new.extend([before, if is_there { after } else { "" }, rest]);
    }
    new
}

/// With one time for all of them.
fn timed(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let (time, rest) = word.split_once('Z').unwrap_or((word, ""));
        let is_time = time.len() >= 19 && time.contains('T') && time.starts_with("20");
        let second = if time.contains('.') {
            "00.000000"
        } else {
            "00"
        };
        if is_time {
            format!("2026-11-30T12:00:{second}Z{rest}")
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// With one port for all that the kernel chose.
fn ephemeral(line: &str) -> String {
    let words = line.split(' ').map(|word| match word.rsplit_once(':') {
        Some((address, port)) if port.parse::<u16>().is_ok_and(|port| port >= 32768) => {
            format!("{address}:40000")
        }
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The page with what its commands print now.
fn made(page: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let blocks = blocks(page);
    let mut lines = String::from(
        "exec 2>&1; mount --make-rprivate /; mkdir -p /run/pinif; mount -t tmpfs -o mode=755 none /run/pinif\n",
    );
    for block in &blocks {
        match (block.language.as_str(), &block.file) {
            ("toml" | "python", Some(file)) => {
                fs::write(folder.path().join(file), &block.text).expect("a file");
            }
            ("sh", _) => lines += &format!("{}printf '%s' '{MARK}'\n", block.text),
            ("text", _) => {}
            (language, _) => panic!("a block of {language}:\n{}", block.text),
        }
    }
    // The auditors of other tests listen in the machine's own `/run/pinif`.
    let output = shell::run_on_mounts(&lines, folder.path());
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}:\n{printed}", output.status);
    let mut printed = printed.split(MARK);
    let (mut new, mut kept) = (String::new(), 0);
    let mut last = "";
    for block in &blocks {
        match block.language.as_str() {
            "sh" => {
                assert_eq!(last, "", "what was printed before has no block");
                last = printed.next().expect("a mark for each block");
            }
            "text" => {
                new += &page[kept..block.place.start];
                new += settled(last).trim_end();
                new.push('\n');
                kept = block.place.end;
                last = "";
            }
            _ => {}
        }
    }
    assert_eq!(last, "", "what was printed at last has no block");
    new + &page[kept..]
}

fn holds(name: &str, needs: &[&'static str]) {
    let always = ["unshare", "bash", "ip", "sysctl", "grep"];
    let needs: Vec<_> = always
        .iter()
        .chain(needs)
        .map(|name| Need::Program(name))
        .collect();
    scenario(&format!("book {name}"), &needs, |_| {
        let path = format!("docs/{name}.md");
        examples::file(&path, &made(&examples::read(&path)));
    });
}

#[test]
fn the_midplane() {
    holds("cookbook/midplane", &["socat"]);
}

#[test]
fn the_management_network() {
    holds("cookbook/management", &["socat"]);
}

#[test]
fn the_storage_network() {
    holds("cookbook/storage", &["socat"]);
}

#[test]
fn the_vpn() {
    if Path::new("/dev/net/tun").exists() {
        holds("cookbook/vpn", &["socat"]);
    } else {
        crate::bench::skipped("book cookbook/vpn", "there is no /dev/net/tun");
    }
}

#[test]
fn the_pod() {
    holds("cookbook/multus", &["socat", "nsenter"]);
}

#[test]
fn the_multi_homed_server() {
    holds("cookbook/multi-homed", &["socat"]);
}

#[test]
fn the_comparison() {
    holds("comparison", &["python3", "ss", "nft", "sed"]);
}

#[test]
fn what_differs_from_run_to_run_is_the_same_in_the_pages() {
    let printed = "2026-01-02T03:04:05Z  leak  a  b (pid 7), unpinned: UDP to 10.0.0.2:9 left via eth1\n  process   b, pid 7, uid 0, cgroup /x y/z\n  \
        socket    UDP 10.0.0.1:41234 → 10.0.0.2:9, cookie 9\n  path      left via eth1, namespace net:[1], rule r\n  seen      2026-01-02T03:04:05.000001Z, 1 packet\n\
        1 leak. Audited for 1.6 s.\n";
    let page = "2026-11-30T12:00:00Z  leak  a  b (pid 4242), unpinned: UDP to 10.0.0.2:9 left via eth1\n  process   b, pid 4242, uid 0, cgroup /user.slice\n  \
        socket    UDP 10.0.0.1:40000 → 10.0.0.2:9, cookie 17\n  path      left via eth1, namespace net:[4026532178], rule r\n  seen      2026-11-30T12:00:00.000000Z, 1 packet\n\
        1 leak. Audited for 250 ms.\n";
    assert_eq!(settled(printed), page);
    assert_eq!(settled(page), page);
}
