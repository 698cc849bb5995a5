//! The load of plain HTTP clients: kept-alive connections, no session key and no nonce, head and body in one write.
//!
//! All requests of a turn are sent, then all responses are read. The load blocks its thread, because no other work runs
//! on it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::rows::Task;

/// The headers of every request, as `curl` writes them.
const HEADERS: &str = "Host: localhost\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n";
/// The channel of all requests.
const CHANNEL: &str = "users";
/// The time limit of a response.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Turns before the measured ones.
const WARM_UP_TURNS: u32 = 3;
/// The most headers of a response.
const HEADERS_MAX: usize = 32;
/// How long a server keeps working after the last connection is open.
const CONNECTED_PAUSE: Duration = Duration::from_millis(300);

/// The form of a poll request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// By `since`, with the cursor of the last response.
    Triway,
    /// By the headers of the last response.
    Nchan,
}

/// The load.
pub(crate) struct Users<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) dialect: Dialect,
    pub(crate) count: usize,
    pub(crate) seconds: f64,
    /// CPU time of the server until now, in ns.
    pub(crate) cpu_ns: &'a dyn Fn() -> anyhow::Result<u64>,
}

impl Users<'_> {
    /// Runs the task. The result has `server_cpu_ns_per_request`, where a connect counts as one request.
    pub(crate) fn run(&self, task: Task) -> anyhow::Result<Value> {
        let ns = match task {
            Task::Poll => self.polls()?,
            Task::Post => self.posts()?,
            Task::Connect => self.connects()?,
        };
        Ok(json!({ "server_cpu_ns_per_request": ns }))
    }

    fn connect_all(&self) -> anyhow::Result<Vec<Client>> {
        (0..self.count).map(|_| Client::new(self.address)).collect()
    }

    fn polls(&self) -> anyhow::Result<f64> {
        let mut publisher = Client::new(self.address)?;
        // nchan has no cursor for a channel without events.
        publisher.publish(0)?;
        let mut clients = self.connect_all()?;
        if self.dialect == Dialect::Triway {
            clients.iter_mut().try_for_each(Client::hello)?;
        }
        let mut number = 0;
        self.turns(|| {
            number += 1;
            for client in &mut clients {
                client.poll(self.dialect)?;
            }
            publisher.publish(number)?;
            let is_told = format!("\"{number:032}\"");
            for client in &mut clients {
                client.answer()?;
                if !client.body()?.contains(&is_told) {
                    bail!("an answer without its event: {}", client.body()?);
                }
                client.keep_place(self.dialect)?;
            }
            Ok(())
        })
    }

    fn posts(&self) -> anyhow::Result<f64> {
        let mut clients = self.connect_all()?;
        let mut number = 0;
        self.turns(|| {
            for client in &mut clients {
                number += 1;
                client.post(number)?;
            }
            clients.iter_mut().try_for_each(Client::answer)
        })
    }

    fn connects(&self) -> anyhow::Result<f64> {
        let before = (self.cpu_ns)()?;
        let mut clients = Vec::with_capacity(self.count);
        for _ in 0..self.count {
            let mut client = Client::new(self.address)?;
            client.hello()?;
            client.poll(Dialect::Triway)?;
            clients.push(client);
        }
        std::thread::sleep(CONNECTED_PAUSE);
        let took = (self.cpu_ns)()? - before;
        Ok(took as f64 / self.count as f64)
    }

    /// Returns the CPU time of the server for one request, over as many turns as fit into the measuring time.
    fn turns(&self, mut turn: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
        for _ in 0..WARM_UP_TURNS {
            turn()?;
        }
        let limit = Duration::from_secs_f64(self.seconds);
        let (began, before) = (Instant::now(), (self.cpu_ns)()?);
        let mut turns = 0;
        while turns == 0 || began.elapsed() < limit {
            turn()?;
            turns += 1;
        }
        let took = (self.cpu_ns)()? - before;
        Ok(took as f64 / (turns * self.count) as f64)
    }
}

