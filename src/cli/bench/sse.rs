//! A reader over Server-Sent Events: parses chunks of the response, blocks of the event stream, and the frame in each.
//!
//! Handles only what a hub writes in format `full`: one line of data per frame.

use std::sync::Arc;

use memchr::memmem;

use super::frame::{ExpectedEvent, Meaning};
use super::link::{self, BenchConnection, Body};
use super::reader::BenchReader;

/// Reads until an error occurs.
pub(super) async fn read(mut reader: BenchReader) -> anyhow::Result<()> {
    let run = Arc::clone(&reader.run);
    let mut link = BenchConnection::connect(&run.target).await?;
    let path = format!("/sse?channels={}&format=full", reader.name());
    let request = run
        .target
        .request("GET", &path, "Accept: text/event-stream\r\n");
    link.write(request.as_bytes()).await?;
    {
        let mut books = run.meter.books();
        books.tally.bytes_written += request.len() as u64;
        books.tally.requests += 1;
    }
    let (head, _) = link.head(200).await?;
    let mut stream = BenchStream {
        is_chunked: head.body == Body::Chunked,
        text: Vec::new(),
    };
    link.take_held(|bytes| take(&mut reader, &mut stream, bytes))?;
    loop {
        std::future::poll_fn(|context| {
            link.poll_take(context, |bytes| take(&mut reader, &mut stream, bytes))
        })
        .await?;
    }
}

/// Handles the frames of one read.
fn take(reader: &mut BenchReader, stream: &mut BenchStream, bytes: &[u8]) -> anyhow::Result<usize> {
    let run = Arc::clone(&reader.run);
    let now_ns = run.meter.now_ns();
    let expected = reader.expected(&run);
    let mut hello = None;
    let mut books = run.meter.books();
    let done = stream.take(bytes, expected, |frame| {
        let told = reader.take(&mut books, frame, now_ns)?;
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

/// An event stream, and the part of a block that arrived in an earlier chunk.
#[derive(Debug)]
struct BenchStream {
    is_chunked: bool,
    text: Vec<u8>,
}

impl BenchStream {
    fn take(
        &mut self,
        bytes: &[u8],
        expected: &ExpectedEvent,
        mut frame: impl FnMut(Meaning) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        if !self.is_chunked {
            self.text(bytes, expected, &mut frame)?;
            return Ok(bytes.len());
        }
        let mut done = 0;
        while let Some((begin, length)) = link::chunk(&bytes[done..])? {
            anyhow::ensure!(length > 0, "the hub ended the stream");
            let (begin, end) = (done + begin, done + begin + length);
            // The data and the line break that ends the chunk.
            if bytes.len() < end + 2 {
                break;
            }
            self.text(&bytes[begin..end], expected, &mut frame)?;
            done = end + 2;
        }
        Ok(done)
    }

    /// Handles text of the stream, which is usually whole blocks.
    fn text(
        &mut self,
        new: &[u8],
        expected: &ExpectedEvent,
        frame: &mut impl FnMut(Meaning) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self.text.is_empty() {
            let done = blocks(new, expected, frame)?;
            self.text.extend_from_slice(&new[done..]);
        } else {
            self.text.extend_from_slice(new);
            let done = blocks(&self.text, expected, frame)?;
            self.text.drain(..done);
        }
        Ok(())
    }
}

/// Handles each complete block. Returns the number of bytes handled.
fn blocks(
    text: &[u8],
    expected: &ExpectedEvent,
    frame: &mut impl FnMut(Meaning) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let mut done = 0;
    while let Some(length) = memmem::find(&text[done..], b"\n\n") {
        for line in text[done..done + length].split(|byte| *byte == b'\n') {
            if let Some(data) = line.strip_prefix(b"data:") {
                frame(expected.frame(data.strip_prefix(b" ").unwrap_or(data))?)?;
            }
        }
        done += length + 2;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_however_they_are_cut() {
        let event = |number, offset| {
            let data = super::super::frame::data(number, 9);
            format!(
                "id: e-{offset}\ndata: {{\"type\":\"event\",\"id\":\"e-{offset}\",\"channel\":\"b\",\"name\":\"message\",\"data\":{data}}}\n\n"
            )
        };
        let text = format!(
            "retry: 2000\n: triway/1\n\n{}: ping\n\n{}",
            event(1, 5),
            event(2, 6)
        );
        for chunk_bytes in [1, 7, 64, text.len()] {
            let mut wire = Vec::new();
            for chunk in text.as_bytes().chunks(chunk_bytes) {
                wire.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            for cut in 0..=wire.len() {
                let mut stream = BenchStream {
                    is_chunked: true,
                    text: Vec::new(),
                };
                let mut found = Vec::new();
                let mut note = |frame| {
                    found.push(frame);
                    Ok(())
                };
                let expected = ExpectedEvent::new("b");
                let done = stream.take(&wire[..cut], &expected, &mut note).unwrap();
                stream.take(&wire[done..], &expected, &mut note).unwrap();
                assert_eq!(
                    found,
                    [Meaning::Event(1, 5), Meaning::Event(2, 6)],
                    "{chunk_bytes}, {cut}"
                );
            }
        }
    }
}
