//! The metrics of an auditor, as a reader has them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The values by name and labels.
pub type Values = BTreeMap<String, f64>;

/// Those in a text.
pub fn values(text: &str) -> Values {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

/// Those of the auditor at this socket, once they are what they should be: the state of a second ago may be given.
pub fn scrape_until(socket: &Path, mut are: impl FnMut(&Values) -> bool) -> Values {
    loop {
        let mut pinif = Command::new(env!("CARGO_BIN_EXE_pinif"));
        let output = pinif.arg("metrics").arg("--socket").arg(socket).output();
        let output = output.expect("pinif runs");
        assert!(output.status.success(), "{output:?}");
        let values = values(&String::from_utf8_lossy(&output.stdout));
        if are(&values) {
            return values;
        }
    }
}

/// That no counter has gone down or away.
#[track_caller]
pub fn goes_on(earlier: &Values, later: &Values) {
    for (name, value) in earlier.iter().filter(|(name, _)| name.contains("_total")) {
        let now = later.get(name);
        assert!(now >= Some(value), "{name}: {value}, then {now:?}");
    }
}
