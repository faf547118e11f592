//! `pinif serve` and `pinif history`: beside a real auditor, which does not notice them.

mod chassis;
pub mod collector;
mod confined;
mod exec;
mod history;
mod issued;
mod midplane;
mod otlp;
mod secure;
mod secure_files;
mod secure_readers;
pub mod secured;
pub mod served;
mod unprivileged;
mod via;
mod web;
