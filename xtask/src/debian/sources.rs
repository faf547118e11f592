//! The sources of the private apt: the machine's, and, from where the machine has its Debian release, the backports of that and
//! the older release that has the oldest kernel.
//!
//! QEMU 10, which Debian 12 has among its backports, runs the machines in four fifths of the time that its QEMU 7.2 takes.

use std::{fs, path::Path};

/// Debian 11, whose kernel is Linux 5.10.
const OLDEST: &str = "bullseye";

/// The code name of this machine's Debian; none on another system.
pub fn release() -> Option<String> {
    code_name(&fs::read_to_string("/etc/os-release").ok()?)
}

/// What a `sources.list` is to have in place of the machine's own: that one's text, and the suites beside a release.
pub fn list(release: &str) -> String {
    let apt = Path::new("/etc/apt");
    let mut text = fs::read_to_string(apt.join("sources.list")).unwrap_or_default();
    let mut lines = one_line(&text, release);
    let mut parts: Vec<_> = fs::read_dir(apt.join("sources.list.d"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    parts.sort();
    for part in parts {
        let text = fs::read_to_string(&part).unwrap_or_default();
        match part.extension().and_then(|extension| extension.to_str()) {
            Some("list") => lines.extend(one_line(&text, release)),
            Some("sources") => lines.extend(stanzas(&text, release)),
            _ => {}
        }
    }
    lines.dedup();
    for line in lines {
        text += &format!("\n{line}\n");
    }
    text
}

/// The lines of a `sources.list` without their choice of architectures, which is of those of the machine.
pub fn of_any_architecture(list: &str) -> String {
    let line = |line: &str| {
        let options = line.trim_start().strip_prefix("deb ")?.trim_start();
        let (options, rest) = options.strip_prefix('[')?.split_once(']')?;
        let options: Vec<_> = options
            .split_whitespace()
            .filter(|option| !option.starts_with("arch="))
            .collect();
        Some(format!("deb [{}]{rest}", options.join(" ")))
    };
    let lines: Vec<_> = list
        .lines()
        .map(|text| line(text).unwrap_or_else(|| text.to_owned()))
        .collect();
    lines.join("\n") + "\n"
}

/// The suite of a release's backports.
pub fn backports(release: &str) -> String {
    format!("{release}-backports")
}

fn code_name(os_release: &str) -> Option<String> {
    let value = |key: &str| {
        let mut lines = os_release.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(value.trim_matches('"').to_owned())
    };
    (value("ID")? == "debian")
        .then(|| value("VERSION_CODENAME"))
        .flatten()
}

/// The suites beside a release, by the lines of sources.list(5) that have it: `deb [OPTION…] URI SUITE COMPONENT…`.
fn one_line(text: &str, release: &str) -> Vec<String> {
    let beside = |line: &str| {
        let rest = line.strip_prefix("deb ")?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let mut words = rest.split_whitespace();
        let uri = words.next()?;
        (words.next()? == release).then(|| sources(options.trim(), uri, release))
    };
    text.lines()
        .filter_map(|line| beside(line.trim()))
        .flatten()
        .collect()
}

/// The suites beside a release, by the stanzas of a `.sources` file (deb822) that have it.
fn stanzas(text: &str, release: &str) -> Vec<String> {
    let beside = |stanza: &str| {
        let value = |wanted: &str| {
            stanza.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.trim()
                    .eq_ignore_ascii_case(wanted)
                    .then(|| value.trim().to_owned())
            })
        };
        let has = |key: &str, word: &str| {
            value(key).is_some_and(|value| value.split_whitespace().any(|found| found == word))
        };
        if !has("Types", "deb") || !has("Suites", release) || has("Enabled", "no") {
            return None;
        }
        let uris = value("URIs")?;
        let uri = uris.split_whitespace().next()?;
        let options = match value("Signed-By") {
            Some(key) if key.starts_with('/') => format!("signed-by={key}"),
            // The key itself, over several lines, has no place in one.
            Some(_) => return None,
            None => String::new(),
        };
        Some(sources(&options, uri, release))
    };
    text.split("\n\n").filter_map(beside).flatten().collect()
}

fn sources(options: &str, uri: &str, release: &str) -> Vec<String> {
    let source = |suite: &str| match options {
        "" => format!("deb {uri} {suite} main"),
        options => format!("deb [{options}] {uri} {suite} main"),
    };
    let mut sources = vec![source(&backports(release))];
    if release != OLDEST {
        sources.push(source(OLDEST));
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suites_beside_a_release_come_from_where_it_comes_from() {
        let text = "# deb http://a/ bookworm main\ndeb [ arch=amd64 signed-by=/k ]  http://b/debian  bookworm main contrib\n\
            deb http://b/security bookworm-security main\ndeb-src http://b/debian bookworm main\ndeb http://c/ bookworm main\n";
        assert_eq!(
            one_line(text, "bookworm"),
            [
                "deb [arch=amd64 signed-by=/k] http://b/debian bookworm-backports main",
                "deb [arch=amd64 signed-by=/k] http://b/debian bullseye main",
                "deb http://c/ bookworm-backports main",
                "deb http://c/ bullseye main",
            ]
        );
        let text = "Types: deb\n# a comment\nURIs: http://b/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k\n\n\
            Types: deb\nURIs: http://b/security\nSuites: bookworm-security\nSigned-By: /k\n\n\
            Enabled: no\nTypes: deb\nURIs: http://d/\nSuites: bookworm\n";
        assert_eq!(
            stanzas(text, "bookworm"),
            [
                "deb [signed-by=/k] http://b/debian bookworm-backports main",
                "deb [signed-by=/k] http://b/debian bullseye main",
            ]
        );
        assert_eq!(
            one_line("deb http://a/ bullseye main", "bullseye"),
            ["deb http://a/ bullseye-backports main"]
        );
    }

    #[test]
    fn sources_of_one_architecture_are_asked_for_another() {
        let list = "deb [arch=amd64 signed-by=/k] http://b/ bookworm main\ndeb http://c/ bookworm main\n# deb [arch=amd64]\n\
            deb [arch=amd64] http://d/ bookworm main\n";
        assert_eq!(
            of_any_architecture(list),
            "deb [signed-by=/k] http://b/ bookworm main\ndeb http://c/ bookworm main\n# deb [arch=amd64]\n\
             deb [] http://d/ bookworm main\n"
        );
    }

    #[test]
    fn only_debian_has_backports() {
        let debian = "PRETTY_NAME=\"Debian\"\nID=debian\nVERSION_CODENAME=bookworm\n";
        assert_eq!(code_name(debian).as_deref(), Some("bookworm"));
        assert_eq!(code_name("ID=ubuntu\nVERSION_CODENAME=jammy\n"), None);
        assert_eq!(code_name("ID=\"debian\"\n"), None);
    }
}
