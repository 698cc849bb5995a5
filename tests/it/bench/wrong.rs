//! A hub that speaks SSE, accepts publishes, and makes one fault or one stall.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use triway::internal::{Hello, HelloSession};

/// The event with the fault, counted over all published events. The bench also judges warm-up events.
const WRONG_EVENT: usize = 40;

/// The fault. All but `Stalls` affect one reader only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    Loses,
    Repeats,
    Reorders,
    /// Makes no fault, but all publishes wait for [`STALL`] once.
    Stalls,
}

/// Length of the stall: far longer than a delivery takes on the busiest machine.
pub(super) const STALL: Duration = Duration::from_millis(800);
/// The event before the stall. It lies after the warm-up events at 100 events per second.
const STALLED_EVENT: usize = 100;

/// The hub. Its threads end with the test's process.
pub(super) struct WrongHub {
    pub(super) url: String,
}

#[derive(Default)]
struct State {
    readers: Vec<TcpStream>,
    /// Number of events published so far.
    count: usize,
    /// An event that one reader receives after the next one.
    held: Option<Vec<u8>>,
}

impl WrongHub {
    pub(super) fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || serve(stream.unwrap(), &state, fault));
            }
        });
        Self { url }
    }
}

/// Serves the requests of one connection until it becomes a stream or is closed.
fn serve(mut stream: TcpStream, state: &Mutex<State>, fault: Fault) -> Option<()> {
    let mut input = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut request = String::new();
        input
            .read_line(&mut request)
            .ok()
            .filter(|bytes| *bytes > 0)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            input.read_line(&mut line).ok()?;
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let path = request.split(' ').nth(1).unwrap();
        if path.starts_with("/sse") {
            let session = HelloSession {
                id: "s".into(),
                user: None,
                key: "k".into(),
                expires: 0,
                expires_in: 3_600,
            };
            let hello = Hello::new("e-0".parse().unwrap(), session, Vec::new(), &[]);
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            // A reader counts from the moment its hello is written: every event published after that is for it too.
            let mut state = state.lock().unwrap();
            stream
                .write_all(&[head.as_bytes(), &block(&hello.json())].concat())
                .ok()?;
            state.readers.push(stream);
            return None;
        }
        let channel = path.strip_prefix("/pub/")?.split('?').next()?.to_owned();
        let mut data = vec![0; length];
        input.read_exact(&mut data).ok()?;
        state
            .lock()
            .unwrap()
            .publish(&channel, &String::from_utf8(data).unwrap(), fault);
        let answer = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).ok()?;
    }
}

/// Encodes a frame as an event-stream block in one chunk.
fn block(frame: &str) -> Vec<u8> {
    let text = format!("data: {frame}\n\n");
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

impl State {
    fn publish(&mut self, channel: &str, data: &str, fault: Fault) {
        self.count += 1;
        if fault == Fault::Stalls && self.count == STALLED_EVENT {
            std::thread::sleep(STALL);
        }
        let frame = format!(
            r#"{{"type":"event","id":"e-{}","channel":"{channel}","name":"message","data":{data},"time":1}}"#,
            self.count
        );
        let event = block(&frame);
        let is_wrong = self.count == WRONG_EVENT;
        for (n, reader) in self.readers.iter_mut().enumerate() {
            let bytes = match (n, fault) {
                (0, Fault::Loses) if is_wrong => Vec::new(),
                (0, Fault::Repeats) if is_wrong => event.repeat(2),
                (0, Fault::Reorders) if is_wrong => {
                    self.held = Some(event.clone());
                    Vec::new()
                }
                (0, _) => [&event[..], &self.held.take().unwrap_or_default()].concat(),
                _ => event.clone(),
            };
            // Ignore the error: a disconnected reader misses nothing.
            let _ = reader.write_all(&bytes);
        }
    }
}
