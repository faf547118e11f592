//! How a shell that stands where pinif runs works in another network namespace: the one place that writes a command for one.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, sync::Arc};

use super::census::{Census, namespace_of};
use crate::{
    host::netns::{NetNs, names::NAMED},
    text::shell::word,
};

/// What leads a shell to a network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Enter {
    /// Nothing is needed: pinif itself is in it.
    #[default]
    Own,
    /// Its name in /run/netns (ip-netns(8)).
    Named(Arc<str>),
    /// A file elsewhere, on which it is mounted.
    Mounted(Arc<str>),
    /// A process that is in it, by its number.
    Process(u32),
    /// There is neither a file nor a process.
    Nothing,
}

impl Enter {
    /// What leads to a namespace now: its name first, which holds wherever a shell stands, and a process last, which may end.
    pub fn of(netns: &NetNs) -> Self {
        let by_name = Self::Named(netns.name.as_str().into());
        if by_name.leads_to(netns.inode) {
            return by_name;
        }
        if namespace_of(std::process::id()) == Some(netns.inode) {
            return Self::Own;
        }
        // Without a census there are no lines: they would be for another namespace than they say.
        Census::take(&[]).map_or(Self::Nothing, |census| {
            Self::in_census(netns.inode, &census)
        })
    }

    fn in_census(inode: u64, census: &Census) -> Self {
        let (mounts, process) = census.leads_to(inode);
        let mut files: Vec<&str> = mounts.iter().filter_map(|mount| mount.to_str()).collect();
        files.sort_unstable();
        let named = files.iter().find_map(|file| {
            let name = Path::new(file).strip_prefix(NAMED).ok()?.to_str()?;
            is_word(name).then(|| Self::Named(name.into()))
        });
        let mounted = || files.first().map(|&file| Self::Mounted(file.into()));
        let process = || process.map(Self::Process);
        let leads = named.or_else(mounted).or_else(process);
        leads.unwrap_or(Self::Nothing)
    }

    /// Whether it leads to the namespace with this inode now.
    pub fn leads_to(&self, inode: u64) -> bool {
        let is_at = |path: &Path| fs::metadata(path).is_ok_and(|file| file.ino() == inode);
        match self {
            Self::Own => namespace_of(std::process::id()) == Some(inode),
            Self::Named(name) => is_word(name) && is_at(&Path::new(NAMED).join(&**name)),
            Self::Mounted(path) => is_at(Path::new(&**path)),
            Self::Process(process) => namespace_of(*process) == Some(inode),
            Self::Nothing => false,
        }
    }

    /// A line of a shell that does in the namespace what this one does where it stands; none where nothing leads there.
    ///
    /// `ip` and pinif's commands have options for it. All others are run there, by ip-netns(8) or nsenter(1).
    pub fn line(&self, command: &str) -> Option<String> {
        let (program, rest) = command.split_once(' ').unwrap_or((command, ""));
        if program == "pinif" {
            let (task, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let line = format!("pinif {task}{} {rest}", self.option()?);
            return Some(line.trim_end().to_owned());
        }
        Some(match self {
            Self::Own => command.to_owned(),
            Self::Named(name) if program == "ip" => format!("ip -n {} {rest}", word(name)),
            Self::Named(name) => format!("ip netns exec {} {command}", word(name)),
            Self::Mounted(path) => format!("nsenter --net={} {command}", word(path)),
            Self::Process(process) => format!("nsenter -t {process} -n {command}"),
            Self::Nothing => return None,
        })
    }

    /// The option that names the namespace to pinif's commands, with a space before it; none where nothing leads there.
    fn option(&self) -> Option<String> {
        Some(match self {
            Self::Own => String::new(),
            Self::Named(name) | Self::Mounted(name) => format!(" --netns {}", word(name)),
            Self::Process(process) => format!(" --netns {process}"),
            Self::Nothing => return None,
        })
    }

    /// The process by which alone it is known: what a reader has to look for where lines are of no use any more.
    pub fn process(&self) -> Option<u32> {
        match self {
            Self::Process(process) => Some(*process),
            Self::Own | Self::Named(_) | Self::Mounted(_) | Self::Nothing => None,
        }
    }
}

/// Whether commands take a name for one: what begins so would be an option.
fn is_word(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_for_the_namespace() {
        let route = "ip -6 route replace fd00::2 dev fab0";
        let nft = "nft 'add table inet pinif_fix'";
        let run = "pinif run --interface fab0 -- COMMAND";
        let named = Enter::Named("card".into());
        let mounted = Enter::Mounted("/run/docker/netns/a b".into());
        let of = |enter: &Enter| [route, nft, run, "pinif sockets"].map(|line| enter.line(line));
        assert_eq!(
            of(&Enter::Own),
            [route, nft, run, "pinif sockets"].map(|line| Some(line.to_owned()))
        );
        assert_eq!(
            of(&named).map(Option::unwrap_or_default),
            [
                "ip -n card -6 route replace fd00::2 dev fab0",
                "ip netns exec card nft 'add table inet pinif_fix'",
                "pinif run --netns card --interface fab0 -- COMMAND",
                "pinif sockets --netns card",
            ]
        );
        assert_eq!(
            of(&mounted).map(Option::unwrap_or_default),
            [
                "nsenter --net='/run/docker/netns/a b' ip -6 route replace fd00::2 dev fab0",
                "nsenter --net='/run/docker/netns/a b' nft 'add table inet pinif_fix'",
                "pinif run --netns '/run/docker/netns/a b' --interface fab0 -- COMMAND",
                "pinif sockets --netns '/run/docker/netns/a b'",
            ]
        );
        assert_eq!(
            of(&Enter::Process(7)).map(Option::unwrap_or_default),
            [
                "nsenter -t 7 -n ip -6 route replace fd00::2 dev fab0",
                "nsenter -t 7 -n nft 'add table inet pinif_fix'",
                "pinif run --netns 7 --interface fab0 -- COMMAND",
                "pinif sockets --netns 7",
            ]
        );
        assert_eq!(of(&Enter::Nothing), [None, None, None, None]);
    }

    #[test]
    fn this_process_stands_in_its_own() {
        let own = NetNs::current().expect("current");
        let enter = Enter::of(&own);
        assert!(enter.leads_to(own.inode), "{enter:?}");
        let process = Enter::Process(std::process::id());
        assert!(process.leads_to(own.inode) && !process.leads_to(1));
        assert!(!Enter::Named("-h".into()).leads_to(own.inode));
        assert!(!Enter::Named("pinif-no-such-namespace".into()).leads_to(own.inode));
    }
}
