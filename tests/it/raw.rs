//! Tests in raw bytes: exact requests and exact answers, valid, invalid and hostile.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "each story uses some of it")]

mod bodies;
mod causes;
mod chain;
mod costs;
mod crowded;
mod crowds;
mod drain;
mod echoes;
mod embedded;
mod ends;
mod escaped;
mod frames;
mod full;
mod guard;
mod half_closed;
mod held;
mod holes;
mod hostile;
mod keys;
mod limits;
mod memory;
mod mistakes;
mod names;
mod neighbours;
mod over_h2;
mod posts;
mod presence;
mod process;
mod refusals;
mod rest;
mod sessions;
mod shell;
mod slow;
mod socket;
mod stalled;
mod strangers;
mod swept;
mod wire;
