//! Addresses, parameters and JSON with invalid, excessive or ambiguous content.

use super::super::exact_bytes::{get, post};
use super::{Case, Expect, case};

pub(super) fn cases() -> Vec<Case> {
    let mut all = starts();
    all.extend(parameters());
    all.extend(lists());
    all.extend(strange_names());
    all.extend(openings());
    all.extend(commands());
    all.extend(data());
    all
}

fn refused(target: &str, code: &'static str) -> Case {
    case(
        target.chars().take(80).collect::<String>(),
        get(target),
        Expect::Refused(400, code),
    )
}

fn served(target: &str) -> Case {
    case(
        target.chars().take(80).collect::<String>(),
        get(target),
        Expect::Served,
    )
}

/// Returns the cases of `since` values.
fn starts() -> Vec<Case> {
    let wrong = [
        "k-18446744073709551616",
        "k-99999999999999999999",
        "k-000000000000000000001",
        "k--1",
        "k-1e3",
        "-1",
        "k-",
        "-",
        "K-1",
        "k_1",
        "kkkkkkkkkkkkkkkkk-1",
        "last:",
        "",
        "last:-1",
        "last:4294967296",
        "last:99999999999999999999",
        "last:1.5",
        "last:NaN",
        "LAST:5",
        "99999999999999999999d",
        "18446744073709551615d",
        "-5m",
        "1e3s",
        "5",
        "s",
        "5y",
        "now%00",
        "%00",
        "all,all",
        "k-1%0Ak-2",
        "%F0%9F%98%80-1",
        "1h30m",
        "Infinityd",
    ];
    let mut all: Vec<Case> = wrong
        .iter()
        .map(|since| refused(&format!("/poll/a?since={since}"), "bad_cursor"))
        .collect();
    let fine = [
        "now",
        "all",
        "last:0",
        "last:4294967295",
        "k-0",
        "zzzzzzzzzzzzzzzz-18446744073709551615",
        "0ms",
        "200000000d",
        "1d",
    ];
    all.extend(
        fine.iter()
            .map(|since| served(&format!("/poll/a?wait=0&since={since}"))),
    );
    for id in ["k-18446744073709551616", "nonsense", "-1", "all"] {
        let request =
            get("/poll/a?wait=0").replace("Host:", &format!("Last-Event-ID: {id}\r\nHost:"));
        all.push(case(format!("Last-Event-ID {id}"), request, Expect::Served));
    }
    all
}

/// Returns the cases of other parameters.
fn parameters() -> Vec<Case> {
    let mut all = Vec::new();
    for value in [
        "NaN", "inf", "-inf", "1e308", "-0.1", "60.0001", "61", "x", "%00", "0x10", "1,5",
    ] {
        all.push(refused(&format!("/poll/a?wait={value}"), "bad_parameter"));
        all.push(refused(
            &format!("/sse/a?heartbeat={value}"),
            "bad_parameter",
        ));
    }
    for limit in ["0", "-1", "1001", "18446744073709551616", "1e3", "x"] {
        all.push(refused(
            &format!("/history/a?limit={limit}"),
            "bad_parameter",
        ));
    }
    for (parameter, code) in [
        ("nonce=%0A", "bad_parameter"),
        ("why=%00", "bad_parameter"),
        ("format=Full", "bad_parameter"),
        ("echo=2", "bad_parameter"),
        ("early=yes", "bad_parameter"),
        ("probe=-1", "bad_parameter"),
        ("presence=%20", "bad_parameter"),
        ("%FF=1", "bad_parameter"),
        ("a=%ff", "bad_parameter"),
        ("since.=x", "bad_cursor"),
        ("since.%00=all", "bad_parameter"),
        ("since.b=all", "bad_parameter"),
        ("info={", "bad_json"),
        ("info=%22%FF%22", "bad_parameter"),
    ] {
        all.push(refused(&format!("/poll/a?{parameter}"), code));
    }
    all.push(refused(
        &format!("/poll/a?info={}{}", "[".repeat(500), "]".repeat(500)),
        "bad_json",
    ));
    all.push(refused(
        &format!("/poll/a?why={}", "w".repeat(1_000)),
        "bad_parameter",
    ));
    for target in [
        "/poll/a?",
        "/poll/a?&&&&",
        "/poll/a?=",
        "/poll/a?=&=&",
        "/poll/a?wait=1e-400",
        "/poll/a?unknown=%00",
        "/poll/a?session=",
        "/poll/a?a=%",
        "/poll/a?a=%zz",
    ] {
        all.push(served(target));
    }
    all.push(served(&format!("/poll/a?session={}", "s".repeat(50_000))));
    all.push(served(&format!("/poll/a?{}", "x=y&".repeat(12_000))));
    all
}

