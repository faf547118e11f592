//! Why a command could not be done, for a person to read.

use std::io::{self, Write as _};

use crate::{
    policy::PolicyErrors,
    surfaces::{Level, notes::Notes, stderr},
    text::{escape::visible, streams},
};

/// Says on standard error why a command could not be done: the whole chain, once, as a sentence, with whatever a file or
/// a name brought into it made safe; of a policy, all that is wrong with it.
pub fn complain(error: &anyhow::Error) {
    // Where it cannot be written, the exit status still says that it failed.
    let _ = match error.downcast_ref::<PolicyErrors>() {
        _ if stderr::is_the_journal() => {
            to_journal(error);
            Ok(())
        }
        Some(errors) if errors.have_places() => {
            writeln!(anstream::stderr(), "{}", errors.styled())
        }
        _ => {
            let line = format!("pinif: {}", sentence(error));
            writeln!(io::stderr(), "{}", streams::fitted(&line, io::stderr()))
        }
    };
}

fn to_journal(error: &anyhow::Error) {
    let mut notes = Notes::standard();
    match error.downcast_ref::<PolicyErrors>() {
        Some(errors) => errors
            .lines()
            .iter()
            .for_each(|line| notes.note(Level::Error, line)),
        None => notes.note(Level::Error, &sentence(error)),
    }
}

/// Why a command could not be done, in a sentence that is safe to show.
pub fn sentence(error: &anyhow::Error) -> String {
    let sentence = match error.downcast_ref::<PolicyErrors>() {
        Some(errors) => errors.brief(),
        None => format!("{error:#}"),
    };
    visible(&sentence).into_owned()
}
