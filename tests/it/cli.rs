//! The program in daily use: real processes, signals, files and pipes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest time for one step of these tests. A slower step has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn triway() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_triway"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TRIWAY_")) {
        command.env_remove(name);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    triway().args(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A process that is killed when the test ends.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.0.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn ends(&mut self) -> ExitStatus {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("still running after {PATIENCE:?}");
    }

    pub(crate) fn errors(&mut self) -> String {
        let mut errors = String::new();
        self.0
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut errors)
            .unwrap();
        errors
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A hub process, and the address from the first line of its output.
pub(crate) struct Hub {
    pub(crate) process: Running,
    pub(crate) url: String,
    out: BufReader<std::process::ChildStdout>,
}

impl Hub {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::of(triway().arg("serve").args(arguments))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        let mut process = Running::start(command);
        let mut out = BufReader::new(process.0.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let Some(url) = line.trim().strip_prefix("triway listening on ") else {
            panic!("{line:?}, {}", process.errors());
        };
        Self {
            url: url.to_owned(),
            process,
            out,
        }
    }

    pub(crate) fn authority(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Starts `triway sub` with these arguments. Returns the process and a reader of its output lines.
    pub(crate) fn subscribe(
        &self,
        arguments: &[&str],
    ) -> (Running, BufReader<std::process::ChildStdout>) {
        let mut process = Running::start(
            triway()
                .arg("sub")
                .args(arguments)
                .args(["--url", &self.url]),
        );
        let lines = BufReader::new(process.0.stdout.take().unwrap());
        (process, lines)
    }

    pub(crate) fn publish(&self, arguments: &[&str]) -> Output {
        triway()
            .arg("pub")
            .args(arguments)
            .args(["--url", &self.url])
            .output()
            .unwrap()
    }
}

pub(crate) fn line_of(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn the_first_line_names_the_address_and_the_next_lines_suggest_commands() {
    for arguments in [
        &["--listen", "127.0.0.1:0"][..],
        &["serve", "--listen", "localhost:0"],
    ] {
        let mut hub = Hub::of(triway().args(arguments));
        assert!(hub.url.starts_with("http://127.0.0.1:") && !hub.url.ends_with(":0"));
        let rest: Vec<_> = (0..4).map(|_| line_of(&mut hub.out)).collect();
        assert!(
            rest[1].ends_with(&format!("curl -N {}/sse/lobby", hub.url)),
            "{rest:?}"
        );
        assert!(
            rest[2].ends_with(&format!("curl -d hello {}/pub/lobby", hub.url)),
            "{rest:?}"
        );
        assert!(rest[3].ends_with(&format!("{}/", hub.url)), "{rest:?}");
    }
}

#[test]
fn a_non_loopback_address_is_refused_without_open() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = run(&["--listen", address]);
        assert!(!refused.status.success());
        let errors = text(&refused.stderr);
        assert!(
            errors.contains("--open") && errors.contains("--listen 127.0.0.1"),
            "{errors}"
        );
    }
    let hub = Hub::start(&["--listen", "0.0.0.0:0", "--open"]);
    assert!(hub.url.starts_with("http://0.0.0.0:"));
}

#[test]
fn a_port_in_use_is_named() {
    let hub = Hub::start(&["--listen", "127.0.0.1:0"]);
    let refused = run(&["--listen", hub.authority()]);
    assert_eq!(refused.status.code(), Some(1));
    let errors = text(&refused.stderr);
    assert!(
        errors.contains(hub.authority()) && errors.contains("in use"),
        "{errors}"
    );
}

#[test]
fn help_is_grouped_and_shows_examples() {
    let help = text(&run(&["--help"]).stdout);
    for part in ["serve", "pub", "sub", "Examples:", "curl -N"] {
        assert!(help.contains(part), "{part} in {help}");
    }
    let help = text(&run(&["serve", "--help"]).stdout);
    for part in [
        "Listening:",
        "Access:",
        "History:",
        "Limits:",
        "Times:",
        "TRIWAY_HISTORY_EVENTS",
    ] {
        assert!(help.contains(part), "{part} in {help}");
    }
    assert_eq!(
        text(&run(&["--version"]).stdout),
        format!("triway {}\n", env!("CARGO_PKG_VERSION"))
    );
    let mistyped = run(&["serve", "--histori-events", "5"]);
    assert_eq!(mistyped.status.code(), Some(2));
    assert!(text(&mistyped.stderr).contains("--history-events"));
}

#[test]
fn the_command_line_wins_over_environment_file_and_default() {
    let path = file(
        "layers.toml",
        "# ours\nlisten = \"127.0.0.2:0\"\nopen = true\nhistory-events = 7\norigin = [\"https://a.example\"]\n",
    );
    let path = path.to_str().unwrap();
    let by_file = Hub::start(&["--config", path]);
    assert!(
        by_file.url.starts_with("http://127.0.0.2:"),
        "{}",
        by_file.url
    );
    let by_environment = Hub::of(
        triway()
            .args(["--config", path])
            .env("TRIWAY_LISTEN", "127.0.0.3:0"),
    );
    assert!(
        by_environment.url.starts_with("http://127.0.0.3:"),
        "{}",
        by_environment.url
    );
    let mut all = triway();
    all.env("TRIWAY_LISTEN", "127.0.0.3:0")
        .env("TRIWAY_CONFIG", path);
    let by_flag = Hub::of(all.args(["--listen", "127.0.0.4:0"]));
    assert!(
        by_flag.url.starts_with("http://127.0.0.4:"),
        "{}",
        by_flag.url
    );
    let opened = file("open.toml", "open = true\nlisten = \"0.0.0.0:0\"");
    assert!(
        Hub::start(&["--config", opened.to_str().unwrap()])
            .url
            .starts_with("http://0.0.0.0:")
    );
}

#[test]
fn an_error_in_a_config_file_is_reported_with_its_line() {
    let cases = [
        (
            "# one\n\nhistori-events = 5\n",
            ":3: ",
            "`histori-events`; did you mean `history-events`?",
        ),
        ("max_data = 5\n", ":1: ", "did you mean `max-data`?"),
        ("open = true\nzzzz = 5\n", ":2: ", "unknown key `zzzz`"),
        (
            "history-bytes = \"lots\"\n",
            ":1: ",
            "`history-bytes`: expected a size such as 65536, 64KiB",
        ),
        (
            "\ndrain = 20\n",
            ":2: ",
            "`drain`: expected a time with its unit",
        ),
        (
            "history-events = [1, 2]\n",
            ":1: ",
            "expected a whole number such as 1000",
        ),
        (
            "open = \"yes\"\n",
            ":1: ",
            "`open`: expected true or false, found string",
        ),
        (
            "origin = [\n  \"https://a.example\",\n  \"nonsense\"]\n",
            ":1: ",
            "expected an origin",
        ),
        ("secret = \"hunter2\"\n", ":1: ", "at least 16 bytes"),
        ("heartbeat = \n", ":1: ", "is not TOML"),
        ("[server]\n", ":1: ", "unknown key `server`"),
    ];
    for (n, (content, line, complaint)) in cases.into_iter().enumerate() {
        let path = file(&format!("wrong-{n}.toml"), content);
        let refused = run(&[
            "--config",
            path.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
        ]);
        let errors = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{content}: {errors}");
        assert!(
            errors.contains(&format!("wrong-{n}.toml{line}")) && errors.contains(complaint),
            "{content}: {errors}"
        );
        assert!(!errors.contains("hunter2"), "a secret is not repeated");
    }
    let missing = run(&["--config", "no/such/file.toml"]);
    assert!(text(&missing.stderr).contains("no/such/file.toml: cannot be read"));
}

#[test]
fn a_signal_starts_the_drain_and_a_second_one_ends_it_at_once() {
    let mut hub = Hub::start(&["--listen", "127.0.0.1:0"]);
    let mut reader = std::net::TcpStream::connect(hub.authority()).unwrap();
    write!(reader, "GET /sse/lobby HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut reader = BufReader::new(reader);
    while !line_of(&mut reader).starts_with("id:") {}
    hub.process.signal("TERM");
    assert!(hub.process.ends().success());
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert!(
        rest.contains("event: $bye") && rest.ends_with("0\r\n\r\n"),
        "a bye, and the end of the answer: {rest:?}"
    );

    let mut hub = Hub::start(&["--listen", "127.0.0.1:0", "--drain", "1h"]);
    // A request whose body never arrives keeps the drain waiting.
    let mut stubborn = std::net::TcpStream::connect(hub.authority()).unwrap();
    write!(
        stubborn,
        "POST /pub/lobby HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1"
    )
    .unwrap();
    let mut asked = std::net::TcpStream::connect(hub.authority()).unwrap();
    write!(asked, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    asked.read_exact(&mut [0; 12]).unwrap();
    hub.process.signal("INT");
    while std::net::TcpStream::connect(hub.authority()).is_ok() {}
    assert_eq!(hub.process.0.try_wait().unwrap(), None, "it drains");
    hub.process.signal("INT");
    let began = Instant::now();
    hub.process.ends();
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn running_out_of_descriptors_is_survived() {
    let program = env!("CARGO_BIN_EXE_triway");
    let script = format!("ulimit -n 32; exec '{program}' serve --listen 127.0.0.1:0");
    let mut hub = Hub::of(
        Command::new("sh")
            .args(["-c", &script])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    let mut errors = BufReader::new(hub.process.0.stderr.take().unwrap());
    let mut held: Vec<_> = (0..60)
        .map(|_| std::net::TcpStream::connect(hub.authority()).unwrap())
        .collect();
    while !line_of(&mut errors).contains("Too many open files") {}
    held.drain(..50);
    let mut late = held.pop().unwrap();
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        late,
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
