//! The table of all paths, as docs/developers/performance.md has it.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSection as _, read::elf::ElfFile64};
use pinif_userspace::kernel::Object;

use super::path::{Limit, Path};

/// The command that writes it.
pub const COMMAND: &str = "cargo xtask bench --only instructions";

/// The page with the table of these paths.
///
/// # Errors
///
/// Where the page lacks a place for it.
pub fn written(page: &str, paths: &[Path]) -> Result<String> {
    let made_by = compiler().unwrap_or_else(|| "an unknown compiler".to_owned());
    let tables = tables(paths);
    replaced(page, COMMAND, &format!("\nMade by {made_by}.\n{tables}\n"))
}

/// The compiler and the linker that made the programs, by the object's section for that; `None` where it has none.
pub fn compiler() -> Option<String> {
    let file = ElfFile64::<object::Endianness>::parse(Object::Audit.bytes()).ok()?;
    let comment = file.section_by_name(".comment")?.data().ok()?;
    String::from_utf8(comment.to_vec()).ok()
}

/// The text with this between the lines that name a command.
///
/// # Errors
///
/// Where it lacks these lines.
pub fn replaced(text: &str, command: &str, content: &str) -> Result<String> {
    let [begin, end] =
        ["begin", "end"].map(|word| format!("<!-- {word}: written by {command} -->\n"));
    let places = text
        .split_once(&begin)
        .and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) =
        places.with_context(|| format!("the page lacks the lines of {command}"))?;
    Ok(format!("{before}{begin}{content}{end}{after}"))
}

/// A line for each path, and one for each whole life.
pub fn tables(paths: &[Path]) -> String {
    let (lives, steps): (Vec<_>, Vec<_>) = paths.iter().partition(|path| path.is_life);
    [steps, lives].map(|paths| table(&paths)).concat()
}

fn table(paths: &[&Path]) -> String {
    let mut table = "\n| with | what happens | instructions | helper calls |\n".to_owned();
    table += "| --- | --- | ---: | --- |\n";
    for Path {
        name,
        with,
        count,
        limit,
        ..
    } in paths
    {
        let at_most = |of: fn(&Limit) -> u64| {
            let limit = limit.as_ref().map(of);
            limit.map_or_else(String::new, |most| format!(" (at most {most})"))
        };
        let (most, most_calls) = (
            at_most(|limit| limit.instructions),
            at_most(|limit| limit.calls),
        );
        let calls = count.helper_calls();
        let helpers: Vec<String> = count
            .helpers
            .iter()
            .map(|(name, calls)| match calls {
                1 => format!("`{name}`"),
                _ => format!("`{name}` {calls}"),
            })
            .collect();
        let helpers = helpers.join(", ");
        let instructions = count.instructions;
        let _infallible = writeln!(
            table,
            "| {with} | {name} | {instructions}{most} | {calls}{most_calls}: {helpers} |"
        );
    }
    table
}
