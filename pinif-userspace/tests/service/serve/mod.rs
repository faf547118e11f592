//! `pinif serve` and `pinif history`: beside a real auditor, which does not notice them.

mod history;
pub mod served;
mod unprivileged;
mod web;