/// Returns the cases of channel lists.
fn lists() -> Vec<Case> {
    let list = |count: usize| {
        (0..count)
            .map(|number| format!("c{number}"))
            .collect::<Vec<_>>()
            .join(",")
    };
    let forbidden = Expect::Refused(403, "too_many_channels");
    let json = |count: usize| {
        format!(
            "{{\"channels\":[\"{}\"]}}",
            list(count).replace(',', "\",\"")
        )
    };
    let starts = |count: usize| {
        let starts: Vec<String> = (0..count)
            .map(|number| format!("\"x{number:06}\":\"all\""))
            .collect();
        format!(
            "{{\"channels\":[\"{}\"],\"since\":{{{}}}}}",
            list(count).replace(',', "\",\""),
            starts.join(",")
        )
    };
    vec![
        case(
            "101 channels",
            get(&format!("/poll/{}", list(101))),
            Expect::Served,
        ),
        case(
            "8,000 channels",
            get(&format!("/sse/{}", list(8_000))),
            forbidden.clone(),
        ),
        case(
            "8,000 channels asked",
            get(&format!("/poll?channels={}", list(8_000))),
            forbidden,
        ),
        case(
            "150,000 channels",
            post("/poll", &[], json(150_000).as_bytes()),
            Expect::Clear,
        ),
        case(
            "as many starts",
            post("/poll", &[], starts(60_000).as_bytes()),
            Expect::Clear,
        ),
        case(
            "one channel 8,000 times",
            get(&format!("/poll/{}", vec!["a"; 8_000].join(","))),
            Expect::Served,
        ),
    ]
}

/// Returns names that are no channel names, or that look like file names.
fn strange_names() -> Vec<Case> {
    vec![
        case(
            "commas",
            get(&format!("/poll/{}", ",".repeat(30_000))),
            Expect::Refused(400, "bad_channel"),
        ),
        case(
            "slashes",
            get(&format!("/poll/{}", "/".repeat(30_000))),
            Expect::Refused(400, "bad_channel"),
        ),
        case(
            "percents",
            get(&format!("/poll/{}", "%".repeat(128))),
            Expect::Served,
        ),
        case(
            "many lists",
            get(&format!("/poll?{}", "channels=a&".repeat(5_000))),
            Expect::Refused(400, "bad_channel"),
        ),
        case("dots", get("/poll/../../etc/passwd"), Expect::Served),
        case(
            "a file above",
            get("/chat/..%2f..%2fCargo.toml"),
            Expect::Refused(404, "not_found"),
        ),
        case(
            "a file with NUL",
            get("/client.js%00.html"),
            Expect::Refused(404, "not_found"),
        ),
    ]
}

/// Returns the cases of POST bodies at the reading addresses.
fn openings() -> Vec<Case> {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    let bodies = [
        "[]",
        "null",
        "1",
        "\"a\"",
        "{\"channels\":null,\"since\":1}",
        "{\"channels\":{}}",
        "{\"channels\":[null]}",
        "{\"channels\":[\"a\"],\"channels\":[\"b\"]}",
        "{\"channels\":[\"a\"]",
        "{\"channels\":[\"a\"]}x",
        "\u{feff}{\"channels\":[\"a\"]}",
        "{\"channels\":[\"\\ud800\"]}",
        "{\"channels\":[\"a\"],\"x\":1e999999}",
        "{\"channels\":[\"a\"],\"since\":[]}",
        "{\"channels\":[\"a\"],\"since\":{\"a\":1}}",
        "{\"channels\":[\"a\"],\"wait\":\"x\"}",
        "{\"channels\":[\"a\"],\"wait\":1e400}",
        "{\"channels\":[\"a\"],\"presence\":[]}",
        "{\"channels\":[\"a\"],\"nonce\":{}}x",
    ];
    let mut all: Vec<Case> = bodies
        .iter()
        .map(|body| {
            case(
                format!("opening {body}"),
                post("/poll", &[], body.as_bytes()),
                Expect::Refused(400, ""),
            )
        })
        .collect();
    all.push(case(
        "a deep opening",
        post("/poll", &[], deep.as_bytes()),
        Expect::Refused(400, "bad_json"),
    ));
    all.push(case(
        "deep objects",
        post("/sse", &[], objects.as_bytes()),
        Expect::Refused(400, "bad_json"),
    ));
    all.push(case(
        "depth in a parameter",
        post(
            "/poll",
            &[],
            format!("{{\"channels\":[\"a\"],\"info\":{deep}}}").as_bytes(),
        ),
        Expect::Refused(400, "bad_json"),
    ));
    all.push(case(
        "not UTF-8",
        post("/poll", &[], b"{\"channels\":[\"\xff\"]}"),
        Expect::Refused(400, "bad_json"),
    ));
    all
}

