//! Publishing members on SSE and LP. They publish by POST with their session over a few shared connections, like the
//! pages of one browser.

use std::sync::Arc;

use super::frame;
use super::link::BenchConnection;
use super::reader::BenchRun;

/// Most connections, shared by all members.
pub(super) const CONNECTIONS_MAX: usize = 64;
/// The status of a successful publish.
const CREATED: u16 = 201;

/// Publishes the events scheduled for this connection, one after the other, until an error occurs.
pub(super) async fn outlet(run: Arc<BenchRun>, outlet: usize) -> anyhow::Result<()> {
    let mut link = BenchConnection::connect(&run.target).await?;
    run.meter.outlet_open();
    let mut due = Vec::new();
    loop {
        std::future::poll_fn(|context| run.meter.poll_due(outlet, context, &mut due)).await;
        for number in due.drain(..) {
            let (channel, publisher) = run.meter.depart(number);
            let channel = &run.channels[channel as usize].name;
            let session = match run.keys.lock().get(publisher as usize) {
                Some(key) if !key.is_empty() => format!("?session={key}"),
                _ => String::new(),
            };
            let data = frame::data(number, run.payload);
            let headers = format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                data.len()
            );
            let path = format!("/pub/{channel}{session}");
            let request = run.target.request("POST", &path, &headers) + &data;
            link.write(request.as_bytes()).await?;
            link.answer(CREATED, |_| Ok(())).await?;
        }
    }
}
