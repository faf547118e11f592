//! The names of routing tables, as iproute2 keeps them (ip-route(8), FILES).

use std::{collections::HashMap, fs, path::Path, sync::LazyLock};

/// The table of last resort.
pub(super) const RT_TABLE_DEFAULT: u32 = libc::RT_TABLE_DEFAULT as u32;
/// The table that routes are in unless they say otherwise.
pub(super) const RT_TABLE_MAIN: u32 = libc::RT_TABLE_MAIN as u32;
/// The table of the host's own addresses.
pub(super) const RT_TABLE_LOCAL: u32 = libc::RT_TABLE_LOCAL as u32;

/// Where names are kept; what comes later wins.
const FILES: [&str; 3] = [
    "/usr/lib/iproute2/rt_tables",
    "/usr/share/iproute2/rt_tables",
    "/etc/iproute2/rt_tables",
];

static NAMES: LazyLock<HashMap<u32, String>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for file in FILES {
        let file = Path::new(file);
        read(file, &mut names);
        let Ok(directory) = fs::read_dir(file.with_extension("d")) else {
            continue;
        };
        let mut more: Vec<_> = directory
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .collect();
        more.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
        });
        more.sort_unstable();
        for path in more {
            read(&path, &mut names);
        }
    }
    names
});

/// A table's name, or its number where it has none.
pub(super) fn name(table: u32) -> String {
    match table {
        RT_TABLE_MAIN => "main".to_owned(),
        RT_TABLE_LOCAL => "local".to_owned(),
        RT_TABLE_DEFAULT => "default".to_owned(),
        _ => NAMES
            .get(&table)
            .cloned()
            .unwrap_or_else(|| table.to_string()),
    }
}

fn read(path: &Path, names: &mut HashMap<u32, String>) {
    if let Ok(text) = fs::read_to_string(path) {
        names.extend(text.lines().filter_map(entry));
    }
}

/// A line: a number, decimal or hexadecimal, and a name.
fn entry(line: &str) -> Option<(u32, String)> {
    let mut words = line.split('#').next()?.split_whitespace();
    let number = words.next()?;
    let number = match number.strip_prefix("0x") {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
        None => number.parse().ok()?,
    };
    Some((number, words.next()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_iproute2_does() {
        assert_eq!(entry("254\tmain"), Some((254, "main".to_owned())));
        assert_eq!(entry("0x10 blue # comment"), Some((16, "blue".to_owned())));
        for line in [
            "",
            "# 5 five",
            "#255 local",
            "five 5",
            "5",
            "99999999999 big",
        ] {
            assert_eq!(entry(line), None, "{line}");
        }
    }

    #[test]
    fn the_kernels_tables_have_names_everywhere() {
        assert_eq!([253, 254, 255].map(name), ["default", "main", "local"]);
        assert_eq!(name(4_000_000_000), "4000000000");
    }
}
