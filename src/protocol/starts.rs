//! Where each channel of a request begins: the start of all, and those by name.
//!
//! Knows words only; what a start leads to is known to the hub.

use super::channel::read_name;
use super::{ChannelName, Code, Refusal};
use crate::cursor::Start;

/// The most starts by name: as many as channels could ever be asked for in one request.
const NAMED_STARTS_MAX: usize = 10_000;

/// The starts of a request while it is read.
#[derive(Default)]
pub(super) struct Starts {
    pub(super) all: Option<Start>,
    pub(super) named: Vec<(ChannelName, Start)>,
}

impl Starts {
    pub(super) fn set(&mut self, name: &str, text: &str) -> Result<(), Refusal> {
        let start = text
            .parse()
            .map_err(|error| Refusal::new(Code::BadCursor, format!("`since` is {error}")))?;
        if name.is_empty() {
            self.all = Some(start);
        } else if self.named.len() == NAMED_STARTS_MAX {
            return Err(Refusal::bad_parameter("more than 10,000 starts by name"));
        } else {
            self.named.push((read_name(name)?, start));
        }
        Ok(())
    }

    /// Gives each channel its start.
    pub(super) fn spread(
        self,
        channels: Vec<ChannelName>,
    ) -> Result<Vec<(ChannelName, Start)>, Refusal> {
        let default = self.all.unwrap_or_default();
        if channels.len() == 1 && self.named.is_empty() {
            return Ok(channels.into_iter().map(|name| (name, default)).collect());
        }
        let named: std::collections::HashMap<ChannelName, Start> = self.named.into_iter().collect();
        let mut seen = std::collections::HashSet::with_capacity(channels.len());
        let unique: Vec<ChannelName> = channels
            .into_iter()
            .filter(|name| seen.insert(name.clone()))
            .collect();
        // Looked up in a set: both lists are the client's, and their product would be a minute's work.
        if let Some(stranger) = named.keys().find(|name| !seen.contains(*name)) {
            return Err(Refusal::bad_parameter(format!(
                "`since.{stranger}` names a channel that is not read"
            )));
        }
        let start = |name: ChannelName| {
            let start = named.get(&name).copied().unwrap_or(default);
            (name, start)
        };
        Ok(unique.into_iter().map(start).collect())
    }
}
