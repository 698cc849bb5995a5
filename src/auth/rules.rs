//! Channel rules: which clients may read a channel and publish to it.
//!
//! The first rule whose pattern matches decides. A channel without a rule requires a grant. This file does not know
//! how a client is authenticated.

use std::fmt;
use std::str::FromStr;

use super::user_id::encode_user;

/// The placeholder of a pattern for one whole user id.
const USER: &str = "{user}";

/// The clients that may do an action in a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Every client, also without a credential.
    Anyone,
    /// Every client with a valid credential.
    User,
    /// The user whose id stands at `{user}` in the name of the channel.
    Owner,
    /// Clients whose credential names the channel.
    #[default]
    Grant,
    /// Back ends: clients with an API key.
    Server,
    /// No client.
    Nobody,
}

impl Audience {
    /// Every audience, with the word that a configuration uses.
    pub(super) const WORDS: [(&'static str, Self); 6] = [
        ("anyone", Self::Anyone),
        ("user", Self::User),
        ("owner", Self::Owner),
        ("grant", Self::Grant),
        ("server", Self::Server),
        ("nobody", Self::Nobody),
    ];
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(_, audience)| audience == self);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

impl FromStr for Audience {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        let found = Self::WORDS.iter().find(|(word, _)| *word == text);
        found.map(|(_, audience)| *audience).ok_or_else(|| {
            BadRule::new(format!(
                "expected anyone, user, owner, grant, server or nobody, found {text:?}"
            ))
        })
    }
}

/// A rule, or a pattern of channel names, that has no meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRule(String);

impl BadRule {
    pub(crate) fn new(complaint: impl Into<String>) -> Self {
        Self(complaint.into())
    }
}

impl fmt::Display for BadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadRule {}

/// A pattern of channel names.
///
/// A `*` at the end matches one or more characters. `{user}` matches one whole user id, up to the next `/` or the end.
/// Everything else matches itself.
///
/// ```
/// use triway::ChannelPattern;
/// let pattern: ChannelPattern = "user/{user}/*".parse().unwrap();
/// assert!(pattern.matches("user/ann/mail"));
/// assert!(!pattern.matches("user/ann"));
/// assert!("a*b".parse::<ChannelPattern>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChannelPattern {
    text: String,
    /// Up to the placeholder, or the whole pattern.
    before: String,
    /// After the placeholder, if the pattern has one.
    after: Option<String>,
    /// Whether a `*` stands at the end.
    is_open: bool,
}

impl ChannelPattern {
    /// Reports whether a channel name matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some(after) = &self.after else {
            return self.ends(name, &self.before);
        };
        let Some(rest) = name.strip_prefix(self.before.as_str()) else {
            return false;
        };
        let end = rest.find('/').unwrap_or(rest.len());
        end > 0 && self.ends(&rest[end..], after)
    }

    /// Reports whether a name matches with this user's id at the placeholder.
    fn belongs_to(&self, name: &str, user: &str) -> bool {
        let Some(after) = self.after.as_ref().filter(|_| !user.is_empty()) else {
            return false;
        };
        name.strip_prefix(self.before.as_str())
            .and_then(|rest| rest.strip_prefix(encode_user(user).as_ref()))
            .is_some_and(|rest| self.ends(rest, after))
    }

    /// Reports whether `text` is `expected`, or is longer and begins with it if the pattern is open.
    fn ends(&self, text: &str, expected: &str) -> bool {
        if self.is_open {
            text.len() > expected.len() && text.starts_with(expected)
        } else {
            text == expected
        }
    }
}

impl FromStr for ChannelPattern {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        let bad = |complaint: &str| Err(BadRule::new(format!("the pattern {text:?} {complaint}")));
        if text.is_empty() {
            return bad("is empty");
        }
        if text.starts_with(['$', '@']) {
            return bad(
                "begins with `$` or `@`: inboxes and the hub's own channels have fixed rules",
            );
        }
        let (fixed, is_open) = match text.strip_suffix('*') {
            Some(fixed) => (fixed, true),
            None => (text, false),
        };
        if fixed.contains('*') {
            return bad("has a `*` before its end");
        }
        let mut parts = fixed.splitn(2, USER);
        let before = parts.next().unwrap_or_default().to_owned();
        let after = parts.next().map(str::to_owned);
        if after.as_ref().is_some_and(|after| after.contains(USER)) {
            return bad("has `{user}` twice");
        }
        let is_segment = |after: &String| after.starts_with('/') || (after.is_empty() && !is_open);
        if !after.as_ref().is_none_or(is_segment) {
            return bad("continues after `{user}` without a `/`");
        }
        if text
            .chars()
            .any(|character| character.is_control() || character == ',')
        {
            return bad("contains a comma or a control character");
        }
        Ok(Self {
            text: text.to_owned(),
            before,
            after,
            is_open,
        })
    }
}

impl fmt::Display for ChannelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The rule of the channels that match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRule {
    /// The channels.
    pub pattern: ChannelPattern,
    /// The clients that may read: events, history and members.
    pub read: Audience,
    /// The clients that may publish.
    pub publish: Audience,
    /// Whether the channel shows its members.
    pub presence: bool,
}

impl ChannelRule {
    /// Returns a rule that requires a grant to read and to publish, and shows members.
    #[must_use]
    pub const fn new(pattern: ChannelPattern) -> Self {
        Self {
            pattern,
            read: Audience::Grant,
            publish: Audience::Grant,
            presence: true,
        }
    }

