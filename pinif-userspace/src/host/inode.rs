//! What the links in `/proc/PID` name by its inode: sockets and namespaces (proc(5)).

/// The inode in `KIND:[INODE]`: `socket:[4711]` (`sockfs_dname`), `net:[4026531840]` (`ns_get_name`).
pub fn in_link(link: &str, kind: &str) -> Option<u64> {
    let inode = link.strip_prefix(kind)?.strip_prefix(":[")?;
    inode.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inode_is_read_as_the_kernel_writes_it() {
        assert_eq!(in_link("net:[4026531840]", "net"), Some(4_026_531_840));
        assert_eq!(in_link("pid:[4026531836]", "pid"), Some(4_026_531_836));
        for other in ["mnt:[4026531840]", "net:[", "net:[x]", "net4:[1]", "/", ""] {
            assert_eq!(in_link(other, "net"), None, "{other}");
        }
        for other in ["net:[4026531836]", "pid:[", "pid:[x]", ""] {
            assert_eq!(in_link(other, "pid"), None, "{other}");
        }
    }
}
