//! The channel rules of the TOML file: its `[[channel]]` tables, in order.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::BadFile;
use crate::auth::{BadRule, ChannelRule, ChannelRules};

/// The key of the tables.
pub(super) const KEY: &str = "channel";

#[derive(Deserialize)]
struct File {
    #[serde(default, rename = "channel")]
    rules: Vec<Spanned<Table>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    r#match: String,
    read: Option<String>,
    publish: Option<String>,
    presence: Option<bool>,
}

impl Table {
    fn rule(&self) -> Result<ChannelRule, BadRule> {
        let mut rule = ChannelRule::new(self.r#match.parse()?);
        if let Some(read) = &self.read {
            rule.read = read.parse()?;
        }
        if let Some(publish) = &self.publish {
            rule.publish = publish.parse()?;
        }
        rule.presence = self.presence.unwrap_or(rule.presence);
        rule.check()?;
        Ok(rule)
    }
}

/// Returns the channel rules of a file.
///
/// # Errors
/// Returns [`BadFile`], with the line, if the file cannot be read or a rule has no meaning.
pub fn channel_rules(path: &Path) -> Result<ChannelRules, BadFile> {
    let bad = |line, complaint| BadFile::new(path, line, complaint);
    let text = std::fs::read_to_string(path)
        .map_err(|error| bad(None, format!("cannot be read: {error}")))?;
    let line_at = |span: Range<usize>| text[..span.start.min(text.len())].matches('\n').count() + 1;
    let file: File = toml::from_str(&text).map_err(|error| {
        bad(
            error.span().map(line_at),
            format!("`{KEY}`: {}", error.message()),
        )
    })?;
    let rule = |table: &Spanned<Table>| {
        let rule = table.get_ref().rule();
        rule.map_err(|complaint| bad(Some(line_at(table.span())), format!("`{KEY}`: {complaint}")))
    };
    let rules = file.rules.iter().map(rule).collect::<Result<_, _>>()?;
    ChannelRules::new(rules).map_err(|complaint| bad(None, complaint.to_string()))
}
