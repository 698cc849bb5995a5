//! A reader over long polling. It keeps one connection, and each poll continues from the cursor of the last response.

use std::sync::Arc;

use anyhow::Context;

use super::frame::Meaning;
use super::link::BenchConnection;
use super::reader::BenchReader;

/// Polls until an error occurs.
pub(super) async fn read(mut reader: BenchReader) -> anyhow::Result<()> {
    let run = Arc::clone(&reader.run);
    let mut link = BenchConnection::connect(&run.target).await?;
    let (mut cursor, mut session) = (String::from("now"), String::new());
    for number in 0_u64.. {
        let nonce = format!("n{number}");
        let path = format!(
            "/poll?channels={}&since={cursor}&nonce={nonce}{session}",
            reader.name()
        );
        let request = run.target.request("GET", &path, "");
        link.write(request.as_bytes()).await?;
        let expected = reader.expected(&run);
        let mut now_ns = 0;
        let (answer, bytes_read) = link
            .answer(200, |body| {
                now_ns = run.meter.now_ns();
                expected.answer(body, &nonce)
            })
            .await?;
        cursor = answer.cursor;
        let hello = take(
            &mut reader,
            answer.frames,
            now_ns,
            (request.len(), bytes_read),
        )?;
        if number == 0 {
            let key = hello.context("the first answer has no hello")?;
            if !key.is_empty() {
                session = format!("&session={key}");
            }
            reader.connected(key);
        }
    }
    Ok(())
}

fn take(
    reader: &mut BenchReader,
    frames: Vec<Meaning>,
    now_ns: u64,
    (written, read): (usize, usize),
) -> anyhow::Result<Option<String>> {
    let run = Arc::clone(&reader.run);
    let mut books = run.meter.books();
    books.tally.requests += 1;
    books.tally.bytes_written += written as u64;
    books.tally.bytes_read += read as u64;
    let mut hello = None;
    for frame in frames {
        let told = reader.take(&mut books, frame, now_ns)?;
        hello = told.or(hello);
    }
    Ok(hello)
}
