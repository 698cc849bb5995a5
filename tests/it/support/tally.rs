//! Compares the events that a reader received with those that were published. The events of each channel are numbered
//! from 0.
//!
//! This file knows neither transports nor ids: it checks what reaches the application.

use std::collections::HashMap;

use serde_json::Value;

use super::Told;

/// The numbers received of each channel so far, and the gaps.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    next: HashMap<String, u64>,
    holes: HashMap<String, bool>,
    pub(crate) gaps: Vec<Value>,
    pub(crate) events: u64,
}

impl Tally {
    /// Returns the next number of a channel.
    pub(crate) fn next(&self, channel: &str) -> u64 {
        self.next.get(channel).copied().unwrap_or_default()
    }

    /// Begins a channel at a number above 0.
    pub(crate) fn begin(&mut self, channel: &str, number: u64) {
        self.next.insert(channel.to_owned(), number);
    }

    /// Accepts an item. Panics if an event arrives twice or out of order, or if an event is missing that no gap has
    /// named.
    #[track_caller]
    pub(crate) fn take(&mut self, told: &Told) {
        match told {
            Told::Event(event) => self.take_event(event),
            Told::Gap(gap) => {
                let channel = gap["channel"].as_str().unwrap();
                self.holes.insert(channel.to_owned(), true);
                self.gaps.push(gap.clone());
            }
        }
    }

    #[track_caller]
    fn take_event(&mut self, event: &Value) {
        let channel = event["channel"].as_str().unwrap();
        // A number alone, or a number in front of data that makes the event larger.
        let data = &event["data"];
        let number = data.as_u64().or_else(|| data[0].as_u64()).unwrap();
        let next = self.next.entry(channel.to_owned()).or_default();
        assert!(
            number >= *next,
            "twice or out of order, {next} was due: {event}"
        );
        let hole = self.holes.insert(channel.to_owned(), false);
        assert!(
            number == *next || hole == Some(true),
            "lost without a gap, {next} was due: {event}"
        );
        *next = number + 1;
        self.events += 1;
    }
}
