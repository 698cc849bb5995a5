//! The channels that a request names, and where each of them begins.
//!
//! Parses text only; the hub knows what a start leads to. An error in one channel is kept with its name, since it does
//! not affect the other channels.

use std::collections::{HashMap, HashSet};

use percent_encoding::percent_decode_str;

use super::channel::read_name;
use super::refused_channels::echoed;
use super::{ChannelName, Code, Refusal, RefusedChannel};
use crate::protocol::cursor::Since;

/// The most starts by name: as many as the channels that one request could ever name.
const NAMED_STARTS_MAX: usize = 10_000;

/// A channel that a request names and its start, or the refusal of that channel.
pub type AskedChannel = Result<(ChannelName, Since), Box<RefusedChannel>>;

/// A name in a request, or its refusal.
pub(super) type Named = Result<ChannelName, Box<RefusedChannel>>;

/// Returns the names of one path segment or query value: split at commas first, then percent-decoded one by one.
pub(super) fn names_of_path(text: &str) -> Vec<Named> {
    let name = |part: &str| match percent_decode_str(part).decode_utf8() {
        Ok(name) => named(&name),
        Err(_) => {
            let refusal = Refusal::bad_channel("a channel name is not UTF-8");
            Err(Box::new(RefusedChannel::new(part, refusal)))
        }
    };
    text.split(',').map(name).collect()
}

/// Parses one name.
pub(super) fn named(name: &str) -> Named {
    read_name(name).map_err(|refusal| Box::new(RefusedChannel::new(name, refusal)))
}

fn text(named: &Named) -> &str {
    match named {
        Ok(name) => name.as_str(),
        Err(refused) => &refused.channel,
    }
}

/// The starts of a request while it is read.
#[derive(Default)]
pub(super) struct SinceMap {
    pub(super) all: Option<Since>,
    pub(super) named: Vec<(String, Result<Since, Refusal>)>,
}

impl SinceMap {
    /// Sets the start of one channel, or of all channels if the name is empty.
    pub(super) fn set(&mut self, name: &str, text: &str) -> Result<(), Refusal> {
        let start = text
            .parse()
            .map_err(|error| Refusal::new(Code::BadCursor, format!("`since` is {error}")));
        if name.is_empty() {
            self.all = Some(start?);
            return Ok(());
        }
        self.set_named(name, start)
    }

    /// Sets the start of one channel.
    pub(super) fn set_named(
        &mut self,
        name: &str,
        start: Result<Since, Refusal>,
    ) -> Result<(), Refusal> {
        if self.named.len() == NAMED_STARTS_MAX {
            return Err(Refusal::bad_parameter("more than 10,000 starts by name"));
        }
        self.named.push((name.to_owned(), start));
        Ok(())
    }

    /// Assigns a start to each channel. A channel that is named twice is read once.
    pub(super) fn spread(self, channels: Vec<Named>) -> Result<Vec<AskedChannel>, Refusal> {
        let default = self.all.unwrap_or_default();
        if channels.len() == 1 && self.named.is_empty() {
            let with_start = |named: Named| named.map(|name| (name, default));
            return Ok(channels.into_iter().map(with_start).collect());
        }
        let mut seen = HashSet::with_capacity(channels.len());
        let are_first: Vec<bool> = channels
            .iter()
            .map(|named| seen.insert(text(named)))
            .collect();
        // Search in a set: the client chooses both lists, and a comparison of each pair could take a minute.
        if let Some((stranger, _)) = self.named.iter().find(|(name, _)| !seen.contains(&**name)) {
            let stranger = echoed(stranger);
            return Err(Refusal::bad_parameter(format!(
                "`since.{stranger}` names a channel that is not read"
            )));
        }
        let mut starts: HashMap<String, Result<Since, Refusal>> = self.named.into_iter().collect();
        let mut with_start = |named: Named| {
            let name = named?;
            match starts.remove(name.as_str()) {
                None => Ok((name, default)),
                Some(Ok(start)) => Ok((name, start)),
                Some(Err(refusal)) => Err(Box::new(RefusedChannel::new(name.as_str(), refusal))),
            }
        };
        let unique = channels.into_iter().zip(are_first);
        let unique = unique.filter_map(|(named, is_first)| is_first.then(|| with_start(named)));
        Ok(unique.collect())
    }
}
