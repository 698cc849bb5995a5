//! Tests in raw bytes: exact requests and exact responses, valid, invalid and hostile.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "each story uses some of it")]

mod application_mistakes;
mod causes;
mod command_cost;
mod drain;
mod embedded;
mod escaped_data;
mod exact_bytes;
mod gaps_of_channels;
mod h2_streams;
mod half_closed;
mod held_polls;
mod host_and_origin;
mod hostile;
mod hub_full;
mod keys;
mod limits;
mod memory;
mod names;
mod neighbours;
mod over_h2;
mod parked_sessions;
mod poll_chain;
mod posts;
mod presence;
mod process;
mod refusal_nonce;
mod refusals;
mod refused_origins;
mod sessions;
mod shared_address;
mod shell_answers;
mod slow_readers;
mod swept_channels;
mod unexpected_bodies;
mod websocket;
mod write_timeout;
mod ws_client;
mod ws_end;
