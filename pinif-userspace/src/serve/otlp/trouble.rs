//! What is said of a collector that refuses: once, until it takes what it is sent again.

use super::{
    reply::{Reason, Signal},
    standing::Exports,
};
use crate::{
    surfaces::Level,
    text::{escape::visible, words::counted},
};

/// Says a line.
type Say<'a> = dyn Fn(Level, &str) + Send + 'a;

/// What is said of one signal, and counted.
pub struct Trouble<'a> {
    signal: Signal,
    exports: &'a Exports,
    say: Box<Say<'a>>,
    /// Why nothing is taken now.
    failure: Option<String>,
    /// Why something was refused last, or what it warned of.
    refusal: Option<String>,
}

impl<'a> Trouble<'a> {
    /// None yet.
    pub fn new(
        signal: Signal,
        exports: &'a Exports,
        say: impl Fn(Level, &str) + Send + 'a,
    ) -> Self {
        Self {
            signal,
            exports,
            say: Box::new(say),
            failure: None,
            refusal: None,
        }
    }

    /// An attempt has failed, and is made again. What the collector says of it may be another text each time, so it is not compared.
    pub fn failed(&mut self, reason: &Reason) {
        self.exports.failed();
        if self.failure.as_ref() != Some(&reason.why) {
            let why = reason.to_string();
            let text = format!("{}; tried again until they are taken", visible(&why));
            (self.say)(Level::Warning, &text);
            self.failure = Some(reason.why.clone());
        }
    }

    /// All was taken, but for so many parts.
    pub fn taken(&mut self, rejected: u64, message: &str) {
        self.exports.acknowledged();
        if self.failure.take().is_some() {
            (self.say)(Level::Info, "they are taken again");
        }
        if rejected > 0 {
            self.refused(rejected, message);
        } else if message.is_empty() {
            self.refusal = None;
        } else if self.refusal.as_deref() != Some(message) {
            (self.say)(Level::Warning, &format!("it warns: {}", visible(message)));
            self.refusal = Some(message.to_owned());
        }
    }

    /// All of so many parts was refused.
    pub fn rejected(&mut self, parts: u64, reason: &Reason) {
        self.failure = None;
        self.refused(parts, &reason.to_string());
    }

    fn refused(&mut self, parts: u64, why: &str) {
        self.exports.rejected(self.signal, parts);
        if self.refusal.as_deref() != Some(why) {
            let parts = match self.signal {
                Signal::Logs => counted(parts, "record"),
                Signal::Metrics => counted(parts, "value"),
            };
            let text = format!(
                "{parts} refused, which are not sent again: {}",
                visible(why)
            );
            (self.say)(Level::Error, &text);
            self.refusal = Some(why.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn reason(message: &str) -> Reason {
        Reason {
            why: "it answers 400 Bad Request".to_owned(),
            message: message.to_owned(),
        }
    }

    /// What is said of these.
    fn said(meet: impl FnOnce(&mut Trouble<'_>)) -> (Vec<String>, u64) {
        let exports = Exports::default();
        let (sender, said) = mpsc::channel();
        let say = move |level: Level, text: &str| {
            sender
                .send(format!("{level:?}: {text}"))
                .expect("it is read");
        };
        meet(&mut Trouble::new(Signal::Logs, &exports, say));
        (
            said.into_iter().collect(),
            exports.standing().rejected_records,
        )
    }

    #[test]
    fn a_refusal_is_said_again_once_something_was_taken() {
        let refused = "Error: 2 records refused, which are not sent again: it answers 400 Bad Request: too\\nold";
        let all = said(|trouble| {
            trouble.rejected(2, &reason("too\nold"));
            trouble.rejected(3, &reason("too\nold"));
            trouble.taken(0, "");
            trouble.rejected(2, &reason("too\nold"));
            // A part alone is no end of it.
            trouble.taken(1, "it answers 400 Bad Request: too\nold");
        });
        assert_eq!(all, (vec![refused.to_owned(); 2], 8));
    }

    #[test]
    fn a_failure_is_said_once_whatever_else_the_collector_says_of_it() {
        let all = said(|trouble| {
            trouble.failed(&reason("request 1"));
            trouble.failed(&reason("request 2"));
            trouble.taken(0, "soon full");
            trouble.taken(0, "soon full");
            trouble.failed(&reason(""));
        });
        let expected = [
            "Warning: it answers 400 Bad Request: request 1; tried again until they are taken",
            "Info: they are taken again",
            "Warning: it warns: soon full",
            "Warning: it answers 400 Bad Request; tried again until they are taken",
        ];
        assert_eq!(all, (expected.map(str::to_owned).into(), 0));
    }
}