    /// Checks that the parts of the rule go together.
    ///
    /// # Errors
    /// Returns [`BadRule`] for `owner` in a rule whose pattern has no `{user}`.
    pub fn check(&self) -> Result<(), BadRule> {
        let names_owner = [self.read, self.publish].contains(&Audience::Owner);
        if names_owner && self.pattern.after.is_none() {
            let Self { pattern, .. } = self;
            let complaint = format!(
                "`owner` needs `{{user}}` in the pattern, found {:?}",
                pattern.text
            );
            return Err(BadRule::new(complaint));
        }
        Ok(())
    }
}

/// The rules of a hub, in the order in which they are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelRules(Vec<ChannelRule>);

impl ChannelRules {
    /// Returns these rules.
    ///
    /// # Errors
    /// Returns [`BadRule`] for a rule whose parts do not go together.
    pub fn new(rules: Vec<ChannelRule>) -> Result<Self, BadRule> {
        rules.iter().try_for_each(ChannelRule::check)?;
        Ok(Self(rules))
    }

    /// Returns the rule that decides about a channel.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&ChannelRule> {
        self.0.iter().find(|rule| rule.pattern.matches(name))
    }

    /// Returns all rules, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[ChannelRule] {
        &self.0
    }

    /// Reports whether a rule lets clients without a credential read or publish.
    pub(crate) fn are_open(&self) -> bool {
        let opens = |rule: &ChannelRule| [rule.read, rule.publish].contains(&Audience::Anyone);
        self.0.iter().any(opens)
    }

    /// Reports whether a channel may show its members.
    pub(crate) fn shows_members(&self, name: &str) -> bool {
        self.find(name).is_none_or(|rule| rule.presence)
    }
}

/// The place of a name in the rules: its audience, and the user id of its owner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ruling<'a> {
    pub(super) audience: Audience,
    pattern: Option<&'a ChannelPattern>,
}

impl ChannelRules {
    /// Returns who may read a channel.
    pub(super) fn readers(&self, name: &str) -> Ruling<'_> {
        self.ruling(name, |rule| rule.read)
    }

    /// Returns who may publish to a channel.
    pub(super) fn publishers(&self, name: &str) -> Ruling<'_> {
        self.ruling(name, |rule| rule.publish)
    }

    fn ruling(&self, name: &str, audience: impl Fn(&ChannelRule) -> Audience) -> Ruling<'_> {
        let rule = self.find(name);
        Ruling {
            audience: rule.map_or(Audience::default(), audience),
            pattern: rule.map(|rule| &rule.pattern),
        }
    }
}

impl Ruling<'_> {
    /// Reports whether this user owns the channel.
    pub(super) fn is_owner(&self, name: &str, user: &str) -> bool {
        self.pattern
            .is_some_and(|pattern| pattern.belongs_to(name, user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> ChannelPattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_pattern_matches_whole_names() {
        for (text, matching, others) in [
            (
                "room/*",
                &["room/1", "room/a/b", "room/%2F"][..],
                &["room", "room/", "rooms/1", "Room/1", "/room/1"][..],
            ),
            ("lobby", &["lobby"], &["lobby2", "lobb", "lobby/", "Lobby"]),
            ("*", &["a", "a/b"], &[]),
            (
                "user/{user}",
                &["user/ann", "user/安"],
                &["user/", "user/ann/", "user/ann/x"],
            ),
            (
                "user/{user}/*",
                &["user/ann/x", "user/ann/x/y"],
                &["user//x", "user/ann", "user/ann/"],
            ),
            (
                "{user}/mail",
                &["ann/mail"],
                &["/mail", "ann/mail/x", "a/b/mail"],
            ),
        ] {
            for name in matching {
                assert!(pattern(text).matches(name), "{text} {name}");
            }
            for name in others {
                assert!(!pattern(text).matches(name), "{text} {name}");
            }
        }
    }

    #[test]
    fn an_owner_is_one_whole_user_id() {
        let own = pattern("user/{user}/*");
        assert!(own.belongs_to("user/ann/mail", "ann"));
        assert!(own.belongs_to("user/a%2Fb/mail", "a/b"));
        for (name, user) in [
            ("user/ann/mail", "an"),
            ("user/ann/mail", "ann/mail"),
            ("user/annie/mail", "ann"),
            ("user/a/b/mail", "a/b"),
            ("user/*/mail", "*"),
            ("user/ann/", "ann"),
            ("user//mail", ""),
        ] {
            assert!(!own.belongs_to(name, user), "{name} {user}");
        }
        assert!(!pattern("user/*").belongs_to("user/ann", "ann"));
    }

    #[test]
    fn patterns_without_a_meaning_are_refused() {
        for text in [
            "",
            "a*b",
            "**",
            "*a",
            "{user}x",
            "{user}*",
            "{user}/{user}",
            "a,b",
            "a\n",
            "@{user}",
            "$presence/*",
        ] {
            assert!(text.parse::<ChannelPattern>().is_err(), "{text}");
        }
        let mut rule = ChannelRule::new(pattern("room/*"));
        rule.read = Audience::Owner;
        assert!(ChannelRules::new(vec![rule]).is_err());
        assert!("everybody".parse::<Audience>().is_err());
        for (word, audience) in Audience::WORDS {
            assert_eq!(
                (word.parse(), audience.to_string().as_str()),
                (Ok(audience), word)
            );
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rule = |text: &str, read| ChannelRule {
            read,
            ..ChannelRule::new(pattern(text))
        };
        let rules = ChannelRules::new(vec![
            rule("room/hidden", Audience::Nobody),
            rule("room/*", Audience::Anyone),
            rule("*", Audience::User),
        ])
        .unwrap();
        let reads = |name: &str| rules.readers(name).audience;
        assert_eq!(reads("room/hidden"), Audience::Nobody);
        assert_eq!(reads("room/1"), Audience::Anyone);
        assert_eq!(reads("room/"), Audience::User);
        assert_eq!(
            ChannelRules::default().readers("room/1").audience,
            Audience::Grant
        );
    }
}
