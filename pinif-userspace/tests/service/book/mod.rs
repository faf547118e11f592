//! The documentation's commands run.

mod commands;
mod pages;
mod session;
