//! The rules of nftables of each namespace, read beside the audit: to read a hundred thousand of them takes some tenths of a second, in
//! which the audit must not stand still. They are kept, and read again where they have changed.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use pinif_ebpf::{key::NetNsCookie, sighting::FindingKey};
use tokio::sync::mpsc;

use crate::host::{
    netns::NetNs,
    nft::{self, NftRule, Ruleset},
};

/// How long a finding waits for the rules before it is reported without them: time enough for some thousand rules.
const PATIENCE: Duration = Duration::from_millis(20);
/// The rules of no more namespaces than these are kept.
const MANY: usize = 256;

/// The rules of a namespace that mark or redirect.
type Rules = Arc<[NftRule]>;

/// What reads the rules of a namespace, unless they are those of a generation ([`nft::rules`]).
type Read = dyn Fn(&NetNs, Option<u32>) -> io::Result<Option<Ruleset>> + Send;

/// Rules that came after the findings which asked for them.
pub(super) struct Late {
    /// The findings.
    pub findings: Vec<FindingKey>,
    /// The rules.
    pub rules: Rules,
}

/// Asks for rules, and keeps which findings wait for them.
pub(super) struct Rulesets {
    questions: Sender<Question>,
    late: mpsc::UnboundedReceiver<(NetNsCookie, Rules)>,
    /// Findings whose namespace's rules are being read.
    waiting: BTreeMap<NetNsCookie, Vec<FindingKey>>,
}

struct Question {
    netns: NetNs,
    /// It has no buffer: what nobody waits for any more, is late.
    answer: SyncSender<Rules>,
}

impl Rulesets {
    /// Starts a thread that reads for as long as this lives.
    ///
    /// # Errors
    ///
    /// When there can be no thread.
    pub(super) fn start() -> Result<Self> {
        Self::reading(Box::new(nft::rules))
    }

    fn reading(read: Box<Read>) -> Result<Self> {
        let (questions, asked) = channel();
        let (answer, late) = mpsc::unbounded_channel();
        let reader = move || answer_all(&read, &asked, &answer);
        thread::Builder::new()
            .name("nftables".to_owned())
            .spawn(reader)
            .context("no thread can be started")?;
        Ok(Self {
            questions,
            late,
            waiting: BTreeMap::new(),
        })
    }

    /// The rules of a namespace, for a finding. Where they are not there in time, there are none for now, and they come with
    /// [`Self::next`].
    pub(super) fn of(&mut self, netns: &NetNs, finding: &FindingKey) -> Rules {
        let cookie = netns.cookie;
        if let Some(findings) = self.waiting.get_mut(&cookie) {
            findings.push(*finding);
            return Rules::default();
        }
        let (answer, answered) = sync_channel(0);
        let question = Question {
            netns: netns.clone(),
            answer,
        };
        if self.questions.send(question).is_err() {
            return Rules::default();
        }
        // While others are read, these come no sooner.
        let patience = if self.waiting.is_empty() {
            PATIENCE
        } else {
            Duration::ZERO
        };
        answered.recv_timeout(patience).unwrap_or_else(|_| {
            self.waiting.insert(cookie, vec![*finding]);
            Rules::default()
        })
    }

    /// The next rules that were not there in time. It may be dropped at any time without losing any.
    pub(super) async fn next(&mut self) -> Late {
        match self.late.recv().await {
            Some((netns, rules)) => self.taken(netns, rules),
            None => std::future::pending().await,
        }
    }

    /// What is still to come, as far as it comes within `patience`.
    pub(super) async fn rest(&mut self, patience: Duration) -> Vec<Late> {
        let mut rest = Vec::new();
        let all = async {
            while !self.waiting.is_empty()
                && let Some((netns, rules)) = self.late.recv().await
            {
                rest.push(self.taken(netns, rules));
            }
        };
        // What does not come in time is reported without.
        let _ = tokio::time::timeout(patience, all).await;
        rest
    }

    fn taken(&mut self, netns: NetNsCookie, rules: Rules) -> Late {
        Late {
            findings: self.waiting.remove(&netns).unwrap_or_default(),
            rules,
        }
    }
}

