//! triway: one broadcast hub, three ways through.
pub mod auth;
pub mod bell;
pub mod broker;
pub mod cursor;
pub mod feed;
pub mod hub;
pub mod log;
pub mod metrics;
pub mod protocol;
pub mod wheel;
