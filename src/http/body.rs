//! Request bodies: read whole, each within its limit and its time, all of them within one bound.
//!
//! Knows nothing of what is in them.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;

use crate::protocol::{Code, Refusal};

/// Bytes that are read at least of a body which is too large, so that its sender gets to read the refusal.
const DISCARDED_BYTES_MAX: u64 = 17 * 1024 * 1024;
/// Of each body so much is not counted, so that usual publishes go through while large bodies fill the bound. The
/// number of connections bounds them.
const UNCOUNTED_BYTES: usize = 16 * 1024;
/// When somebody whose body found no room may come again, in seconds: a body takes a second or two, or its sender is
/// the one that is slow.
const FULL_RETRY_AFTER_S: u64 = 2;

/// The memory of all bodies that are on their way or being acted on.
#[derive(Debug)]
pub(crate) struct Bodies {
    /// `None` is no bound.
    most: Option<usize>,
    held: AtomicUsize,
}

/// Keeps a body counted until it is dropped.
#[derive(Debug)]
pub(super) struct Counted<'a> {
    bodies: &'a Bodies,
    bytes: usize,
}

impl Bodies {
    pub(crate) fn new(most: Option<usize>) -> Self {
        Self {
            most,
            held: AtomicUsize::new(0),
        }
    }

    /// Bytes held now.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Reads a body whole, within its limit and its time.
    ///
    /// What is too large, or finds no room, is read all the same, and thrown away: a connection that is closed with
    /// unread bytes is reset, and a browser that was still sending would see no answer but a network that failed.
    pub(super) async fn read(
        &self,
        mut body: Body,
        limit: usize,
    ) -> Result<(Bytes, Counted<'_>), Refusal> {
        use http_body_util::BodyExt as _;
        let announced = body.size_hint().lower();
        let read_max = DISCARDED_BYTES_MAX.max(limit as u64);
        let (mut whole, mut seen) = (BytesMut::new(), 0);
        let mut counted = Counted {
            bodies: self,
            bytes: 0,
        };
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
                has_room = counted.grow(seen as usize);
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

impl Counted<'_> {
    /// Counts a body of this length. Whether there is room for it: there always is for one that is alone, since
    /// data may be allowed that is larger than the bound.
    fn grow(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(UNCOUNTED_BYTES + self.bytes);
        if more == 0 {
            return true;
        }
        let before = self.bodies.held.fetch_add(more, Ordering::Relaxed);
        let is_alone = before == self.bytes;
        self.bytes += more;
        is_alone || before + more <= self.bodies.most.unwrap_or(usize::MAX)
    }

    fn give_back(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.bodies.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

fn full() -> Refusal {
    Refusal::passing(
        Code::TooManyBodies,
        "the hub holds as much of request bodies as it may (--bodies-total)",
        FULL_RETRY_AFTER_S,
    )
}

/// Why a body could not be read to its end.
fn unread(error: &axum::Error) -> Refusal {
    if is_timeout(error) {
        return Refusal::new(Code::BodyTimeout, "the body did not end in time");
    }
    Refusal::bad_parameter("the body could not be read to its end")
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
