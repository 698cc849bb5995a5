//! A feed as a stream of items.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_stream::stream;
use tokio_stream::Stream;

use super::{Feed, Item};

/// A stream of events and gaps: `while let Some(item) = feed.next().await`.
pub struct FeedStream(Pin<Box<dyn Stream<Item = Item> + Send>>);

impl From<Feed> for FeedStream {
    fn from(mut feed: Feed) -> Self {
        Self(Box::pin(stream! {
            loop {
                for item in feed.next().await.items {
                    yield item;
                }
            }
        }))
    }
}

impl Stream for FeedStream {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for FeedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedStream").finish_non_exhaustive()
    }
}