/// Returns the cases of bodies of `POST /send`.
fn commands() -> Vec<Case> {
    let deep = format!("[{}1{}]", "[".repeat(100_000), "]".repeat(100_000));
    let many = format!("[{}]", vec!["1"; 200_000].join(","));
    let mut all: Vec<Case> = [
        "",
        "{}",
        "null",
        "1",
        "\"x\"",
        "[",
        "[1,]",
        "[1 2]",
        "[\u{0}]",
        "\u{feff}[]",
        "[]]",
    ]
    .iter()
    .map(|body| {
        case(
            format!("commands {body:?}"),
            post("/send", &[], body.as_bytes()),
            Expect::Refused(400, "bad_json"),
        )
    })
    .collect();
    all.push(case(
        "two hundred thousand commands",
        post("/send", &[], many.as_bytes()),
        Expect::Refused(413, "too_large"),
    ));
    // An error in one command is reported in the reply to that command.
    for body in [
        &deep,
        "[[]]",
        "[null,true,1.5,\"x\"]",
        "[{\"type\":\"\\ud800\"}]",
        "[{\"type\":\"ping\",\"type\":\"ping\"}]",
        "[{\"type\":{}}]",
        "[{\"type\":\"history\",\"channel\":\"a\",\"limit\":-1}]",
        "[{\"type\":\"history\",\"channel\":\"a\",\"limit\":1e99}]",
        "[{\"type\":\"ping\",\"ref\":[[[[[[[[]]]]]]]]}]",
        "[{\"type\":\"publish\",\"channel\":\"\\u0000\",\"data\":1}]",
        "[{\"type\":\"publish\",\"channel\":\"a\",\"data64\":\"====\"}]",
        "[{\"type\":\"publish\",\"channel\":\"a\",\"data\":1,\"key\":\"\\n\"}]",
    ] {
        all.push(case(
            format!("commands {}", body.chars().take(60).collect::<String>()),
            post("/send", &[], body.as_bytes()),
            Expect::Served,
        ));
    }
    all
}

/// Returns the cases of event data.
fn data() -> Vec<Case> {
    let json = |body: &[u8]| post("/pub/a", &[("Content-Type", "application/json")], body);
    let mut all = Vec::new();
    for body in [
        "",
        " ",
        "{",
        "nul",
        "01",
        "1.",
        ".5",
        "+1",
        "NaN",
        "'x'",
        "\"\u{1}\"",
        "\"\\x\"",
        "\"\\u12\"",
        "[1,]",
        "{\"a\":}",
        "{a:1}",
        "1 2",
        "\u{feff}1",
        "\"\n\"",
        "// 1",
    ] {
        all.push(case(
            format!("data {body:?}"),
            json(body.as_bytes()),
            Expect::Refused(400, "bad_json"),
        ));
    }
    for body in [
        "null",
        "-0",
        "1e999999",
        "123456789012345678901234567890.5",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "{\"a\":1,\"a\":2}",
        "[\n1\r\n,\t2]",
        "\"\u{2028}</script>\"",
    ] {
        all.push(case(
            format!("data {body:?}"),
            json(body.as_bytes()),
            Expect::Served,
        ));
    }
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    all.push(case(
        "deep data",
        json(deep(30_000).as_bytes()),
        Expect::Refused(400, "bad_json"),
    ));
    all.push(case(
        "open brackets",
        json("[".repeat(60_000).as_bytes()),
        Expect::Refused(400, "bad_json"),
    ));
    all.push(case(
        "not UTF-8",
        json(b"\"\xff\""),
        Expect::Refused(400, "bad_json"),
    ));
    all
}