/// A connection, the last response, and the position to poll from.
struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
    body_at: usize,
    place: String,
}

impl Client {
    fn new(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).context("cannot connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        // Close with a reset: otherwise thousands of ports stay occupied for a minute.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        Ok(Self {
            stream,
            answer: Vec::new(),
            body_at: 0,
            place: String::new(),
        })
    }

    fn send(&mut self, request: &str) -> anyhow::Result<()> {
        self.stream
            .write_all(request.as_bytes())
            .context("cannot write")
    }

    fn hello(&mut self) -> anyhow::Result<()> {
        self.send(&format!(
            "GET /poll/{CHANNEL}?since=now HTTP/1.1\r\n{HEADERS}\r\n"
        ))?;
        self.answer()?;
        self.keep_place(Dialect::Triway)
    }

    fn poll(&mut self, dialect: Dialect) -> anyhow::Result<()> {
        let place = &self.place;
        let request = match dialect {
            Dialect::Triway => {
                format!("GET /poll/{CHANNEL}?since={place} HTTP/1.1\r\n{HEADERS}\r\n")
            }
            Dialect::Nchan => format!("GET /poll/{CHANNEL} HTTP/1.1\r\n{HEADERS}{place}\r\n"),
        };
        self.send(&request)
    }

    fn post(&mut self, number: u64) -> anyhow::Result<()> {
        let data = format!("\"{number:032}\"");
        let length = data.len();
        self.send(&format!(
            "POST /pub/{CHANNEL} HTTP/1.1\r\n{HEADERS}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{data}"
        ))
    }

    fn publish(&mut self, number: u64) -> anyhow::Result<()> {
        self.post(number)?;
        self.answer()
    }

    /// Reads one whole response, which must be a success.
    fn answer(&mut self) -> anyhow::Result<()> {
        self.answer.clear();
        let mut part = [0; 4_096];
        loop {
            let read = self.stream.read(&mut part).context("no answer")?;
            if read == 0 {
                bail!("the server closed the connection");
            }
            self.answer.extend_from_slice(&part[..read]);
            if let Some((status, body_at, length)) = head(&self.answer)?
                && self.answer.len() >= body_at + length
            {
                self.body_at = body_at;
                if !(200..300).contains(&status) {
                    bail!("status {status}: {}", self.body()?);
                }
                return Ok(());
            }
        }
    }

    fn body(&self) -> anyhow::Result<&str> {
        Ok(str::from_utf8(&self.answer[self.body_at..])?)
    }

    /// Stores the position of the next poll.
    fn keep_place(&mut self, dialect: Dialect) -> anyhow::Result<()> {
        self.place = match dialect {
            Dialect::Triway => {
                let rest = self.body()?.split_once("\"cursor\":\"");
                let cursor = rest.and_then(|(_, rest)| rest.split_once('"'));
                cursor.context("an answer without a cursor")?.0.to_owned()
            }
            Dialect::Nchan => {
                let time = self.header("last-modified")?;
                let tag = self.header("etag")?;
                format!("If-Modified-Since: {time}\r\nIf-None-Match: {tag}\r\n")
            }
        };
        Ok(())
    }

    fn header(&self, name: &str) -> anyhow::Result<&str> {
        let head = str::from_utf8(&self.answer[..self.body_at])?;
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
        Ok(found
            .with_context(|| format!("an answer without {name}"))?
            .1)
    }
}

/// Returns the status, the bytes of the head, and the bytes of the body, once the head is complete.
fn head(bytes: &[u8]) -> anyhow::Result<Option<(u16, usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(body_at) = answer.parse(bytes)? else {
        return Ok(None);
    };
    let mut headers = answer.headers.iter();
    let length = headers.find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.context("an answer without a length")?;
    let length = str::from_utf8(length.value)?.parse()?;
    Ok(Some((answer.code.unwrap_or_default(), body_at, length)))
}
