//! Connections over WebSocket: a reader, a member that publishes, or both on one connection.
//!
//! tungstenite parses and writes the headers of frames. Its connections are not used, because they keep a buffer for
//! each reader and allocate for each frame. The load generator must cost less than the hub that it measures.

use std::io::Cursor;
use std::sync::Arc;
use std::task::Poll;

use anyhow::bail;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::frame;
use super::link::BenchConnection;
use super::reader::{BenchReader, BenchRun};

/// Bytes of a handshake's key (RFC 6455, 4.1).
const KEY_BYTES: usize = 16;
/// The status of a successful handshake.
const SWITCHING: u16 = 101;

/// Reads until an error occurs. Publishes too if the reader has an outlet.
pub(super) async fn read(mut reader: BenchReader) -> anyhow::Result<()> {
    let run = Arc::clone(&reader.run);
    let mut link = open(&run, reader.name()).await?;
    let mut out = Vec::new();
    link.take_held(|bytes| take(&mut reader, &run, bytes, &mut out))?;
    let mut due = Vec::new();
    loop {
        std::future::poll_fn(|context| {
            if let Some(outlet) = reader.outlet
                && run.meter.poll_due(outlet, context, &mut due).is_ready()
            {
                return Poll::Ready(Ok(0));
            }
            link.poll_take(context, |bytes| take(&mut reader, &run, bytes, &mut out))
        })
        .await?;
        publish(&run, &mut due, &mut out);
        if !out.is_empty() {
            run.meter.books().tally.bytes_written += out.len() as u64;
            link.write(&out).await?;
            out.clear();
        }
    }
}

/// Publishes until an error occurs. It reads a channel without events, and the replies.
pub(super) async fn outlet(
    run: Arc<BenchRun>,
    outlet: usize,
    channel: String,
) -> anyhow::Result<()> {
    let mut link = open(&run, &channel).await?;
    let expected = frame::ExpectedEvent::new(&channel);
    let (mut out, mut due) = (Vec::new(), Vec::new());
    let mut is_open = false;
    let mut listen = |bytes: &[u8], out: &mut Vec<u8>| {
        each_message(bytes, out, |text| {
            let is_hello = matches!(expected.frame(text)?, frame::Meaning::Hello(_));
            if is_hello && !std::mem::replace(&mut is_open, true) {
                run.meter.outlet_open();
            }
            Ok(())
        })
    };
    link.take_held(|bytes| listen(bytes, &mut out))?;
    loop {
        std::future::poll_fn(|context| {
            if run.meter.poll_due(outlet, context, &mut due).is_ready() {
                return Poll::Ready(Ok(0));
            }
            link.poll_take(context, |bytes| listen(bytes, &mut out))
        })
        .await?;
        publish(&run, &mut due, &mut out);
        if !out.is_empty() {
            link.write(&out).await?;
            out.clear();
        }
    }
}

async fn open(run: &BenchRun, channel: &str) -> anyhow::Result<BenchConnection> {
    let mut link = BenchConnection::connect(&run.target).await?;
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(|_| anyhow::anyhow!("cannot get random bytes"))?;
    let headers = format!(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n",
        STANDARD.encode(key)
    );
    let path = format!("/ws?channels={channel}");
    let request = run.target.request("GET", &path, &headers);
    link.write(request.as_bytes()).await?;
    link.head(SWITCHING).await?;
    Ok(link)
}

/// Handles the frames of one read.
fn take(
    reader: &mut BenchReader,
    run: &BenchRun,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> anyhow::Result<usize> {
    let now_ns = run.meter.now_ns();
    let expected = reader.expected(run);
    let mut hello = None;
    let mut books = run.meter.books();
    let done = each_message(bytes, out, |text| {
        let told = reader.take(&mut books, expected.frame(text)?, now_ns)?;
        hello = told.or(hello.take());
        Ok(())
    })?;
    books.tally.bytes_read += done as u64;
    drop(books);
    if let Some(key) = hello {
        reader.connected(key);
    }
    Ok(done)
}

/// Passes the text of each complete message to `text`, and answers pings. Returns the number of bytes handled.
fn each_message(
    bytes: &[u8],
    out: &mut Vec<u8>,
    mut text: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let mut done = 0;
    loop {
        let mut cursor = Cursor::new(&bytes[done..]);
        let Some((header, length)) = FrameHeader::parse(&mut cursor)? else {
            return Ok(done);
        };
        let begin = done + usize::try_from(cursor.position())?;
        let end = begin.saturating_add(usize::try_from(length)?);
        let Some(payload) = bytes.get(begin..end) else {
            return Ok(done);
        };
        match header.opcode {
            OpCode::Data(Data::Text) if header.is_final => text(payload)?,
            OpCode::Control(Control::Ping) => message(OpCode::Control(Control::Pong), payload, out),
            OpCode::Control(Control::Pong) => {}
            OpCode::Control(Control::Close) => {
                bail!(
                    "the hub closed the WebSocket: {}",
                    frame::shown(payload.get(2..).unwrap_or_default())
                )
            }
            _ => bail!("not a WebSocket frame of a triway hub: {header:?}"),
        }
        done = end;
    }
}

/// Publishes the events that are due, with one write.
fn publish(run: &BenchRun, due: &mut Vec<u32>, out: &mut Vec<u8>) {
    for number in due.drain(..) {
        let channel = &run.channels[run.meter.depart(number).0 as usize].name;
        let data = frame::data(number, run.payload);
        let command = format!(r#"{{"type":"publish","channel":"{channel}","data":{data}}}"#);
        message(OpCode::Data(Data::Text), command.as_bytes(), out);
    }
}

/// Appends a message as clients send it. The mask is constant: masks protect against confused proxies (RFC 6455, 10.3),
/// and here only this program chooses what is sent.
fn message(opcode: OpCode, payload: &[u8], out: &mut Vec<u8>) {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let header = FrameHeader {
        opcode,
        mask: Some(MASK),
        ..FrameHeader::default()
    };
    header
        .format(payload.len() as u64, out)
        .expect("a Vec takes every write");
    let masked = payload.iter().zip(MASK.iter().cycle());
    out.extend(masked.map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_at_every_cut_and_pings_answered() {
        let stream = b"\x81\x02hi\x89\x01p\x81\x7e\x00\x80".iter().copied();
        let stream: Vec<u8> = stream.chain([b'x'; 128]).collect();
        for cut in 0..=stream.len() {
            let (mut found, mut out) = (Vec::new(), Vec::new());
            let mut note = |text: &[u8]| {
                found.push(text.len());
                Ok(())
            };
            let done = each_message(&stream[..cut], &mut out, &mut note).unwrap();
            each_message(&stream[done..], &mut out, &mut note).unwrap();
            assert_eq!(found, [2, 128], "{cut}");
            assert_eq!(out, b"\x8a\x81\x37\xfa\x21\x3d\x47", "{cut}");
        }
    }

    #[test]
    fn a_close_and_a_fragment_are_complaints() {
        for wrong in [&b"\x88\x07\x0b\xb9drain"[..], b"\x01\x02hi", b"\x82\x02hi"] {
            assert!(each_message(wrong, &mut Vec::new(), |_| Ok(())).is_err());
        }
    }
}
