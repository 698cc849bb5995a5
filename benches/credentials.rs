//! What a credential costs: publishes and connects per second with each kind, beside an open hub, in turns.
//!
//! Usage: `cargo bench --bench credentials`. It starts the program itself. Each row is a ratio to the open hub: 2.00 means
//! twice the time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

/// Requests of one turn of a row.
const PUBLISHES: usize = 500;
const CONNECTS: usize = 200;
/// Turns of each row. The fastest one counts: what disturbs a turn only makes it slower.
const TURNS: usize = 12;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A running hub.
struct Hub {
    process: Child,
    address: String,
}

impl Hub {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_triway"));
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "error",
            "--publish-rate",
            "0",
        ]);
        command
            .args(["--address-publish-rate", "0"])
            .args(arguments);
        let mut process = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let out = process.stdout.as_mut().expect("a pipe");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("a first line");
        let address = line
            .trim()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        Self { process, address }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends a request on a connection and reads its response. Returns the status line and the body.
fn ask(stream: &mut BufReader<TcpStream>, request: &str) -> (String, Vec<u8>) {
    stream
        .get_mut()
        .write_all(request.as_bytes())
        .expect("a write");
    let (mut status, mut length) = (String::new(), 0);
    stream.read_line(&mut status).expect("a status");
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).expect("a header");
        if line.trim().is_empty() {
            break;
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    (status, body)
}

fn connect(address: &str) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    BufReader::new(stream)
}

/// A kind of credential: the header or the parameter that carries it.
struct Row {
    name: &'static str,
    address: String,
    header: String,
    query: String,
}

impl Row {
    fn publish(&self, stream: &mut BufReader<TcpStream>) {
        let Self {
            address,
            header,
            query,
            ..
        } = self;
        let request = format!(
            "POST /pub/a?{query} HTTP/1.1\r\nHost: {address}\r\n{header}Content-Length: 5\r\n\r\nhello"
        );
        let (status, body) = ask(stream, &request);
        assert!(
            status.contains("201"),
            "{}: {status}{}",
            self.name,
            String::from_utf8_lossy(&body)
        );
    }

    fn publishes(&self) -> Duration {
        let mut stream = connect(&self.address);
        self.publish(&mut stream);
        let began = Instant::now();
        for _ in 0..PUBLISHES {
            self.publish(&mut stream);
        }
        began.elapsed()
    }

    /// Connects and polls: the first answer has the hello of a session.
    fn connects(&self) -> Duration {
        let Self {
            address,
            header,
            query,
            ..
        } = self;
        let request =
            format!("GET /poll/a?wait=0&{query} HTTP/1.1\r\nHost: {address}\r\n{header}\r\n");
        let began = Instant::now();
        for _ in 0..CONNECTS {
            let (status, _) = ask(&mut connect(address), &request);
            assert!(status.contains("200"), "{}: {status}", self.name);
        }
        began.elapsed()
    }
}

fn token(algorithm: Algorithm, key: &EncodingKey) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock")
        .as_secs();
    let claims = json!({"sub": "ann", "iat": now, "exp": now + 3_600, "triway": {"read": ["*"], "publish": ["*"]}});
    encode(&Header::new(algorithm), &claims, key).expect("a token")
}

fn rows(open: &Hub, guarded: &Hub, api_key: &str) -> Vec<Row> {
    let pem = include_bytes!("../tests/keys/p256.pem");
    let es256 = token(
        Algorithm::ES256,
        &EncodingKey::from_ec_pem(pem).expect("a key"),
    );
    let hs256 = token(
        Algorithm::HS256,
        &EncodingKey::from_secret(SECRET.as_bytes()),
    );
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let begin = format!(
        "POST /session HTTP/1.1\r\nHost: {}\r\n{}Content-Length: 0\r\n\r\n",
        guarded.address,
        bearer(&hs256)
    );
    let (_, body) = ask(&mut connect(&guarded.address), &begin);
    let session: serde_json::Value = serde_json::from_slice(&body).expect("a session");
    let row = |name, hub: &Hub, header: String, query: String| Row {
        name,
        address: hub.address.clone(),
        header,
        query,
    };
    let none = String::new;
    vec![
        row("open hub", open, none(), none()),
        row(
            "session key",
            guarded,
            none(),
            format!("session={}", session["key"].as_str().expect("a key")),
        ),
        row("API key", guarded, bearer(api_key), none()),
        row("JWT, HS256", guarded, bearer(&hs256), none()),
        row("JWT, ES256", guarded, bearer(&es256), none()),
    ]
}

fn main() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = |name: &str| folder.join(name).to_str().expect("a path").to_owned();
    std::fs::write(path("bench-secret"), SECRET).expect("a file");
    let _ = std::fs::remove_file(path("bench-keys.toml"));
    let made = Command::new(env!("CARGO_BIN_EXE_triway"))
        .args([
            "key",
            "new",
            "bench",
            "--scope",
            "publish,read",
            "--api-keys",
            &path("bench-keys.toml"),
        ])
        .output()
        .expect("a key");
    let api_key = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let open = Hub::start(&["--open"]);
    let public = format!("{}/tests/keys/p256.pub.pem", env!("CARGO_MANIFEST_DIR"));
    let guarded = Hub::start(&[
        "--jwt-secret-file",
        &path("bench-secret"),
        "--jwt-key",
        &public,
        "--api-keys",
        &path("bench-keys.toml"),
    ]);
    let rows = rows(&open, &guarded, &api_key);
    let mut best = vec![[Duration::MAX; 2]; rows.len()];
    for _ in 0..TURNS {
        for (row, best) in rows.iter().zip(&mut best) {
            best[0] = best[0].min(row.publishes());
            best[1] = best[1].min(row.connects());
        }
    }
    println!(
        "| credential | publish, µs | to open | connect and poll, µs | to open |\n| --- | --- | --- | --- | --- |"
    );
    for (row, times) in rows.iter().zip(&best) {
        let [publish, connect] =
            [(0, PUBLISHES), (1, CONNECTS)].map(|(index, count): (usize, usize)| {
                let micros = times[index].as_secs_f64() * 1e6 / count as f64;
                (
                    micros,
                    times[index].as_secs_f64() / best[0][index].as_secs_f64(),
                )
            });
        println!(
            "| {} | {:.0} | {:.2} | {:.0} | {:.2} |",
            row.name, publish.0, publish.1, connect.0, connect.1
        );
    }
}