/// Answers each question, by what is kept where it is as it was.
fn answer_all(
    read: &Read,
    questions: &Receiver<Question>,
    late: &mpsc::UnboundedSender<(NetNsCookie, Rules)>,
) {
    let mut kept: HashMap<NetNsCookie, (u32, Rules)> = HashMap::new();
    for Question { netns, answer } in questions {
        let cookie = netns.cookie;
        let known = kept.get(&cookie).map(|(generation, _)| *generation);
        match read(&netns, known) {
            Ok(Some(Ruleset { generation, rules })) => {
                if kept.len() >= MANY {
                    kept.clear();
                }
                kept.insert(cookie, (generation, rules.into()));
            }
            Ok(None) => {}
            // It is not said that there are none, but none can be named.
            Err(_) => drop(kept.remove(&cookie)),
        }
        let rules = kept.get(&cookie).map(|(_, rules)| Arc::clone(rules));
        if let Err(unanswered) = answer.send(rules.unwrap_or_default())
            && late.send((cookie, unanswered.0)).is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::host::nft::{Applies, Does, MarkSet};

    fn rule(handle: u64) -> NftRule {
        NftRule {
            family: "ip",
            table: "lab".to_owned(),
            chain: "out".to_owned(),
            handle,
            does: Does::Mark(Some(MarkSet::whole(7))),
            applies: Applies::default(),
        }
    }

    fn key(rule: u32) -> FindingKey {
        FindingKey {
            rule,
            ..FindingKey::default()
        }
    }

    fn handles(rules: &Rules) -> Vec<u64> {
        rules.iter().map(|rule| rule.handle).collect()
    }

    /// What is read next: the test gives each ruleset, and sees which generation was known.
    fn given() -> (
        Rulesets,
        Sender<Option<Ruleset>>,
        mpsc::UnboundedReceiver<Option<u32>>,
    ) {
        let (give, given) = channel();
        let (asked, known) = mpsc::unbounded_channel();
        let given = Mutex::new(given);
        let rulesets = Rulesets::reading(Box::new(move |_, known| {
            let _ = asked.send(known);
            let given = given.lock().expect("one thread");
            given.recv().map_err(io::Error::other)
        }));
        (rulesets.expect("a thread"), give, known)
    }

    fn ruleset(generation: u32, handle: u64) -> Option<Ruleset> {
        let rules = vec![rule(handle)];
        Some(Ruleset { generation, rules })
    }

    #[tokio::test]
    async fn rules_are_read_once_a_generation_and_nobody_waits_long() {
        let here = NetNs::current().expect("this one");
        let (mut rulesets, give, mut known) = given();
        // Two findings ask while they are read: one question.
        assert!(rulesets.of(&here, &key(1)).is_empty());
        assert!(rulesets.of(&here, &key(2)).is_empty());
        give.send(ruleset(5, 40)).expect("it reads");
        let late = rulesets.next().await;
        assert_eq!(handles(&late.rules), [40]);
        assert_eq!(late.findings, [key(1), key(2)]);
        assert_eq!(known.recv().await, Some(None));
        // They are as they were, and another generation's are others. Both are there in time.
        give.send(None).expect("it reads");
        assert_eq!(handles(&rulesets.of(&here, &key(3))), [40]);
        assert_eq!(known.recv().await, Some(Some(5)));
        give.send(ruleset(6, 41)).expect("it reads");
        assert_eq!(handles(&rulesets.of(&here, &key(4))), [41]);
        assert_eq!(known.recv().await, Some(Some(5)));
        // At the end, what is late is waited for.
        assert!(rulesets.of(&here, &key(5)).is_empty());
        give.send(ruleset(7, 42)).expect("it reads");
        let rest = rulesets.rest(Duration::from_secs(60)).await;
        let [late] = &rest[..] else {
            panic!("one is late");
        };
        assert_eq!(handles(&late.rules), [42]);
        assert_eq!(late.findings, [key(5)]);
        // Where they cannot be read, none is named.
        drop(give);
        assert!(rulesets.of(&here, &key(6)).is_empty());
    }
}
