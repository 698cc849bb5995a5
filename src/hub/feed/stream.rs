//! A feed as a stream of items.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Feed, Item};

/// A stream of events and gaps: `while let Some(item) = feed.next().await`.
#[derive(Debug)]
pub struct FeedStream {
    feed: Feed,
    ready: VecDeque<Item>,
}

impl From<Feed> for FeedStream {
    fn from(feed: Feed) -> Self {
        Self {
            feed,
            ready: VecDeque::new(),
        }
    }
}

impl tokio_stream::Stream for FeedStream {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        if self.ready.is_empty() {
            match self.feed.poll_next(cx) {
                Poll::Ready(batch) => self.ready.extend(batch.items),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(self.ready.pop_front())
    }
}
