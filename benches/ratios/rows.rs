//! The rows: each names a workload, a figure, a floor, a target, and the results of other servers.
//!
//! A workload is one way to load a server. A row reads one figure of a workload. This module knows no process.

use serde_json::Value;

/// Number of readers for idle memory and for the cost of a connect: 10,000 descriptors allow this number.
const IDLE_READERS: u32 = 9_500;
/// Simultaneous connects in the storm.
const STORM_READERS: u32 = 5_000;
/// Bytes of a kilobyte in the tables: 1,024.
const KB: f64 = 1_024.0;

/// The server that triway is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Floor {
    Single,
    Joined,
    /// nginx with the module nchan, if it is installed.
    Nchan,
}

impl Floor {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Single => "floor",
            Self::Joined => "floor-joined",
            Self::Nchan => "nchan",
        }
    }
}

/// One way to load a server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Workload {
    pub(crate) floor: Floor,
    pub(crate) load: Load,
}

/// The load of a workload.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Load {
    /// `triway bench` with these options.
    Bench {
        transport: &'static str,
        options: String,
    },
    /// Plain HTTP clients, in this number.
    Users {
        task: Task,
        count: usize,
        seconds: f64,
    },
}

/// The task of plain clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Each polls; then one event is published.
    Poll,
    /// Each publishes an event that has no reader.
    Post,
    /// Each connects, polls for a cursor, and leaves a second poll waiting.
    Connect,
}

/// One figure of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    CpuPerDelivery,
    CpuPerRequest,
    LatencyP99,
    IdleMemory,
    ConnectCpu,
    LongestConnect,
}

impl Figure {
    /// Reads the figure from a result of `triway bench`, and converts it to the unit of the table.
    pub(crate) fn of(self, result: &Value) -> Option<f64> {
        let (place, factor) = match self {
            Self::CpuPerDelivery => ("/server_cpu_ns_per_delivery", 1.0),
            Self::CpuPerRequest => ("/server_cpu_ns_per_request", 1.0),
            Self::LatencyP99 => ("/latency/p99_us", 1.0),
            Self::IdleMemory => ("/idle_rss_bytes_per_connection", 1.0 / KB),
            Self::ConnectCpu => ("/connect/server_cpu_us_per_connection", 1.0),
            Self::LongestConnect => ("/connect/max_ms", 1.0 / 1_000.0),
        };
        Some(result.pointer(place)?.as_f64()? * factor)
    }

    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::CpuPerDelivery | Self::CpuPerRequest => "ns",
            Self::LatencyP99 | Self::ConnectCpu => "µs",
            Self::IdleMemory => "KB",
            Self::LongestConnect => "s",
        }
    }

    /// Returns true if the target is an absolute figure and not a ratio.
    pub(crate) const fn is_absolute(self) -> bool {
        matches!(self, Self::IdleMemory | Self::LongestConnect)
    }
}

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) workload: Workload,
    pub(crate) figure: Figure,
    pub(crate) target: f64,
    pub(crate) others: &'static str,
}

/// The transports: the names for `triway bench` and the names in the tables.
const TRANSPORTS: [(&str, &str); 3] = [("ws", "WS"), ("sse", "SSE"), ("poll", "LP")];

struct Fan {
    /// Targets for one event in flight: with 100 and 1,000 readers, and with 5,000.
    one: [f64; 2],
    one_others: &'static str,
    burst: u32,
    burst_others: &'static str,
    /// The fixed rate, in events per second. At this rate both servers and the load are idle most of the time.
    rate: u32,
    idle_others: &'static str,
}

const FANS: [Fan; 3] = [
    Fan {
        one: [1.12, 1.15],
        one_others: "Bun 1.15, nchan 1.15 (1.6 at 5,000), fastwebsockets 1.20, textbook axum 1.28, ws 1.42, socketioxide 1.83, socket.io 1.87",
        burst: 64,
        burst_others: "Bun 1.4, socketioxide 4.1, textbook axum 7.9, nchan 9.7, ws 41",
        rate: 50,
        idle_others: "raw tokio 1.1 to 1.3, Bun 3.4, axum WS with 4 KiB buffers 5.6 to 6.5, nchan 10, socket.io 15 to 18, textbook axum WS 135",
    },
    Fan {
        one: [1.15, 1.15],
        one_others: "axum with shared bytes 1.34, textbook axum 1.61, nchan 1.63",
        burst: 64,
        burst_others: "axum with shared bytes 1.12, nchan 14",
        rate: 50,
        idle_others: "hyper SSE 20",
    },
    Fan {
        one: [1.25, 1.25],
        one_others: "nchan 1.43, textbook axum 1.74, socketioxide 2.5, socket.io 4.8",
        burst: 16,
        burst_others: "textbook axum 1.5, socket.io 3.3, nchan 12",
        rate: 20,
        idle_others: "",
    },
];

/// Every row of the targets.
pub(crate) fn all(seconds: f64) -> Vec<Row> {
    let mut rows = Vec::new();
    for ((transport, name), fan) in TRANSPORTS.into_iter().zip(FANS) {
        for readers in [100, 1_000, 5_000] {
            let target = fan.one[usize::from(readers == 5_000)];
            rows.push(fan_out(
                transport,
                name,
                readers,
                1,
                seconds,
                target,
                fan.one_others,
            ));
        }
        rows.push(fan_out(
            transport,
            name,
            1_000,
            fan.burst,
            seconds,
            1.1,
            fan.burst_others,
        ));
    }
    rows.extend(chats(seconds));
    for ((transport, name), fan) in TRANSPORTS.into_iter().zip(&FANS) {
        let rate = fan.rate;
        rows.push(Row {
            name: format!("{name} latency p99, 1,000 readers, {rate} events a second"),
            workload: bench(
                transport,
                Floor::Single,
                format!("--readers 1000 --rate {rate} --seconds {seconds}"),
            ),
            figure: Figure::LatencyP99,
            target: 1.25,
            others: "",
        });
    }
    rows.extend(sizes());
    rows.extend(users(seconds));
    rows
}

