//! Compares the limits table of the protocol with the constants and defaults of the source.

use triway::internal::{
    BATCH_BYTES_MAX, BATCH_EVENTS_MAX, CHANNEL_BYTES_MAX, DATA_BYTES_CEILING, DATA_DEPTH_MAX,
    GET_PUBLISH_BYTES_MAX, INFO_BYTES_MAX, KEY_BYTES_MAX, NAME_BYTES_MAX, NONCE_BYTES_MAX,
};

use super::document;

/// The subject of a row of the table, and its expected limit.
type Row = (&'static str, String);

#[test]
fn the_limits_table_is_what_the_source_bounds() {
    let rows = document("docs/protocol.md").table("subject | limit");
    for (what, limit) in [of_data(), of_history(), of_connections()].concat() {
        let row = rows.iter().find(|row| row[0] == what);
        let row = row.unwrap_or_else(|| panic!("no row `{what}`"));
        assert_eq!(row[1], limit, "{what}");
    }
    assert_eq!([CHANNEL_BYTES_MAX, NAME_BYTES_MAX, KEY_BYTES_MAX], [128; 3]);
}

fn of_data() -> Vec<Row> {
    let options = triway::BrokerOptions::default();
    let rate = options.rate.expect("a rate by default");
    let (data, most) = (size(options.max_data), size(DATA_BYTES_CEILING));
    let (frames, batch) = (grouped(BATCH_EVENTS_MAX), size(BATCH_BYTES_MAX));
    let (second, burst) = (rate.per_second, rate.burst);
    let crowd = options.address_rate.expect("one for addresses too");
    let (all, at_once) = (crowd.per_second as usize, crowd.burst as usize);
    let info = size(INFO_BYTES_MAX);
    vec![
        ("data of one event", format!("{data}, {most} at most")),
        (
            "all request bodies and unfinished WebSocket messages, beyond 16 KiB of each",
            size(triway::SessionOptions::default().bodies_total.unwrap_or(0)),
        ),
        (
            "an address of a publish by GET",
            size(GET_PUBLISH_BYTES_MAX),
        ),
        (
            "one answer of a poll; one page of history",
            format!("{frames} frames, {batch} of data"),
        ),
        (
            "nested arrays and objects in data",
            format!("{DATA_DEPTH_MAX} levels"),
        ),
        (
            "publishes of a session",
            format!("{second} a second, {burst} at once"),
        ),
        (
            "publishes of all anonymous sessions of one address; not for loopback",
            format!("{} a second, {} at once", grouped(all), grouped(at_once)),
        ),
        (
            "sessions without an attachment",
            grouped(triway::SessionOptions::default().resting_sessions),
        ),
        (
            "info; nonce; why",
            format!("{info}; {NONCE_BYTES_MAX} bytes; 32 bytes"),
        ),
    ]
}

fn of_history() -> Vec<Row> {
    let options = triway::HubOptions::default();
    let events = grouped(options.history_events.unwrap_or(0));
    let bytes = size(options.history_bytes.unwrap_or(0));
    let total = size(options.history_total.unwrap_or(0));
    let hours = options.history_age.map_or(0, |age| age.as_secs() / 3_600);
    let channels = triway::SessionOptions::default().session_channels;
    vec![
        (
            "history of a channel",
            format!("{events} events, {bytes}, {hours} hour"),
        ),
        (
            "history of all channels",
            format!("{total}, including encoded forms"),
        ),
        ("channels of a session", grouped(channels.unwrap_or(0))),
        (
            "channels on the hub",
            grouped(options.hub_channels.unwrap_or(0)),
        ),
    ]
}

fn of_connections() -> Vec<Row> {
    let options = triway::server::Options::default();
    let all = grouped(options.connections.unwrap_or(0));
    let address = grouped(options.address_connections.unwrap_or(0));
    let seconds = |time: Option<std::time::Duration>| time.map_or(0, |time| time.as_secs());
    let (head, body) = (seconds(options.head_timeout), seconds(options.body_timeout));
    let write = seconds(triway::SessionOptions::default().write_timeout);
    vec![
        ("connections; of one address", format!("{all}; {address}")),
        ("a reader that reads nothing", format!("{write} s")),
        (
            "a request head; a body",
            format!("{head} s, 64 KiB; {body} s"),
        ),
        (
            "a connection without a request",
            format!("{} s", seconds(options.idle_timeout)),
        ),
    ]
}

/// Formats a size: `64 KiB`, `1 MiB`.
fn size(bytes: usize) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{} KiB", bytes >> 10)
    }
}

/// Formats a number: `100,000`.
fn grouped(number: usize) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", number / 1_000, number % 1_000),
    }
}
