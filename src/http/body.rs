//! Request bodies: read to the end, each within its size and time limits, all of them within one budget.
//!
//! Does not know what a body contains.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;

use crate::protocol::{Code, Refusal};
use crate::session::{InboundBudget, InboundPermit, full};

/// How many bytes of an oversized body are read and discarded, so that its sender reads the refusal.
const DISCARDED_BYTES_MAX: u64 = 17 * 1024 * 1024;
/// Reads bodies, all of them within the shared budget of inbound bytes.
#[derive(Debug)]
pub(crate) struct BodyReader(Arc<InboundBudget>);

impl BodyReader {
    pub(crate) fn new(inbound: Arc<InboundBudget>) -> Self {
        Self(inbound)
    }

    /// Reads a whole body within its size and time limits.
    ///
    /// A body that is too large or finds no room is read all the same, and discarded: a connection that is closed with
    /// unread bytes is reset, and a browser that is still sending would report a network failure instead of the
    /// response.
    pub(super) async fn read(
        &self,
        mut body: Body,
        limit: usize,
    ) -> Result<(Bytes, InboundPermit), Refusal> {
        use http_body_util::BodyExt as _;
        let announced = body.size_hint().lower();
        let read_max = DISCARDED_BYTES_MAX.max(limit as u64);
        let (mut whole, mut seen) = (BytesMut::new(), 0);
        let mut counted = self.0.begin();
        let mut has_room = true;
        whole.reserve(usize::try_from(announced).map_or(0, |bytes| bytes.min(limit)));
        while announced <= read_max && seen <= read_max {
            let Some(frame) = body.frame().await else {
                break;
            };
            let frame = frame.map_err(|error| unread(&error))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            seen += data.len() as u64;
            if seen <= limit as u64 && has_room {
                // Count the bytes that arrived. The announced length costs an attacker nothing.
                has_room = counted.set(seen as usize);
                if has_room {
                    whole.extend_from_slice(&data);
                    continue;
                }
            }
            whole = BytesMut::new();
            counted.give_back();
        }
        if seen.max(announced) > limit as u64 {
            let detail = format!("the body is larger than {limit} bytes");
            return Err(Refusal::new(Code::TooLarge, detail));
        }
        if !has_room {
            return Err(full());
        }
        // An event keeps its data for long, so free the room that a chunked body left unused.
        if whole.capacity() - whole.len() > whole.len() / 4 {
            return Ok((Bytes::copy_from_slice(&whole), counted));
        }
        Ok((whole.freeze(), counted))
    }
}

/// Returns the refusal of a body that could not be read to its end.
fn unread(error: &axum::Error) -> Refusal {
    if is_timeout(error) {
        return Refusal::new(Code::BodyTimeout, "the body did not arrive in time");
    }
    Refusal::bad_parameter("the body could not be read completely")
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    std::iter::from_fn(|| {
        let present = cause?;
        cause = present.source();
        Some(present)
    })
    .filter_map(|error| error.downcast_ref::<std::io::Error>())
    .any(|error| error.kind() == std::io::ErrorKind::TimedOut)
}
