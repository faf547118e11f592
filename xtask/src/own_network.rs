//! This machine's own network, which no test may change: what it is before the tests, and what differs after them.

use std::{collections::BTreeMap, fs, io, path::Path, time::Instant};

use crate::report::Report;

/// Where the kernel shows each interface, and what is compared of it.
const LINKS: &str = "/sys/class/net";
const OF_A_LINK: [&str; 3] = ["address", "flags", "mtu"];
/// Where it shows the settings of each interface ([ip-sysctl](https://docs.kernel.org/networking/ip-sysctl.html)).
const SETTINGS: [&str; 2] = ["/proc/sys/net/ipv4/conf", "/proc/sys/net/ipv6/conf"];
const ROUTES: &str = "/proc/net/route";
/// `IFF_PROMISC` and `IFF_ALLMULTI` of `linux/if.h`: whoever watches an interface sets them.
const OF_WATCHERS: u32 = 0x100 | 0x200;

/// What the kernel shows of it, by the path of each fact.
#[derive(Debug, PartialEq, Eq)]
pub struct OwnNetwork(BTreeMap<String, String>);

impl OwnNetwork {
    /// Reads it: the interfaces' addresses, flags and MTU, their settings, and the IPv4 routes. What others than the tests change by
    /// themselves (IPv6 addresses of a time, the use of routes) is left out.
    ///
    /// # Errors
    /// Where a directory of it cannot be read.
    pub fn read() -> io::Result<Self> {
        let mut facts = BTreeMap::new();
        for link in names(Path::new(LINKS))? {
            for fact in OF_A_LINK {
                let path = format!("{LINKS}/{link}/{fact}");
                let Ok(value) = fs::read_to_string(&path) else {
                    continue;
                };
                let value = value.trim();
                let value = match (fact, number(value)) {
                    ("flags", Some(flags)) => format!("{:#x}", flags & !OF_WATCHERS),
                    _ => value.to_owned(),
                };
                facts.insert(path, value);
            }
        }
        // IPv6 may not be there at all.
        for settings in SETTINGS.iter().map(Path::new).filter(|path| path.exists()) {
            for link in names(settings)? {
                let directory = settings.join(link);
                for name in names(&directory)? {
                    let path = directory.join(name);
                    // Some can be written alone.
                    if let Ok(value) = fs::read_to_string(&path) {
                        facts.insert(path.display().to_string(), value.trim().to_owned());
                    }
                }
            }
        }
        for route in fs::read_to_string(ROUTES)?.lines().skip(1) {
            facts.insert(
                format!("{ROUTES} {}", without_use(route)),
                "there".to_owned(),
            );
        }
        Ok(Self(facts))
    }

    /// Compares it with what it is now, and adds to the report whether nothing differs.
    pub fn check(&self, report: &mut Report) {
        let started = Instant::now();
        let changes = match Self::read() {
            Ok(now) => self.changes(&now),
            Err(error) => vec![format!("it cannot be read: {error}")],
        };
        for change in &changes {
            println!(
                "this machine's own network failed: {change}: a test has changed it, or who uses this machine has"
            );
        }
        let success = changes.is_empty();
        let name = "this machine's own network";
        report.add_check(name, started.elapsed(), success);
    }

    /// What differs then: each fact, what it was and what it is.
    fn changes(&self, then: &Self) -> Vec<String> {
        let new = then.0.keys().filter(|fact| !self.0.contains_key(*fact));
        let facts = self.0.keys().chain(new);
        let change = |fact| {
            let absent = || "absent";
            let was = self.0.get(fact).map_or_else(absent, String::as_str);
            let is = then.0.get(fact).map_or_else(absent, String::as_str);
            (was != is).then(|| format!("{fact} was {was}, and is {is}"))
        };
        facts.filter_map(change).collect()
    }
}

/// The names in a directory.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(directory)?;
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries.map(|entry| entry.map(name)).collect()
}

/// A number as the kernel shows flags: `0x1003`.
fn number(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// A line of the routes without how often one was used: its columns `RefCnt` and `Use`.
fn without_use(route: &str) -> String {
    let columns = route.split_whitespace().enumerate();
    let kept = columns.filter(|(number, _)| !matches!(number, 4 | 5));
    let kept: Vec<&str> = kept.map(|(_, column)| column).collect();
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network<const N: usize>(facts: [(&str, &str); N]) -> OwnNetwork {
        let facts = facts.map(|(fact, value)| (fact.to_owned(), value.to_owned()));
        OwnNetwork(facts.into())
    }

    #[test]
    fn what_differs_is_named_with_what_it_was() {
        let before = network([("flags", "0x1003"), ("route a", "there"), ("mtu", "1500")]);
        let after = network([("flags", "0x1083"), ("route b", "there"), ("mtu", "1500")]);
        assert_eq!(before.changes(&before), Vec::<String>::new());
        assert_eq!(
            before.changes(&after),
            [
                "flags was 0x1003, and is 0x1083",
                "route a was there, and is absent",
                "route b was absent, and is there",
            ]
        );
    }

    #[test]
    fn this_machine_is_read() {
        let OwnNetwork(facts) = OwnNetwork::read().expect("the kernel shows it");
        for fact in [
            "/sys/class/net/lo/flags",
            "/proc/sys/net/ipv4/conf/lo/forwarding",
        ] {
            assert!(facts.contains_key(fact), "{fact}: {facts:?}");
        }
    }

    #[test]
    fn the_use_of_a_route_is_no_change() {
        let route = "eth0\t00000000\t010200C0\t0003\t0\t7\t0\t00000000\t0\t0\t0";
        assert_eq!(
            without_use(route),
            "eth0 00000000 010200C0 0003 0 00000000 0 0 0"
        );
    }
}
