//! A small client: one request, one stream, one WebSocket.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use triway::{Hub, server};

/// The longest wait of a test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits within the longest wait of a test.
pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, what).await;
    waited.expect("it takes too long")
}

/// Serves a hub at the root of an app until the test ends.
pub(crate) fn serve(hub: &Hub) -> SocketAddr {
    let listener = server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let options = server::Options {
        reader: Some(hub.reader()),
        ..server::Options::default()
    };
    let serving = server::serve(
        listener,
        hub.router(),
        options,
        std::future::pending(),
        || {},
    );
    tokio::spawn(serving);
    address
}

/// The response to a request.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Returns the status, code and detail of a refusal. Asserts that it has a hint.
    pub(crate) fn refusal(&self) -> (u16, String, String) {
        let problem = self.json();
        assert!(!problem["hint"].as_str().unwrap().is_empty(), "{problem}");
        let text = |name: &str| problem[name].as_str().unwrap().to_owned();
        (self.status, text("code"), text("detail"))
    }
}

/// Sends a request on a new connection, with further header lines, each ended by CR LF.
pub(crate) async fn request(address: SocketAddr, line: &str, lines: &str, body: &str) -> Answer {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}");
    let text = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    in_time(socket.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head[9..12].parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, &format!("GET {path}"), "", "").await
}

pub(crate) async fn post(address: SocketAddr, path: &str, body: &str) -> Answer {
    request(address, &format!("POST {path}"), "", body).await
}

/// An open event stream.
pub(crate) struct Stream {
    socket: TcpStream,
    read: String,
}

impl Stream {
    pub(crate) async fn open(address: SocketAddr, path: &str, lines: &str) -> Self {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
        socket.write_all(text.as_bytes()).await.unwrap();
        let read = String::new();
        Self { socket, read }
    }

    /// Sends another request on the same connection.
    pub(crate) async fn send(&mut self, path: &str) {
        let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.socket.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until this text arrives, and returns everything up to the end of its line.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        loop {
            let found = self.read.find(text);
            let end = found.and_then(|at| Some(at + self.read[at..].find('\n')? + 1));
            if let Some(end) = end {
                return self.read.drain(..end).collect();
            }
            let mut bytes = [0; 4096];
            let count = in_time(self.socket.read(&mut bytes)).await.unwrap();
            assert!(
                count > 0,
                "the stream ended without `{text}`: {}",
                self.read
            );
            self.read.push_str(str::from_utf8(&bytes[..count]).unwrap());
        }
    }
}

/// An open WebSocket.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn open(address: SocketAddr, path: &str) -> Self {
        let opening = tokio_tungstenite::connect_async(format!("ws://{address}{path}"));
        Self(in_time(opening).await.unwrap().0)
    }

    /// Returns the next frame of this type.
    pub(crate) async fn frame(&mut self, kind: &str) -> Value {
        loop {
            let message = in_time(self.0.next()).await.unwrap().unwrap();
            if let Message::Text(text) = message {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["type"] == kind {
                    return frame;
                }
            }
        }
    }

    /// Sends a command and returns its reply.
    pub(crate) async fn command(&mut self, command: Value) -> Value {
        let text = Message::text(command.to_string());
        in_time(self.0.send(text)).await.unwrap();
        self.frame("reply").await
    }
}
