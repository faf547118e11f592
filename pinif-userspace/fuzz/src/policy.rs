//! Policies that are good, tricky or broken (`corpus/policy`), cut up, put together and damaged: each is read, and what is wrong with
//! it is shown, within a second.

mod damage;
mod words;

use std::time::Duration;

pub use damage::damage;
use pinif_userspace::policy::{Policy, compile::compile, evaluate::InForce};
use rustix::time::{ClockId, clock_gettime};

/// No policy is longer.
pub const MOST_BYTES: usize = 1 << 20;
/// Nothing may take longer, in the processor's time.
const LIMIT: Duration = Duration::from_secs(1);
/// So long is a message's line at most, in bytes.
const LONGEST_LINE: usize = 4_000;

/// Reads a policy as pinif does, shows what is wrong with it, and puts it into force where nothing is.
///
/// # Panics
///
/// Where pinif does, where a library that pinif calls does, where a message lacks what each must have, or could do something to a
/// terminal, and where it takes more than a second.
pub fn try_out(text: &str) {
    let before = processor_time();
    read(text);
    let took = processor_time().saturating_sub(before);
    assert!(took < LIMIT, "it takes {took:?}");
}

fn read(text: &str) {
    match Policy::parse(text, "policy.toml") {
        Ok(policy) => {
            for warning in &policy.warnings {
                let _ = (warning.to_string(), warning.brief());
            }
            policy.zones_of("fab0");
            let _ = (compile(&policy, 0, 1), InForce::new(&policy));
        }
        Err(errors) => {
            let _ = (errors.to_string(), errors.styled());
            assert!(!errors.problems().is_empty() && errors.problems().len() <= 100);
            for problem in errors.problems() {
                // One without a place is a panic that was caught.
                let has_place = problem.line().is_some() && problem.column().is_some();
                assert!(has_place && problem.fix().is_some(), "{problem}");
            }
            for line in errors.lines() {
                let is_harmless = !line.contains(['\n', '\u{1b}', '\u{202e}']);
                assert!(is_harmless && line.len() < LONGEST_LINE, "{line:?}");
            }
        }
    }
}

/// What this thread has had of a processor: others that run beside it do not count.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("it does not run backwards")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use fastrand::Rng;

    use super::*;

    /// How many are tried; `cargo xtask fuzz policy` tries more.
    const DAMAGED: u64 = 300;
    const MOST_DAMAGES: usize = 12;

    /// The texts to begin with, and those that an hour of libFuzzer has found to run other parts of the reader.
    fn corpus() -> Vec<String> {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = fs::read_dir(package.join("corpus/policy")).expect("the corpus");
        let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        paths.push(package.join("../../docs/policy.example.toml"));
        paths.sort();
        let found = fs::read(package.join("corpus/found.json")).expect("the corpus");
        let found: Vec<String> = serde_json::from_slice(&found).expect("texts");
        let texts = paths.iter().map(fs::read);
        texts
            .map(|text| String::from_utf8_lossy(&text.expect("a file")).into_owned())
            .chain(found)
            .collect()
    }

    #[test]
    fn no_text_of_the_corpus_makes_it_panic() {
        let corpus = corpus();
        assert!(corpus.len() > 100);
        corpus.iter().for_each(|text| try_out(text));
    }

    #[test]
    fn no_damage_makes_it_panic() {
        let corpus = corpus();
        for seed in 0..DAMAGED {
            let mut random = Rng::with_seed(seed);
            let mut text = corpus[random.usize(..corpus.len())].clone();
            for _ in 0..random.usize(..MOST_DAMAGES) {
                let other = &corpus[random.usize(..corpus.len())];
                damage(&mut text, other, MOST_BYTES, &mut random);
            }
            try_out(&text);
        }
    }
}
