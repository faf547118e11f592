//! An `[[accept]]` without errors.

use std::path::PathBuf;

use ipnet::IpNet;
use pinif_ebpf::verdict::Kind;

use super::until::Until;
use crate::policy::interface_pattern::InterfacePattern;

/// The findings that are accepted: those that match every list which is not empty, by one of its values.
#[derive(Clone, Debug)]
pub struct Accept {
    /// Their kinds.
    pub kinds: Vec<Kind>,
    /// The rules that they break, by name.
    pub rules: Vec<String>,
    /// The programs that they are about, by path.
    pub executables: Vec<PathBuf>,
    /// The users whom the programs run as.
    pub users: Vec<u32>,
    /// What they are about that is no program: `receiver icmp 10.0.0.1`.
    pub subjects: Vec<String>,
    /// Where their packets went: every destination is in one of these.
    pub destinations: Vec<IpNet>,
    /// Where they left, or arrived.
    pub interfaces: Vec<InterfacePattern>,
    /// Why they are accepted.
    pub reason: String,
    /// Until when.
    pub until: Until,
    /// The file and the line that it begins at: `policy.toml:12`.
    pub place: String,
}

impl Accept {
    /// What it names, in words: `address-escape by /usr/sbin/updated via eth*`.
    pub fn described(&self) -> String {
        let list = |values: Vec<String>| match values.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            [first, rest @ ..] => Some(format!("{first} and {} more", rest.len())),
        };
        let texts = |values: &[String]| list(values.to_vec());
        let kinds: Vec<String> = self
            .kinds
            .iter()
            .map(|kind| kind.name().to_owned())
            .collect();
        let executables = self.executables.iter();
        let executables = executables.map(|path| path.display().to_string()).collect();
        let users = self.users.iter().map(u32::to_string).collect();
        let destinations = self.destinations.iter().map(IpNet::to_string).collect();
        let interfaces = self.interfaces.iter();
        let interfaces = interfaces
            .map(|pattern| pattern.text().to_owned())
            .collect();
        let mut words = vec![texts(&kinds).unwrap_or_else(|| "every finding".to_owned())];
        let more = [
            ("of rule", texts(&self.rules)),
            ("by", list(executables)),
            ("of user", list(users)),
            ("of", texts(&self.subjects)),
            ("to", list(destinations)),
            ("via", list(interfaces)),
        ];
        for (word, text) in more {
            words.extend(text.map(|text| format!("{word} {text}")));
        }
        words.join(" ")
    }
}
