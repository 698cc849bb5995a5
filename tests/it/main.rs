//! Stories over the wire: one binary, real sockets, ports of their own.

mod accept;
mod cli;
mod flags;
mod handover;
mod ids;
mod layers;
mod pubsub;
mod long;
mod raw;
mod restart;
mod story;
mod support;
