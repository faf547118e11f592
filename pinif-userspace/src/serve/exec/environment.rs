//! What a call is given: the fields of the finding's entry in the journal, as variables of the environment.

use super::queue::Waiting;
use crate::{
    history::Machine,
    surfaces::journal::{self, Transition, values},
    text::escape::visible,
};

/// The kernel takes variables of 128 KiB (`MAX_ARG_STRLEN`); nobody wants so much of a text.
const LONGEST: usize = 4096;

/// The variables, in their order. No value has a character that ends a line or does something to a terminal, and none has a NUL.
pub fn variables(waiting: &Waiting, machine: &Machine) -> Vec<(String, String)> {
    let Some(transition) = waiting.transition() else {
        return Vec::new();
    };
    let finding = &waiting.finding;
    let names: Vec<_> = waiting
        .transitions
        .iter()
        .copied()
        .map(Transition::name)
        .collect();
    let fields = values(finding, transition).into_iter();
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    let more = [
        ("PINIF_TRANSITIONS", names.join(" ")),
        ("PINIF_EXPLANATION", finding.explanation.clone()),
    ];
    let more = more.map(|(name, value)| (name.to_owned(), value));
    let machine = journal::machine(machine.host.as_deref(), &machine.labels);
    fields
        .chain(more)
        .chain(machine)
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name, short(&visible(&value)).to_owned()))
        .collect()
}

/// So much of it as is passed on.
fn short(text: &str) -> &str {
    let end = text.len().min(LONGEST);
    let is_boundary = |end: &usize| text.is_char_boundary(*end);
    &text[..(0..=end).rev().find(is_boundary).unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{example, line::FindingLine};

    #[test]
    fn a_call_is_given_what_the_journal_has_and_nothing_that_ends_a_line() {
        let waiting = Waiting {
            finding: FindingLine {
                netns: "a\nPINIF_KIND=forged\0\u{202e}\x1b[2J".to_owned(),
                rule: None,
                cause: "é".repeat(9000),
                explanation: "$(reboot) `reboot`; \"".to_owned(),
                ..FindingLine::from(&example::finding(7))
            },
            transitions: vec![Transition::Opened, Transition::Quiet],
            number: 2,
        };
        let labels = [("chassis-1", "west\n1"), ("slot", "7")];
        let machine = Machine {
            host: None,
            labels: labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            version: String::new(),
        };
        let variables = variables(&waiting, &machine);
        let value = |name: &str| {
            let mut all = variables.iter().filter(|(named, _)| named == name);
            let value = all.next().map(|(_, value)| &**value);
            assert_eq!(all.next(), None, "{name} comes once");
            value
        };
        assert_eq!(value("PINIF_KIND"), Some(waiting.finding.kind.name()));
        assert_eq!(value("PINIF_ID"), Some(&*waiting.finding.id));
        assert_eq!(value("PINIF_TRANSITION"), Some("quiet"));
        assert_eq!(value("PINIF_TRANSITIONS"), Some("opened quiet"));
        assert_eq!(
            value("PINIF_NETNS"),
            Some(r"a\nPINIF_KIND=forged\x00\u{202e}\x1b[2J")
        );
        assert_eq!(value("PINIF_EXPLANATION"), Some("$(reboot) `reboot`; \""));
        assert_eq!(value("PINIF_CAUSE").map(str::len), Some(4096));
        assert_eq!(value("PINIF_LABEL_CHASSIS_1"), Some(r"west\n1"));
        assert_eq!(value("PINIF_LABEL_SLOT"), Some("7"));
        assert_eq!((value("PINIF_RULE"), value("PINIF_HOST")), (None, None));
        for (name, value) in &variables {
            assert!(
                !value.contains(|letter: char| letter.is_control()),
                "{name}"
            );
            assert!(
                name.bytes()
                    .all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
            );
        }
    }
}
