//! The channels that a credential names.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::BadRule;

/// Channels that a credential reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// All channels except the hub's own and the inboxes of others.
    #[default]
    All,
    /// The channels with these names. A `*` at the end matches one or more characters; a `*` alone matches every channel
    /// except inboxes and the hub's own.
    Some(Vec<String>),
}

impl Reach {
    /// Returns the channels that these patterns name.
    ///
    /// # Errors
    /// Returns [`BadRule`] for a pattern that is empty or has a `*` before its end.
    pub fn of_patterns(patterns: Vec<String>) -> Result<Self, BadRule> {
        let is_bad = |pattern: &&String| {
            let fixed = pattern.strip_suffix('*').unwrap_or(pattern);
            pattern.is_empty() || fixed.contains('*')
        };
        match patterns.iter().find(is_bad) {
            Some(pattern) => Err(BadRule::new(format!(
                "the pattern {pattern:?} is empty, or has a `*` before its end"
            ))),
            None => Ok(Self::Some(patterns)),
        }
    }

    pub(super) fn is_all(&self) -> bool {
        *self == Self::All
    }

    pub(super) fn covers(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(patterns) => patterns.iter().any(|pattern| matches(pattern, name)),
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("every channel"),
            Self::Some(patterns) if patterns.is_empty() => f.write_str("no channel"),
            Self::Some(patterns) => f.write_str(&patterns.join(", ")),
        }
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => !name.starts_with(['@', '$']),
        Some(prefix) => name.len() > prefix.len() && name.starts_with(prefix),
        None => name == pattern,
    }
}
