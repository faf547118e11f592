//! All objects of a kind, listed by a dump that changes may interrupt.

use std::{io, ops::ControlFlow};

use netlink_packet_core::Emitable;

use super::netlink::Requester;

/// How often a dump is begun anew because the objects changed under it.
const ATTEMPTS: usize = 10;

/// What a dump has.
pub(crate) enum Listed<T> {
    /// All.
    Whole(Vec<T>),
    /// The objects change faster than they can be listed: some may be lacking, or there twice.
    Torn(Vec<T>),
}

impl<T> Listed<T> {
    /// What there is, where a watch reports what was missed.
    pub fn what_there_is(self) -> Vec<T> {
        match self {
            Self::Whole(all) | Self::Torn(all) => all,
        }
    }
}

/// All objects of a kind in the calling thread's namespace, as `decode(type, payload)` has them. A dump that was interrupted is begun
/// anew.
///
/// # Errors
/// What the kernel says.
pub(crate) fn list<T>(
    family: isize,
    kind: u16,
    body: &impl Emitable,
    mut decode: impl FnMut(u16, &[u8]) -> Option<T>,
) -> io::Result<Listed<T>> {
    let mut attempt = 0;
    loop {
        let mut all = Vec::new();
        let result = Requester::open(family)?.dump(kind, body, |kind, payload| {
            all.extend(decode(kind, payload));
            ControlFlow::Continue(())
        });
        attempt += 1;
        match result {
            Ok(()) => return Ok(Listed::Whole(all)),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Err(_) if attempt < ATTEMPTS => {}
            Err(_) => return Ok(Listed::Torn(all)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkHeader, LinkInfo, LinkMessage};
    use netlink_sys::protocols::NETLINK_ROUTE;
    use nix::sched::{CloneFlags, unshare};

    use super::*;

    /// Pairs of links: more than the kernel lists at once.
    const PAIRS: usize = 60;

    fn make_pair(number: usize) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.attributes = vec![
            LinkAttribute::IfName(format!("pair{number}")),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth)]),
        ];
        Requester::open(NETLINK_ROUTE)?.create(libc::RTM_NEWLINK, 0, &link)
    }

    /// Lists the links of a namespace of its own, where `change` makes more once a dump has begun, and says how many there are and how
    /// many were read.
    fn list_while(
        mut change: impl FnMut(usize) -> io::Result<()> + Send,
    ) -> io::Result<(Listed<u32>, usize)> {
        let list = || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            for number in 0..PAIRS {
                make_pair(number)?;
            }
            let mut read = 0;
            let listed = list(
                NETLINK_ROUTE,
                libc::RTM_GETLINK,
                &LinkMessage::default(),
                |_, payload| {
                    read += 1;
                    let index = LinkHeader::parse(payload).ok()?.index;
                    // `lo`, which comes first.
                    if index == 1 {
                        change(read).expect("a pair");
                    }
                    Some(index)
                },
            )?;
            Ok((listed, read))
        };
        thread::scope(|scope| scope.spawn(list).join().expect("no panic"))
    }

    #[test]
    fn a_dump_that_was_interrupted_is_begun_anew() -> io::Result<()> {
        let (listed, read) = list_while(|read| if read == 1 { make_pair(PAIRS) } else { Ok(()) })?;
        // With `lo`.
        assert!(matches!(listed, Listed::Whole(all) if all.len() == 2 * (PAIRS + 1) + 1));
        assert!(read > 2 * (PAIRS + 1) + 1, "{read}");
        Ok(())
    }

    #[test]
    fn what_changes_all_the_time_is_torn() -> io::Result<()> {
        let (listed, _) = list_while(|read| make_pair(PAIRS + read))?;
        assert!(matches!(&listed, Listed::Torn(_)));
        assert!(listed.what_there_is().len() > 2 * PAIRS);
        Ok(())
    }
}
