//! Orders from outside, in their order. A question may come before an order: nobody is to wait for an answer while thousands of findings
//! are reported.

use std::collections::VecDeque;

use tokio::sync::mpsc::UnboundedReceiver;

use super::plan::{Order, Question};

/// Those that wait.
pub(super) struct Orders {
    channel: UnboundedReceiver<Order>,
    /// What was before a question.
    passed: VecDeque<Order>,
}

impl Orders {
    /// Those of a channel.
    pub(super) fn new(channel: UnboundedReceiver<Order>) -> Self {
        Self {
            channel,
            passed: VecDeque::new(),
        }
    }

    /// The next one; none, where nobody gives any more. Safe to cancel.
    pub(super) async fn next(&mut self) -> Option<Order> {
        match self.passed.pop_front() {
            Some(order) => Some(order),
            None => self.channel.recv().await,
        }
    }

    /// Takes no more. Whoever waits for an answer learns that there is none.
    pub(super) fn close(&mut self) {
        self.channel.close();
        while self.channel.try_recv().is_ok() {}
    }

    /// The next question that waits, without waiting for one.
    pub(super) fn question(&mut self) -> Option<Question> {
        while let Ok(order) = self.channel.try_recv() {
            match order {
                Order::Ask(question) => return Some(question),
                order => self.passed.push_back(order),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc::unbounded_channel, oneshot};

    use super::*;

    #[tokio::test]
    async fn a_question_comes_before_an_order_and_orders_stay_in_their_order() {
        let (gives, channel) = unbounded_channel();
        let mut orders = Orders::new(channel);
        assert!(orders.question().is_none());
        let (reply, _answer) = oneshot::channel();
        for order in [
            Order::Confirm,
            Order::ReaderLeft,
            Order::Ask(Question::Snapshot(reply)),
            Order::Confirm,
        ] {
            gives.send(order).expect("it is there");
        }
        assert!(matches!(orders.question(), Some(Question::Snapshot(_))));
        assert!(orders.question().is_none());
        assert!(matches!(orders.next().await, Some(Order::Confirm)));
        assert!(matches!(orders.next().await, Some(Order::ReaderLeft)));
        assert!(matches!(orders.next().await, Some(Order::Confirm)));
        drop(gives);
        assert!(orders.next().await.is_none());
    }
}
