//! Which machine this is, which boot of it, and which run of pinif: what a reader of many machines' lines distinguishes them by.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};

/// A new random UUID at each reading (random(4)).
const RANDOM: &str = "/proc/sys/kernel/random/uuid";
/// A random UUID of this boot (random(4)).
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// The machine's own (machine-id(5)).
const MACHINE: &str = "/etc/machine-id";

/// What this run is called, and where it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// A random UUID of this run.
    pub run: String,
    /// The boot's UUID.
    pub boot: String,
    /// The machine's id, 32 hexadecimal digits; none where it has none, as in most containers.
    pub host: Option<String>,
    /// What an operator calls it besides, such as its chassis and slot.
    pub labels: BTreeMap<String, String>,
}

impl Identity {
    /// Of a run that begins now, on a machine that is called so besides.
    ///
    /// # Errors
    ///
    /// When the kernel gives no UUIDs.
    pub fn read(labels: BTreeMap<String, String>) -> Result<Self> {
        let of_kernel = |path| {
            let text =
                fs::read_to_string(path).with_context(|| format!("{path} cannot be read"))?;
            Ok::<_, anyhow::Error>(text.trim_end().to_owned())
        };
        Ok(Self {
            run: of_kernel(RANDOM)?,
            boot: of_kernel(BOOT)?,
            host: fs::read_to_string(MACHINE)
                .ok()
                .as_deref()
                .and_then(machine),
            labels,
        })
    }
}

/// A machine's id, as its file has it. What else may stand there (`uninitialized`, nothing) is none.
fn machine(text: &str) -> Option<String> {
    let id = text.trim_end();
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (id.len() == 32 && id.bytes().all(is_digit)).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_has_a_name_of_its_own_and_the_boot_stays() {
        let read = || Identity::read(BTreeMap::new()).expect("UUIDs");
        let (one, other) = (read(), read());
        assert_ne!(one.run, other.run);
        assert_eq!((&one.boot, &one.host), (&other.boot, &other.host));
        for uuid in [&one.run, &one.boot] {
            assert_eq!(uuid.len(), 36, "{uuid}");
        }
    }

    #[test]
    fn only_a_machines_id_is_one() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(machine(&format!("{id}\n")).as_deref(), Some(id));
        for text in [
            "",
            "uninitialized\n",
            &id[1..],
            "0123456789ABCDEF0123456789ABCDEF",
        ] {
            assert_eq!(machine(text), None, "{text}");
        }
    }
}
