//! A hub that speaks SSE and takes publishes, and is wrong once, or slow once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The event that goes wrong, by its place among all that are published. Events that warm up are judged too.
const WRONG_EVENT: usize = 40;

/// What it does wrong, at one reader.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    Loses,
    Repeats,
    Reorders,
    /// Nothing wrong, but all publishes wait for [`STALL`], once.
    Stalls,
}

/// How long a hub stalls: far longer than a delivery takes on the busiest machine.
pub(super) const STALL: Duration = Duration::from_millis(800);
/// The event before which it stalls: after those that warm up at 100 events per second.
const STALLED_EVENT: usize = 100;

/// The hub; its threads end with the test's process.
pub(super) struct WrongHub {
    pub(super) url: String,
}

#[derive(Default)]
struct State {
    readers: Vec<TcpStream>,
    /// What was published so far.
    count: usize,
    /// An event that one reader gets after the next one.
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

/// Requests of one connection, until it becomes a stream or is closed.
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
            let hello =
                r#"{"type":"hello","magic":"triway/1","id":"e-0","session":{"id":"s","key":"k"}}"#;
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            // A reader that has heard the hello is one already: what is published from then on is for it too.
            let mut state = state.lock().unwrap();
            stream
                .write_all(&[head.as_bytes(), &block(hello)].concat())
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

/// A frame as a block of an event stream, as one chunk.
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
            // A reader that is gone lacks nothing.
            let _ = reader.write_all(&bytes);
        }
    }
}
