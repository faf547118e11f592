//! A filter of findings, as it is written: `leak device-escape telemetryd netns:card`.

use std::time::SystemTime;

use pinif_ebpf::verdict::{Kind, Severity};

use crate::control::FindingsFilter;

/// What a filter asks the auditor for: severities and kinds by their names, a namespace after `netns:`, and a process.
///
/// # Errors
///
/// Which word is wrong, and why: a sentence without its end.
pub fn read(text: &str) -> Result<FindingsFilter, String> {
    let (mut severities, mut kinds) = (Vec::new(), Vec::new());
    let mut filter = FindingsFilter::default();
    for word in text.split_whitespace() {
        if let Some(severity) = SEVERITIES.iter().find(|severity| severity.name() == word) {
            severities.push(severity.name());
        } else if let Some(kind) = Kind::ALL.iter().find(|kind| kind.name() == word) {
            kinds.push(kind.name());
        } else if let Some(netns) = word.strip_prefix("netns:") {
            filter.netns = Some(netns.to_owned());
        } else if filter.process.is_some() {
            return Err(format!("{word}: a filter has one process at most"));
        } else {
            filter.process = Some(process(word));
        }
    }
    let list = |names: Vec<&str>| (!names.is_empty()).then(|| names.join(","));
    (filter.severity, filter.kind) = (list(severities), list(kinds));
    // No time is in it.
    filter.query(SystemTime::UNIX_EPOCH).map(|_| filter)
}

/// The severities, in the order in which their findings are listed.
pub const SEVERITIES: [Severity; 3] = [Severity::Leak, Severity::Risk, Severity::Note];

/// The process that a word means: its number, a pattern as it stands, or a part of its name.
fn process(word: &str) -> String {
    let word = word.strip_prefix("process:").unwrap_or(word);
    let is_whole = word.bytes().all(|byte| byte.is_ascii_digit())
        || word.contains(['*', '?', '[', '{', '\\', '/']);
    match is_whole {
        true => word.to_owned(),
        false => format!("*{word}*"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_which_findings() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read(" "), Ok(FindingsFilter::default()));
        assert_eq!(
            read("leak risk device-escape netns:ca* telemetryd"),
            Ok(FindingsFilter {
                severity: some("leak,risk"),
                kind: some("device-escape"),
                netns: some("ca*"),
                process: some("*telemetryd*"),
                ..FindingsFilter::default()
            })
        );
        let process = |text| read(text).map(|filter| filter.process);
        assert_eq!(process("4242"), Ok(some("4242")));
        assert_eq!(process("/usr/sbin/*"), Ok(some("/usr/sbin/*")));
        assert_eq!(process("process:leak"), Ok(some("*leak*")));
        assert_eq!(
            process("a b"),
            Err("b: a filter has one process at most".to_owned())
        );
        assert!(process("a[").is_err());
    }
}
