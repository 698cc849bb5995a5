//! The origins and hosts that the guard refused: each is logged once, so that the operator can allow it.
//!
//! A page that is refused retries forever, and an attacker can invent any number of names, so the log is bounded. Does
//! not decide what is refused.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::protocol::Refusal;

/// The most names that are remembered, origins and hosts together: more than an operator reads.
const STRANGERS_MAX: usize = 100;
/// The most characters of a name that are shown. A longer one is no DNS name.
const NAME_CHARS_MAX: usize = 200;

/// The names that were refused until now.
#[derive(Debug, Default)]
pub(crate) struct RefusedHosts {
    /// The details of the refusals that were logged.
    seen: Mutex<HashSet<String>>,
}

/// Whether a refusal is to be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LogDecision {
    New,
    /// The last one that is remembered.
    Last,
    Known,
}

impl RefusedHosts {
    /// Logs this refusal of an origin or a host, unless it was logged before.
    pub(super) fn log(&self, refusal: &Refusal) {
        let sight = self.see(&refusal.detail);
        if sight == LogDecision::Known {
            return;
        }
        let (_, code, _, hint) = refusal.code.facts();
        tracing::warn!(code, hint, "{}", refusal.detail);
        if sight == LogDecision::Last {
            tracing::warn!("further refused origins and hosts are not logged");
        }
    }

    fn see(&self, detail: &str) -> LogDecision {
        let mut seen = self.seen.lock();
        if seen.len() >= STRANGERS_MAX || seen.contains(detail) {
            return LogDecision::Known;
        }
        seen.insert(detail.to_owned());
        if seen.len() == STRANGERS_MAX {
            LogDecision::Last
        } else {
            LogDecision::New
        }
    }
}

/// Makes a client's name for the hub safe to show in a refusal and in a log.
pub(super) fn printable(name: &str) -> String {
    let is_cut = name.chars().nth(NAME_CHARS_MAX).is_some();
    let name = name.chars().take(NAME_CHARS_MAX);
    let mut shown: String = name.map(|c| if c.is_control() { '?' } else { c }).collect();
    if is_cut {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stranger_is_seen_once_and_their_number_is_bounded() {
        let strangers = RefusedHosts::default();
        assert_eq!(strangers.see("a"), LogDecision::New);
        assert_eq!(strangers.see("a"), LogDecision::Known);
        for number in 2..STRANGERS_MAX {
            assert_eq!(strangers.see(&number.to_string()), LogDecision::New);
        }
        assert_eq!(strangers.see("b"), LogDecision::Last);
        assert_eq!(strangers.see("c"), LogDecision::Known);
        assert_eq!(strangers.seen.lock().len(), STRANGERS_MAX);
    }

    #[test]
    fn names_are_shown_without_controls_and_cut() {
        assert_eq!(printable("https://a.example"), "https://a.example");
        assert_eq!(printable("a\u{9b}31m"), "a?31m");
        assert_eq!(printable(&"x".repeat(201)), "x".repeat(200) + "…");
    }
}
