//! What is said where nothing is as somebody asked for it.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal as _},
};

use crate::text::{
    escape::visible,
    streams,
    words::{counted, listed, those_there},
};

/// An option of those by which things are chosen, as it was given.
#[derive(Debug)]
pub struct Chosen {
    /// The option.
    pub option: &'static str,
    /// Its value.
    pub value: String,
    /// Something is so.
    pub is_any: bool,
    /// What there is instead; empty where that would say nothing.
    pub there: BTreeSet<String>,
}

/// Why none of so many things is shown: none is as one option says, or none is as all of them say. Nothing, where there is none to choose
/// from, or no option was given.
pub fn sentence(number: usize, thing: &str, chosen: &[Chosen]) -> Option<String> {
    if number == 0 || chosen.is_empty() {
        return None;
    }
    let of = format!("none of {}", counted(number as u64, thing));
    let written = |one: &Chosen| format!("`--{} {}`", one.option, visible(&one.value));
    let missed: Vec<&Chosen> = chosen.iter().filter(|one| !one.is_any).collect();
    if missed.is_empty() {
        let all: Vec<String> = chosen.iter().map(written).collect();
        return Some(format!("{of} is as {} say together", listed(&all, "and")));
    }
    let each = missed.into_iter().map(|one| {
        let there: Vec<_> = one.there.iter().map(|value| visible(value)).collect();
        let there = match &there[..] {
            [] => String::new(),
            there => format!("; those that there are: {}", those_there(there)),
        };
        format!("{of} is as {} says{there}", written(one))
    });
    Some(each.collect::<Vec<_>>().join("; "))
}

/// What people are shown instead of findings.
pub fn none(why: Option<&str>) -> String {
    let line = why.unwrap_or("no finding");
    format!("{}\n", streams::fitted(line, io::stdout()))
}

/// Says it to a person where what is printed is for a program: that stays as it is, and empty.
pub fn note(sentence: Option<&str>) {
    if let Some(sentence) = sentence
        && io::stderr().is_terminal()
    {
        streams::note(sentence);
    }
}

/// Takes the value of an option as it was given, where it can be read.
pub fn readable<T>(
    read: impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync + 'static {
    move |text| read(text).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(option: &'static str, value: &str, is_any: bool, there: &[&str]) -> Chosen {
        Chosen {
            option,
            value: value.to_owned(),
            is_any,
            there: there.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn what_is_nobodys_is_named_with_what_there_is() {
        let process = || chosen("process", "no\u{1b}ne", false, &["a\nb", "sshd"]);
        let risk = |is_any| chosen("risk", "stuck", is_any, &[]);
        let said = |number, all: &[Chosen]| sentence(number, "socket", all);
        assert_eq!(
            said(12, &[process(), risk(true)]).as_deref(),
            Some(
                "none of 12 sockets is as `--process no\\x1bne` says; those that there are: a\\nb, sshd"
            )
        );
        assert_eq!(
            said(1, &[process(), risk(false)]).as_deref(),
            Some(
                "none of 1 socket is as `--process no\\x1bne` says; those that there are: a\\nb, sshd; none of 1 socket is as `--risk stuck` says"
            )
        );
        assert_eq!(
            said(12, &[risk(true), chosen("state", "listen", true, &[])]).as_deref(),
            Some("none of 12 sockets is as `--risk stuck` and `--state listen` say together")
        );
        assert_eq!(said(0, &[process()]), None);
        assert_eq!(said(12, &[]), None);
    }
}