/// Returns the rows of plain HTTP clients: kept-alive connections, no session key.
fn users(seconds: f64) -> [Row; 4] {
    let polls = "LP without a session, one in flight, 1,000 readers";
    let (floor, nchan) = (Floor::Single, Floor::Nchan);
    [
        user_row(polls, (floor, 1.25), (Task::Poll, 1_000), seconds),
        user_row(
            &format!("{polls}, against nchan"),
            (nchan, 1.0),
            (Task::Poll, 1_000),
            seconds,
        ),
        user_row(
            "POST /pub, 64 kept connections, against nchan",
            (nchan, 1.0),
            (Task::Post, 64),
            seconds,
        ),
        user_row(
            "LP connect without a session, server CPU",
            (floor, 1.3),
            (Task::Connect, 2_000),
            seconds,
        ),
    ]
}

fn user_row(
    name: &str,
    (floor, target): (Floor, f64),
    (task, count): (Task, usize),
    seconds: f64,
) -> Row {
    Row {
        name: name.into(),
        workload: Workload {
            floor,
            load: Load::Users {
                task,
                count,
                seconds,
            },
        },
        figure: Figure::CpuPerRequest,
        target,
        others: "",
    }
}

fn chats(seconds: f64) -> [Row; 3] {
    let calm = format!("--readers 5000 --channels 100 --publishers 100 --seconds {seconds}");
    let many = format!("--readers 5000 --channels 100 --publishers all --seconds {seconds}");
    let small = format!("--readers 5000 --channels 1000 --seconds {seconds}");
    [
        Row {
            name: "WS, 100 channels × 50 readers, everyone publishes".into(),
            workload: bench("ws", Floor::Single, many),
            figure: Figure::CpuPerDelivery,
            target: 1.15,
            others: "Bun 1.06, textbook axum 1.43, socket.io 2.8",
        },
        Row {
            name: "WS, 100 channels × 50 readers, one event of each in flight".into(),
            workload: bench("ws", Floor::Single, calm),
            figure: Figure::CpuPerDelivery,
            target: 1.15,
            others: "",
        },
        Row {
            name: "WS, 1,000 channels × 5 readers".into(),
            workload: bench("ws", Floor::Single, small),
            figure: Figure::CpuPerDelivery,
            target: 1.2,
            others: "Bun 1.14, nchan 1.9, socket.io 3.1",
        },
    ]
}

fn sizes() -> Vec<Row> {
    let mut rows = Vec::new();
    for ((transport, name), fan) in TRANSPORTS.into_iter().zip(&FANS) {
        let load = format!("--readers {IDLE_READERS} --events 1");
        rows.push(Row {
            name: format!("{name} idle memory per connection, 9,500 of them"),
            workload: bench(transport, Floor::Single, load),
            figure: Figure::IdleMemory,
            target: 2.5,
            others: fan.idle_others,
        });
    }
    for index in 0..rows.len() {
        let name = TRANSPORTS[index].1;
        rows.push(Row {
            name: format!("{name} connect, server CPU"),
            figure: Figure::ConnectCpu,
            target: 1.5,
            others: "nchan 1.6, textbook axum 6, socket.io 16",
            ..rows[index].clone()
        });
    }
    let load = format!("--readers {STORM_READERS} --connecting {STORM_READERS} --events 1");
    for (transport, name) in TRANSPORTS {
        rows.push(Row {
            name: format!("{name} 5,000 connects at once, the longest"),
            workload: bench(transport, Floor::Single, load.clone()),
            figure: Figure::LongestConnect,
            target: 1.0,
            others: "textbook axum 3 s, Bun 2 s",
        });
    }
    rows
}

/// Returns a few rows with few readers, as a check of a change.
pub(crate) fn short(seconds: f64) -> Vec<Row> {
    let mut rows = Vec::new();
    for ((transport, name), fan) in TRANSPORTS.into_iter().zip(FANS) {
        rows.push(fan_out(transport, name, 200, 1, seconds, fan.one[0], ""));
        rows.push(fan_out(transport, name, 200, fan.burst, seconds, 1.1, ""));
    }
    rows.push(user_row(
        "LP without a session, one in flight, 200 readers",
        (Floor::Single, 1.25),
        (Task::Poll, 200),
        seconds,
    ));
    rows.push(user_row(
        "POST /pub, 64 kept connections",
        (Floor::Single, 1.5),
        (Task::Post, 64),
        seconds,
    ));
    rows
}

fn fan_out(
    transport: &'static str,
    name: &str,
    readers: u32,
    window: u32,
    seconds: f64,
    target: f64,
    others: &'static str,
) -> Row {
    let (floor, words) = match window {
        1 => (Floor::Single, "one in flight".to_owned()),
        _ => (Floor::Joined, format!("{window} in flight")),
    };
    let count = if readers >= 1_000 {
        format!("{},{:03}", readers / 1_000, readers % 1_000)
    } else {
        readers.to_string()
    };
    Row {
        name: format!("{name} fan-out, {words}, {count} readers"),
        workload: bench(
            transport,
            floor,
            format!("--readers {readers} --window {window} --seconds {seconds}"),
        ),
        figure: Figure::CpuPerDelivery,
        target,
        others,
    }
}

fn bench(transport: &'static str, floor: Floor, options: String) -> Workload {
    Workload {
        floor,
        load: Load::Bench { transport, options },
    }
}
