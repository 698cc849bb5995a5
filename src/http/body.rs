//! Request bodies: read whole, each within its limit and its time, all of them within one bound.
//!
//! Knows nothing of what is in them.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;

use crate::protocol::{Code, Refusal};
use crate::session::{InboundBudget, InboundPermit, full};

/// Bytes that are read at least of a body which is too large, so that its sender gets to read the refusal.
const DISCARDED_BYTES_MAX: u64 = 17 * 1024 * 1024;
/// Reads bodies, all of them within the one bound of what is on its way.
#[derive(Debug)]
pub(crate) struct BodyReader(Arc<InboundBudget>);

impl BodyReader {
    pub(crate) fn new(inbound: Arc<InboundBudget>) -> Self {
        Self(inbound)
    }

    /// Reads a body whole, within its limit and its time.
    ///
    /// What is too large, or finds no room, is read all the same, and thrown away: a connection that is closed with
    /// unread bytes is reset, and a browser that was still sending would see no answer but a network that failed.
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
                // By what came, not by what was announced: that costs a stranger nothing.
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
        // An event keeps its data for long: room that a chunked body left unused is not kept with it.
        if whole.capacity() - whole.len() > whole.len() / 4 {
            return Ok((Bytes::copy_from_slice(&whole), counted));
        }
        Ok((whole.freeze(), counted))
    }
}

/// Why a body could not be read to its end.
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
