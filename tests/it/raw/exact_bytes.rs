//! A hub in this process, and clients that write and read exact bytes.
//!
//! This module parses HTTP/1.1 and WebSocket frames only as far as the tests need. It hides no bytes of the server.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use triway::Builder;
use triway::server::{self, Drained, Options};

/// Longest time for one step of these tests. A slower step has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}

/// Repeats the check until it succeeds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let began = tokio::time::Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A hub with the defaults of the program, on its own port.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) hub: triway::Hub,
    shutdown: Option<oneshot::Sender<()>>,
    running: JoinHandle<std::io::Result<Drained>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(|_, _| {})
    }

    /// Starts a hub after `change` has set the options of the hub and of the accept loop.
    pub(crate) fn with(change: impl FnOnce(&mut Builder, &mut Options)) -> Self {
        Self::built(|mut builder, options| {
            change(&mut builder, options);
            builder
        })
    }

    pub(crate) fn built(change: impl FnOnce(Builder, &mut Options) -> Builder) -> Self {
        Self::built_to_read(change, false)
    }

    /// Starts the hub as the program does: simple requests of readers use the fast path, without hyper.
    pub(crate) fn plain(change: impl FnOnce(&mut Builder, &mut Options)) -> Self {
        let change = |mut builder, options: &mut Options| {
            change(&mut builder, options);
            builder
        };
        Self::built_to_read(change, true)
    }

    fn built_to_read(
        change: impl FnOnce(Builder, &mut Options) -> Builder,
        is_plain: bool,
    ) -> Self {
        let metrics = triway::Metrics::default();
        let mut options = Options {
            metrics: metrics.clone(),
            ..Options::default()
        };
        let builder = triway::Hub::builder().metrics(metrics);
        let builder = builder.with(|builder| builder.http = triway::HttpOptions::default());
        let hub = change(builder, &mut options).build();
        options.reader = is_plain.then(|| hub.reader());
        let listener = server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, told) = oneshot::channel::<()>();
        let told = async move {
            // A test that ends early drops the sender. The server then ends with its runtime.
            if told.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let draining = hub.clone();
        let serving = server::serve(listener, hub.router(), options, told, move || {
            draining.drain()
        });
        Self {
            address,
            hub,
            shutdown: Some(shutdown),
            running: tokio::spawn(serving),
        }
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::to(self.address).await
    }

    /// Sends these bytes on a new connection.
    pub(crate) async fn send(&self, bytes: impl AsRef<[u8]>) -> Wire {
        let mut wire = self.connect().await;
        wire.send(bytes).await;
        wire
    }

    /// Returns the response to a whole request.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).await.answer().await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask(get(target)).await
    }

    pub(crate) async fn post(
        &self,
        target: &str,
        content_type: &str,
        body: impl AsRef<[u8]>,
    ) -> Answer {
        self.ask(post(
            target,
            &[("Content-Type", content_type)],
            body.as_ref(),
        ))
        .await
    }

    /// Publishes a text, which must be accepted. Returns the event's id.
    pub(crate) async fn publish(&self, channel: &str, text: &str) -> String {
        let answer = self
            .post(&format!("/pub/{channel}"), "text/plain", text)
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Opens a new session. Returns its id and its key.
    pub(crate) async fn session(&self) -> (String, String) {
        session_of(&self.get("/poll/somewhere").await.json()["frames"][0])
    }

    /// Returns the value of this sample from `/metrics`.
    pub(crate) async fn metric(&self, sample: &str) -> f64 {
        self.get("/metrics").await.sample(sample)
    }

    pub(crate) fn begin_shutdown(&mut self) {
        self.shutdown.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn drained(self) -> Drained {
        in_time(self.running).await.unwrap().unwrap()
    }
}

/// Returns the id and the key of the session in a hello.
pub(crate) fn session_of(hello: &Value) -> (String, String) {
    let part = |name: &str| {
        hello["session"][name]
            .as_str()
            .unwrap_or_else(|| panic!("{hello}"))
            .to_owned()
    };
    (part("id"), part("key"))
}

pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

pub(crate) fn post(target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    [request.as_bytes(), body].concat()
}

/// One response, with its headers and its body unchanged.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn parse_head(head: &str) -> Self {
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap();
        let status = status
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Self {
            status: status.unwrap_or_else(|| panic!("no status in {head:?}")),
            headers: headers.collect(),
            body: Vec::new(),
        }
    }

    /// Returns the only header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let first = found.next();
        assert!(found.next().is_none(), "{name} twice in {self:?}");
        first.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Returns one sample of `/metrics`, or 0 if it is not listed.
    pub(crate) fn sample(&self, name: &str) -> f64 {
        let text = self.text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// One connection.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    /// Bytes that were read and not yet parsed.
    buffer: Vec<u8>,
}

