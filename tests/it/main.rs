//! Tests over the wire: one binary, real sockets, and a port for each test.

mod accept;
mod bench;
mod cli;
mod contract;
mod cost;
mod documents;
mod flags;
mod handover;
mod ids;
mod layers;
mod long;
mod pipes;
mod pubsub;
mod pumps;
mod ratios;
mod raw;
mod restart;
mod sending;
mod story;
mod support;
