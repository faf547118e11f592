//! Where standard error goes.

use std::io;

/// Whether standard error goes to the journal: `JOURNAL_STREAM` names its device and inode (systemd.exec(5)). The
/// variable alone says nothing, for it is inherited by programs whose output goes elsewhere.
pub fn is_the_journal() -> bool {
    let stream = std::env::var("JOURNAL_STREAM");
    let status = nix::sys::stat::fstat(io::stderr());
    stream
        .is_ok_and(|stream| status.is_ok_and(|status| names(&stream, status.st_dev, status.st_ino)))
}

fn names(stream: &str, device: u64, inode: u64) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    stream
        .split_once(':')
        .is_some_and(|(d, i)| number(d) == Some(device) && number(i) == Some(inode))
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn only_the_very_stream_is_the_journal() {
        assert!(names("8:1234", 8, 1234));
        for stream in ["8:1235", "9:1234", "8", "", ":", "8:1234:1", "8:-1", "a:b"] {
            assert!(!names(stream, 8, 1234), "{stream}");
        }
    }
}
