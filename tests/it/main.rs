//! Tests over the wire: one binary, real sockets, and a port for each test.

mod access;
mod bench;
mod cli;
mod cli_pub_sub;
mod connections;
mod contract;
mod documents;
mod every_transport;
mod fan_out;
mod flags;
mod handover;
mod ids;
mod layers;
mod publish_retry;
mod random_faults;
mod ratios;
mod raw;
mod reader_cost;
mod restart;
mod signals;
mod support;
