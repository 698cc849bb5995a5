//! Members on SSE and LP that publish: by POST with their session, over a few connections that they share, as the
//! pages of one browser would.

use std::sync::Arc;

use super::frame;
use super::link::Link;
use super::reader::Run;

/// Connections that all members share.
pub(super) const CONNECTIONS_MAX: usize = 64;
/// The status of an event that was published.
const CREATED: u16 = 201;

/// Publishes what is due at this outlet, one after the other, until something is wrong.
pub(super) async fn outlet(run: Arc<Run>, outlet: usize) -> anyhow::Result<()> {
    let mut link = Link::connect(&run.target).await?;
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
