//! Questions to the collector, which has a thread of its own and other things to do first.

use std::{sync::Arc, time::Duration};

use pinif_ebpf::key::NetNsCookie;
use tokio::{
    sync::{
        mpsc::UnboundedSender,
        oneshot::{self, Sender},
    },
    time::timeout,
};

use crate::{
    collector::plan::{Order, Question},
    findings::{latent::Holding, listed, query::Query},
    foresee::closed::Distinct,
    host::netns::NetNs,
    hub::Snapshot,
    learned::Page,
};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to the collector.
#[derive(Clone)]
pub struct Collector(UnboundedSender<Order>);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The audit has ended.
    Ended,
    /// It has not begun yet, or the collector hangs.
    Late,
}

impl Collector {
    /// The one that takes these orders.
    pub fn new(orders: UnboundedSender<Order>) -> Self {
        Self(orders)
    }

    /// How the audit stands; at most a second old.
    ///
    /// # Errors
    ///
    /// Where there is no answer.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, Unanswered> {
        self.ask(Question::Snapshot).await
    }

    /// The findings of a query, with their counts of now.
    ///
    /// # Errors
    ///
    /// Where there is no answer.
    pub async fn findings(&self, query: Query) -> Result<listed::Page, Unanswered> {
        self.ask(|reply| Question::Findings(Box::new(query), reply))
            .await
    }

    /// The namespaces that are audited now.
    ///
    /// # Errors
    ///
    /// Where there is no answer.
    pub async fn namespaces(&self) -> Result<Vec<NetNs>, Unanswered> {
        self.ask(Question::Namespaces).await
    }

    /// A page of what was learned of what is sent by whom; none where nothing is.
    ///
    /// # Errors
    ///
    /// Where there is no answer.
    pub async fn learned(&self, from: u64, limit: usize) -> Result<Option<Page>, Unanswered> {
        self.ask(|reply| Question::Learned(from, limit, reply))
            .await
    }

    /// What is foreseen now, at most so much of it; none where nothing is foreseen at all.
    ///
    /// # Errors
    ///
    /// Where there is no answer.
    pub async fn foreseen(&self, most: usize) -> Result<Option<Holding>, Unanswered> {
        self.ask(|reply| Question::Foreseen(most, reply)).await
    }

    /// The sockets that were closed in a namespace, one of each sort; or why they cannot be read.
    ///
    /// # Errors
    ///
    /// Where there is no answer.
    pub async fn closed(&self, netns: NetNsCookie) -> Result<Result<Distinct, String>, Unanswered> {
        self.ask(|reply| Question::Closed(netns, reply)).await
    }

    async fn ask<T>(&self, question: impl FnOnce(Sender<T>) -> Question) -> Result<T, Unanswered> {
        let (reply, answer) = oneshot::channel();
        self.0
            .send(Order::Ask(question(reply)))
            .map_err(|_| Unanswered::Ended)?;
        match timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|_| Unanswered::Ended),
            Err(_) => Err(Unanswered::Late),
        }
    }
}