impl Wire {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let stream = in_time(TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        in_time(self.stream.write_all(bytes.as_ref()))
            .await
            .unwrap();
    }

    /// Sends bytes that the server may not read to the end. Returns false if the write fails.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        in_time(self.stream.write_all(bytes.as_ref())).await.is_ok()
    }

    /// Reads once. Returns 0 at the end of the connection. A reset counts as an end.
    async fn read_more(&mut self) -> usize {
        in_time(self.stream.read_buf(&mut self.buffer))
            .await
            .unwrap_or(0)
    }

    /// Returns true if `count` bytes arrive before the end.
    pub(crate) async fn has(&mut self, count: usize) -> bool {
        while self.buffer.len() < count {
            if self.read_more().await == 0 {
                return false;
            }
        }
        true
    }

    pub(crate) async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert_ne!(
                self.read_more().await,
                0,
                "ended within {count} bytes: {:?}",
                self.seen()
            );
        }
        self.buffer.drain(..count).collect()
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }

    /// Reads up to the end of this text.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let end = loop {
            let found = self
                .buffer
                .windows(text.len())
                .position(|window| window == text.as_bytes());
            if let Some(at) = found {
                break at + text.len();
            }
            assert_ne!(
                self.read_more().await,
                0,
                "ended before {text:?}: {:?}",
                self.seen()
            );
        };
        String::from_utf8_lossy(&self.take(end).await).into_owned()
    }

    /// Reads everything up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.read_more().await != 0 {}
        std::mem::take(&mut self.buffer)
    }

    /// Reads the head of a response, and leaves its body unread.
    pub(crate) async fn head(&mut self) -> Answer {
        let head = self.until("\r\n\r\n").await;
        Answer::parse_head(head.trim_end_matches("\r\n"))
    }

    /// Reads one whole response.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        let chunked = answer
            .header("transfer-encoding")
            .is_some_and(|coding| coding == "chunked");
        if chunked {
            answer.body = self.chunks().await;
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().unwrap();
            answer.body = self.take(length).await;
        } else if answer.status != 101 && answer.status != 204 && answer.status != 304 {
            answer.body = self.rest().await;
        }
        answer
    }

    /// Reads one whole response, or returns `None` if the connection ends first.
    pub(crate) async fn try_answer(&mut self) -> Option<Answer> {
        while !self.buffer.windows(4).any(|window| window == b"\r\n\r\n") {
            let read = self.stream.read_buf(&mut self.buffer).await;
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
        Some(self.answer().await)
    }

    /// Reads and discards everything up to the end.
    pub(crate) async fn drain(&mut self) {
        let mut bytes = vec![0; 64 * 1024];
        while self.stream.read(&mut bytes).await.unwrap_or(0) > 0 {}
    }

    /// Reads one chunk of a chunked body, or returns `None` after the last.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.until("\r\n").await;
        let length =
            usize::from_str_radix(line.trim(), 16).unwrap_or_else(|_| panic!("no chunk: {line:?}"));
        let chunk = self.take(length).await;
        assert_eq!(self.take(2).await, b"\r\n", "a chunk ends");
        (length > 0).then_some(chunk)
    }

    /// Reads all chunks up to the last.
    pub(crate) async fn chunks(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await {
            all.extend_from_slice(&chunk);
        }
        all
    }

    /// Reads one event-stream block of a chunked stream. Returns its fields in order, without comments.
    pub(crate) async fn block(&mut self) -> Vec<(String, String)> {
        loop {
            let text = self.until("\n\n").await;
            // Between blocks, the sizes of chunks are lines that are not fields.
            let fields = text.lines().filter_map(|line| line.split_once(": "));
            let fields =
                fields.filter(|(name, _)| matches!(*name, "id" | "event" | "data" | "retry"));
            let fields: Vec<_> = fields
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            if !fields.is_empty() {
                return fields;
            }
        }
    }

    /// Returns the JSON of the next block with data.
    pub(crate) async fn block_json(&mut self) -> Value {
        loop {
            let block = self.block().await;
            if let Some((_, data)) = block.iter().find(|(name, _)| name == "data") {
                return serde_json::from_str(data)
                    .unwrap_or_else(|error| panic!("{error} in {data:?}"));
            }
        }
    }

    /// Closes the sending side.
    pub(crate) async fn finish(&mut self) {
        in_time(self.stream.shutdown()).await.unwrap();
    }

    /// Resets the connection instead of closing it.
    pub(crate) fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}
