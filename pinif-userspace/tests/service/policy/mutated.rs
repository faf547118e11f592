//! Policies that are good, tricky or broken (`tests/corpus/policy`), cut up, put together and damaged: none makes it panic.
//!
//! Each run tries some; `PROPTEST_CASES=1000000` many. What is found to be wrong goes into the corpus.

use std::{
    fs,
    path::Path,
    sync::LazyLock,
    time::{Duration, Instant},
};

use pinif_userspace::policy::{Policy, compile::compile, evaluate::InForce};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any},
    prop_oneof, proptest,
    sample::{Index, select},
};

/// The texts to begin with.
static CORPUS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/policy");
    let files = fs::read_dir(folder).expect("the corpus");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policy.example.toml"));
    paths.sort();
    let texts = paths.iter().map(fs::read_to_string);
    texts.map(|text| text.expect("UTF-8")).collect()
});

/// Words that mean something to a policy, to TOML, to a glob or to a terminal.
const WORDS: &[&str] = &[
    "[zone.a]\n",
    "[[rule]]\n",
    "[zone.\"\"]\n",
    "[rule.a]\n",
    "[[zone]]\n",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "{a,",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "#",
    "=",
    ".",
    ",",
    "\\",
    "\\u{0}",
    "\\u001b",
    "\u{0}",
    "\u{1b}[2J",
    "\u{feff}",
    "\u{202e}",
    "\u{2028}",
    "\u{85}",
    "é",
    "𝟘",
    "interfaces = ",
    "contained = ",
    "name = ",
    "destination = ",
    "source = ",
    "port = ",
    "source_port = ",
    "protocol = ",
    "user = ",
    "cgroup = ",
    "executable = ",
    "only_via = ",
    "pinned = ",
    "action = ",
    "true",
    "false",
    "\"fab*\"",
    "\"[!a-]\"",
    "\"{a,b}*\"",
    "\"10.0.0.0/8\"",
    "\"::/0\"",
    "\"fe80::1%eth0\"",
    "\"0-65535\"",
    "\"65535-0\"",
    "53",
    "-1",
    "0x7fffffffffffffffffff",
    "1e999",
    "nan",
    "1979-05-27T07:32:00Z",
    "\"tcp\"",
    "\"root\"",
    "\"/\"",
    "\"/a/../b\"",
    "\"a\"",
    "\"drop\"",
];

/// What is done to a text.
#[derive(Clone, Debug)]
enum Damage {
    Cut(Index, Index),
    Insert(Index, &'static str),
    Repeat(Index, Index, usize),
    Move(Index, Index, Index),
    /// A part of another text of the corpus comes in.
    Splice(Index, Index, Index, Index),
    Character(Index, char),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        (at(), at()).prop_map(|(from, to)| Damage::Cut(from, to)),
        (at(), select(WORDS)).prop_map(|(place, word)| Damage::Insert(place, word)),
        (at(), at(), 1..300_usize).prop_map(|(from, to, times)| Damage::Repeat(from, to, times)),
        (at(), at(), at()).prop_map(|(from, to, place)| Damage::Move(from, to, place)),
        (at(), at(), at(), at())
            .prop_map(|(text, from, to, place)| Damage::Splice(text, from, to, place)),
        (at(), any::<char>()).prop_map(|(place, character)| Damage::Character(place, character)),
    ]
}

/// A text of the corpus, or one of words, or nothing.
fn seed() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<Index>().prop_map(|which| which.get(&CORPUS).clone()),
        2 => vec(select(WORDS), 0..60).prop_map(|words| words.concat()),
        1 => Just(String::new()),
    ]
}

/// So much of a line is cut or repeated at most; the whole stays shorter than a policy may be.
const MOST_BYTES: usize = 1 << 20;

fn place(text: &str, index: Index) -> usize {
    let mut at = index.index(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn part(text: &str, one: Index, other: Index) -> (usize, usize) {
    let (one, other) = (place(text, one), place(text, other));
    (one.min(other), one.max(other))
}

fn damaged(mut text: String, damages: Vec<Damage>) -> String {
    for damage in damages {
        match damage {
            Damage::Cut(from, to) => {
                let (from, to) = part(&text, from, to);
                text.replace_range(from..to, "");
            }
            Damage::Insert(at, word) => text.insert_str(place(&text, at), word),
            Damage::Repeat(from, to, times) => {
                let (from, to) = part(&text, from, to);
                let most = (MOST_BYTES - text.len().min(MOST_BYTES)) / (to - from).max(1);
                let again = text[from..to].repeat(times.min(most));
                text.insert_str(to, &again);
            }
            Damage::Move(from, to, at) => {
                let (from, to) = part(&text, from, to);
                let moved: String = text.drain(from..to).collect();
                text.insert_str(place(&text, at), &moved);
            }
            Damage::Splice(other, from, to, at) => {
                let other = other.get(&CORPUS);
                let (from, to) = part(other, from, to);
                text.insert_str(place(&text, at), &other[from..to]);
            }
            Damage::Character(at, character) => text.insert(place(&text, at), character),
        }
    }
    text
}

/// Reads it as pinif does, shows what is wrong with it, and puts it into force where nothing is.
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
                assert!(
                    problem.line().is_some() && problem.column().is_some(),
                    "{problem}"
                );
                assert!(problem.fix().is_some(), "{problem}");
            }
            for line in errors.lines() {
                assert!(
                    line.len() < 4_000 && !line.contains(['\n', '\u{1b}', '\u{202e}']),
                    "{line:?}"
                );
            }
        }
    }
}

#[test]
fn no_text_of_the_corpus_makes_it_panic() {
    assert!(CORPUS.len() > 5);
    CORPUS.iter().for_each(|text| read(text));
}

proptest! {
    #[test]
    fn no_damage_makes_it_panic(seed in seed(), damages in vec(damage(), 0..12)) {
        let text = damaged(seed, damages);
        if text.len() <= MOST_BYTES {
            let begin = Instant::now();
            read(&text);
            keep_slow(&text, begin.elapsed());
        }
    }
}

/// Writes the slowest text so far to the folder that `PINIF_SLOWEST` names, for who looks for slow ones.
fn keep_slow(text: &str, took: Duration) {
    static SLOWEST: std::sync::Mutex<Duration> = std::sync::Mutex::new(Duration::ZERO);
    let Some(folder) = std::env::var_os("PINIF_SLOWEST") else {
        return;
    };
    let mut slowest = SLOWEST.lock().expect("no panic holds it");
    if took > *slowest {
        *slowest = took;
        let name = format!("{:06}ms-{}.toml", took.as_millis(), text.len());
        fs::write(Path::new(&folder).join(name), text).expect("the folder is there");
    }
}
