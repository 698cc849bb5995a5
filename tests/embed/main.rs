//! The crate as an application uses it: only names of the crate root, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod calls;
mod client;
mod closing;
mod crates;
mod example;
mod hooks;
mod names;
mod tasks;
