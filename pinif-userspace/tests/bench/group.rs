//! Scenarios that share their audits. To start an auditor is most of what a scenario costs in an emulated machine.
//!
//! Each scenario of a group runs on a thread of its own, with namespaces and a cgroup of its own. Where it asks for an audit, it
//! waits until every other has asked, too, or has ended. Those that asked for the same audit then share one. From there on they
//! take turns, since all links of the machine share a processor's queue of received packets (`netdev_max_backlog`), which drops
//! what several senders at once put too much into it. The audit ends once all of them are done, and each gets the part of the
//! report that is of its own namespace.

use std::any::Any;
use std::cell::RefCell;
use std::env;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread;

use pinif_lab::Cgroup;

use super::auditor::Orders;
use super::share::Share;

/// How many scenarios run at once at most: an emulated machine has one processor and 2 GiB.
pub const MOST: usize = 12;

/// Runs only those scenarios of groups whose function's name has this in it.
const ONLY: &str = "PINIF_SCENARIO";

/// Makes a test of each group of scenarios, whose functions take nothing and call [`super::scenario`].
///
/// ```text
/// together! {
///     udp: an_address_bind_does_not_control_the_route, an_ipv6_address_bind_does_not_control_the_route;
/// }
/// ```
macro_rules! together {
    ($($group:ident: $($scenario:ident),+ $(,)?;)+) => {
        $(
            #[test]
            fn $group() {
                const SCENARIOS: &[(&str, fn())] = &[$((stringify!($scenario), $scenario)),+];
                const { assert!(SCENARIOS.len() <= $crate::bench::MOST) };
                $crate::bench::run_together(
                    concat!(module_path!(), "::", stringify!($group)),
                    SCENARIOS,
                );
            }
        )+
    };
}
pub(crate) use together;

thread_local! {
    /// The place of this thread's scenario in its group.
    static MEMBER: RefCell<Option<Member>> = RefCell::default();
}

struct Member {
    group: Arc<Group>,
    has_asked: bool,
}

/// Scenarios that run at once.
pub struct Group {
    name: &'static str,
    cgroup: OnceLock<Cgroup>,
    state: Mutex<State>,
    /// Whether it is no scenario's turn.
    is_free: Mutex<bool>,
    is_over: Condvar,
}

/// A scenario's turn to do what it does under its audit; over when dropped.
pub struct Turn(Arc<Group>);

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.is_free.lock().expect("no thread panics with it") = true;
        self.0.is_over.notify_one();
    }
}

#[derive(Default)]
struct State {
    /// Scenarios that have neither asked for an audit nor ended.
    outstanding: usize,
    asked: Vec<Asked>,
}

/// A scenario that waits for its audit to start.
struct Asked {
    orders: Orders,
    netns: String,
    answer: Sender<Arc<Share>>,
}

/// Runs the scenarios of a test, each with its function's name, at once. All run to their end; those that failed are named.
pub fn run_together(name: &'static str, scenarios: &[(&str, fn())]) {
    let only = env::var(ONLY).unwrap_or_default();
    let wanted: Vec<_> = scenarios
        .iter()
        .filter(|(name, _)| name.contains(&only))
        .collect();
    let group = Arc::new(Group {
        name,
        cgroup: OnceLock::new(),
        state: Mutex::new(State {
            outstanding: wanted.len(),
            asked: Vec::new(),
        }),
        is_free: Mutex::new(true),
        is_over: Condvar::new(),
    });
    let failed: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = wanted
            .iter()
            .map(|(name, scenario)| {
                let group = Arc::clone(&group);
                let run = move || group.run(*scenario);
                let thread = thread::Builder::new().name((*name).to_owned());
                (name, thread.spawn_scoped(scope, run).expect("a thread"))
            })
            .collect();
        let ended = threads
            .into_iter()
            .map(|(name, thread)| (name, thread.join()));
        ended
            .filter_map(|(name, outcome)| Some(format!("{name}: {}", in_words(&*outcome.err()?))))
            .collect()
    });
    assert!(
        failed.is_empty(),
        "{} of {} scenarios failed:\n{}",
        failed.len(),
        wanted.len(),
        failed.join("\n")
    );
}

/// What a panic says.
pub fn in_words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied())
        .unwrap_or("a panic without words")
}

impl Group {
    /// That of the scenario on this thread, where it has one.
    pub fn current() -> Option<Arc<Self>> {
        MEMBER.with_borrow(|member| Some(Arc::clone(&member.as_ref()?.group)))
    }

    /// The test that it is, with the path of its module.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The cgroup that those of all its scenarios are below.
    pub fn cgroup(&self) -> &Cgroup {
        self.cgroup
            .get_or_init(|| Cgroup::new("group").expect("cannot make a cgroup"))
    }

    /// Asks for an audit of a namespace for the scenario on this thread, which it waits for.
    pub fn audit(&self, orders: Orders, netns: &str) -> Arc<Share> {
        let (answer, share) = channel();
        let netns = netns.to_owned();
        let asked = Asked {
            orders,
            netns,
            answer,
        };
        let mut state = self.lock();
        state.asked.push(asked);
        state.outstanding -= usize::from(is_first_audit());
        self.start_if_all_asked(state);
        share.recv().expect("each that asked is answered")
    }

    /// Waits until it is no other scenario's turn.
    pub fn turn(self: &Arc<Self>) -> Turn {
        let is_free = self.is_free.lock().expect("no thread panics with it");
        let mut is_free = self
            .is_over
            .wait_while(is_free, |is_free| !*is_free)
            .expect("no thread panics with it");
        *is_free = false;
        Turn(Arc::clone(self))
    }

    /// Runs a scenario on this thread.
    fn run(self: Arc<Self>, scenario: fn()) {
        MEMBER.set(Some(Member {
            group: Arc::clone(&self),
            has_asked: false,
        }));
        let outcome = catch_unwind(scenario);
        if is_first_audit() {
            // It asks for none any more: the others need not wait for it.
            let mut state = self.lock();
            state.outstanding -= 1;
            self.start_if_all_asked(state);
        }
        outcome.unwrap_or_else(|panic| resume_unwind(panic));
    }

    /// Those that wait get their audits, one for all that asked for the same.
    fn start_if_all_asked(&self, mut state: MutexGuard<'_, State>) {
        if state.outstanding != 0 {
            return;
        }
        let mut asked = std::mem::take(&mut state.asked);
        drop(state);
        while let Some(Asked { orders, .. }) = asked.first() {
            let orders = orders.clone();
            let (same, others) = asked.into_iter().partition(|asked| asked.orders == orders);
            asked = others;
            let netns = same.iter().map(|asked: &Asked| asked.netns.clone());
            let share = Arc::new(Share::new(orders, netns.collect(), self.cgroup().path()));
            for asked in same {
                asked.answer.send(Arc::clone(&share)).expect("it waits");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with it")
    }
}

/// Whether this thread's scenario has asked for no audit until now; it has, from now on.
fn is_first_audit() -> bool {
    MEMBER.with_borrow_mut(|member| {
        let member = member.as_mut().expect("a scenario of a group");
        !std::mem::replace(&mut member.has_asked, true)
    })
}
