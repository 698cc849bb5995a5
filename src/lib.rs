//! triway: one broadcast hub, three ways through.
//!
//! Channels of events, readable over WebSocket, Server-Sent Events and HTTP long polling at the same time. Every
//! reader is a cursor into bounded logs, so that a change of transport is nothing but another reader with the same
//! cursor.
//!
//! # The map
//!
//! Arrows only go down (`docs/architecture.md`):
//!
//! | level | modules |
//! | --- | --- |
//! | 4 surface | [`http`], [`embed`], [`server`] |
//! | 3 wires | [`transport`], [`socket`] |
//! | 2 rules | [`auth`], [`broker`], [`presence`], [`session`] |
//! | 1 memory | [`bell`], [`wheel`], [`hub`], [`feed`] |
//! | 0 words | [`cursor`], [`protocol`], [`peer`], [`log`], [`metrics`] |
//!
//! Begin with [`Hub::builder`] to nest a hub into an app of your own.

pub mod auth;
pub mod broker;
pub mod config;
pub mod embed;
pub mod fanout;
pub mod http;
pub mod hub;
pub mod metrics;
pub mod presence;
pub mod protocol;
pub mod server;
pub mod session;
pub mod transport;

pub use embed::Hub;

/// The Rust of the README, compiled with the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
