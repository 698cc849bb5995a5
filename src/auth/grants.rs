//! The rights of a credential, and the judgement of each channel by them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rules::Ruling;
use super::user_id::{check_user, encode_user};
use super::{Audience, ChannelRules, KEY_LIFETIME_S, Reach};
use crate::protocol::{ChannelName, Code, Owner, Refusal};

/// The rights of a credential.
///
/// ```
/// use triway::{Grants, Reach};
/// let grants = Grants::new(Reach::Some(vec!["news/*".into()]), Reach::Some(vec![])).with_user("ann").unwrap();
/// assert_eq!(grants.user(), Some("ann"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    // Names are short and defaults are omitted: keys are sent in addresses, and some middleboxes allow only 500 bytes.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<Arc<str>>,
    #[serde(rename = "r", default, skip_serializing_if = "Reach::is_all")]
    pub(super) read: Reach,
    #[serde(rename = "p", default, skip_serializing_if = "Reach::is_all")]
    pub(super) publish: Reach,
    /// Whether events are published without `from`, as by an application's own back end.
    #[serde(rename = "s", default, skip_serializing_if = "is_false")]
    server: bool,
    /// Whether a credential was presented. Clients without one have the grants of anonymous clients.
    #[serde(rename = "c", default, skip_serializing_if = "is_false")]
    has_credential: bool,
    /// Seconds since 1970 at which the grants expire.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<u64>,
    /// Seconds since 1970 at which the credential was last presented. Keys made from it end an hour later.
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    presented: Option<u64>,
    /// Milliseconds since 1970 at which the credential was issued.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    issued_ms: Option<u64>,
    /// The id of the credential, by which it is revoked.
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
    credential_id: Option<Arc<str>>,
    /// The info that presence shows, as JSON. It replaces the info of a request.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub(super) info: Option<Arc<str>>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Grants {
    /// Returns grants to read and to publish.
    #[must_use]
    pub const fn new(read: Reach, publish: Reach) -> Self {
        Self {
            user: None,
            read,
            publish,
            server: false,
            has_credential: false,
            expires: None,
            presented: None,
            issued_ms: None,
            credential_id: None,
            info: None,
        }
    }

    /// Returns grants for everything, which an open listener gives to all clients.
    #[must_use]
    pub const fn everything() -> Self {
        Self::new(Reach::All, Reach::All)
    }

    /// Returns grants for nothing, beyond what channel rules give to every client.
    #[must_use]
    pub const fn nothing() -> Self {
        Self::new(Reach::Some(Vec::new()), Reach::Some(Vec::new()))
    }

    /// Returns the same grants with a user id, which is shown as `from`. The user owns the inbox `@` with the id.
    ///
    /// # Errors
    /// `unauthorized` for ids that are empty, have more than 120 bytes once `/`, `*`, `%` and `,` are percent-encoded,
    /// contain control characters, or look like session ids.
    pub fn with_user(mut self, user: &str) -> Result<Self, Refusal> {
        check_user(user)?;
        self.user = Some(Arc::from(user));
        Ok(self)
    }

    /// Returns the same grants as those of a client that presented a credential.
    #[must_use]
    pub(crate) const fn by_credential(mut self) -> Self {
        self.has_credential = true;
        self
    }

    /// Returns the same grants as those of a credential that was presented at this time, in seconds since 1970.
    #[must_use]
    pub(crate) const fn presented_at(mut self, now_s: u64) -> Self {
        self.presented = Some(now_s);
        self
    }

    /// Returns when the last session key for these grants ends, in seconds since 1970: with the credential, or an hour
    /// after it was presented. A key that is renewed without the credential lives no longer.
    pub(super) fn keys_end_s(&self) -> Option<u64> {
        let presented = self.presented.map(|at| at.saturating_add(KEY_LIFETIME_S));
        [self.expires, presented].into_iter().flatten().min()
    }

    /// Returns the same grants with this expiry, in seconds since 1970.
    #[must_use]
    pub const fn until(mut self, expires_s: u64) -> Self {
        self.expires = Some(expires_s);
        self
    }

    /// Returns the same grants as those of a credential that was issued at this time, in seconds since 1970, and has this
    /// id. A revocation ends credentials that were issued before it; without a time, a credential counts as old.
    #[must_use]
    pub fn issued(mut self, issued_s: Option<u64>, id: Option<&str>) -> Self {
        self.issued_ms = issued_s.map(|seconds| seconds.saturating_mul(1_000));
        self.credential_id = id.map(Arc::from);
        self
    }

    /// Returns the same grants as judged at this time, in ms since 1970, unless their credential says when it was issued.
    #[must_use]
    pub(crate) fn judged_at(mut self, now_ms: u64) -> Self {
        self.issued_ms.get_or_insert(now_ms);
        self
    }

    /// When the credential was issued, in ms since 1970.
    pub(crate) const fn issued_ms(&self) -> Option<u64> {
        self.issued_ms
    }

    /// The id of the credential.
    pub(crate) fn credential_id(&self) -> Option<&str> {
        self.credential_id.as_deref()
    }

    /// The id of the credential, to be shared.
    pub(crate) fn shared_credential_id(&self) -> Option<Arc<str>> {
        self.credential_id.clone()
    }

    /// Returns the same grants with info, as JSON, that presence shows of the client. The client cannot change it.
    #[must_use]
    pub fn showing(mut self, info: Option<String>) -> Self {
        self.info = info.map(Arc::from);
        self
    }

    /// Returns the same grants for an application's own back end. Its publishes carry no `from`, and channel rules treat it
    /// as a [`Server`](Audience::Server).
    #[must_use]
    pub const fn as_server(mut self) -> Self {
        self.server = true;
        self
    }

    /// Returns the user id.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the user id as a shared string.
    pub(crate) fn shared_user(&self) -> Option<Arc<str>> {
        self.user.clone()
    }

    /// Returns when the grants expire, in seconds since 1970.
    #[must_use]
    pub const fn expires_s(&self) -> Option<u64> {
        self.expires
    }

    /// Returns the channels that the credential names for reading.
    #[cfg(feature = "cli")]
    pub(crate) const fn read_patterns(&self) -> &Reach {
        &self.read
    }

    /// Returns the channels that the credential names for publishing.
    #[cfg(feature = "cli")]
    pub(crate) const fn publish_patterns(&self) -> &Reach {
        &self.publish
    }

    /// The info that presence shows, as JSON.
    pub(crate) fn info(&self) -> Option<&str> {
        self.info.as_deref()
    }

    /// Returns the `from` of the events that this session publishes: `None` for an application's own back end.
    #[must_use]
    pub(crate) fn from(&self, session: &Arc<str>) -> Option<Arc<str>> {
        if self.server {
            None
        } else {
            Some(self.user.as_ref().unwrap_or(session).clone())
        }
    }

    /// Returns whether the grants have expired at this time, in seconds since 1970.
    #[must_use]
    pub(crate) fn have_ended(&self, now_s: u64) -> bool {
        self.expires.is_some_and(|expires| now_s >= expires)
    }

    /// Checks that the grants have not expired. Expired grants allow nothing.
    fn are_valid(&self, now_s: u64) -> Result<(), Refusal> {
        if self.have_ended(now_s) {
            let detail = "the grants of its credential have expired";
            return Err(Refusal::new(Code::SessionExpired, detail));
        }
        Ok(())
    }

    /// Checks that a session with these grants may read a channel at `now_s`, in seconds since 1970.
    ///
    /// # Errors
    /// `forbidden` if it may not; `session_expired` if the grants have expired.
    pub(crate) fn may_read(
        &self,
        rules: &ChannelRules,
        channel: &ChannelName,
        session: Option<&str>,
        now_s: u64,
    ) -> Result<(), Refusal> {
        self.are_valid(now_s)?;
        let name = channel.as_str();
        let allowed = match channel.owner() {
            Owner::Anyone => self.is_among(rules.readers(name), &self.read, name),
            Owner::Inbox(id) => session == Some(id) || self.owns_inbox(id),
            Owner::OwnInboxes => true,
            Owner::Presence(of) if !rules.shows_members(of) => false,
            Owner::Presence(of) => {
                return self.may_read(rules, &ChannelName::new(of)?, session, now_s);
            }
            Owner::Hub => false,
        };
        if allowed {
            Ok(())
        } else {
            Err(Refusal::new(
                Code::Forbidden,
                format!("`{channel}` may not be read"),
            ))
        }
    }

    /// Checks that these grants allow publishing to a channel at `now_s`, in seconds since 1970.
    ///
    /// # Errors
    /// `forbidden` if they do not; `bad_channel` for `@` alone; `session_expired` if the grants have expired.
    pub(crate) fn may_publish(
        &self,
        rules: &ChannelRules,
        channel: &ChannelName,
        now_s: u64,
    ) -> Result<(), Refusal> {
        self.are_valid(now_s)?;
        let name = channel.as_str();
        let allowed = match channel.owner() {
            Owner::Anyone => self.is_among(rules.publishers(name), &self.publish, name),
            Owner::Inbox(_) => self.publish.covers(name),
            Owner::OwnInboxes => {
                return Err(Refusal::bad_channel(
                    "`@` alone can only be read; publish to `@` with an id",
                ));
            }
            Owner::Presence(_) | Owner::Hub => false,
        };
        if allowed {
            Ok(())
        } else {
            Err(Refusal::new(
                Code::Forbidden,
                format!("these credentials do not allow publishing to `{channel}`"),
            ))
        }
    }

    /// Reports whether the audience of a rule includes a client with these grants. `reach` holds the channels that the
    /// credential names for this action.
    fn is_among(&self, ruling: Ruling<'_>, reach: &Reach, name: &str) -> bool {
        match ruling.audience {
            Audience::Nobody => false,
            // The scopes and channels of an API key limit it everywhere.
            _ if self.is_server() => reach.covers(name),
            Audience::Anyone => true,
            Audience::User => self.has_credential,
            Audience::Owner => self.user().is_some_and(|user| ruling.is_owner(name, user)),
            Audience::Grant => reach.covers(name),
            Audience::Server => false,
        }
    }

    /// Reports whether the grants are those of a client without a credential.
    pub(crate) const fn is_anonymous(&self) -> bool {
        !self.has_credential
    }

    /// Reports whether both credentials are of the same user, or both of a back end.
    pub(crate) fn is_of_same_client(&self, other: &Self) -> bool {
        self.user == other.user && self.server == other.server
    }

    /// Reports whether the client is a back end. On an open hub, publishes without a session carry no `from` either.
    pub(crate) fn is_server(&self) -> bool {
        self.server && self.has_credential
    }

    fn owns_inbox(&self, id: &str) -> bool {
        self.user().is_some_and(|user| encode_user(user) == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::ChannelRule;

    fn name(text: &str) -> ChannelName {
        ChannelName::new(text).unwrap()
    }

    #[test]
    fn inboxes_and_the_hubs_channels_have_their_own_rules() {
        let grants = Grants::new(
            Reach::Some(vec!["news/*".into(), "lobby".into()]),
            Reach::All,
        )
        .with_user("ann")
        .unwrap();
        let open = ChannelRules::default();
        let reads = |channel: &str| {
            grants
                .may_read(&open, &name(channel), Some("s1"), 0)
                .is_ok()
        };
        assert!(
            reads("news/today")
                && reads("lobby")
                && reads("@s1")
                && reads("@ann")
                && reads("@")
                && reads("$presence/lobby")
        );
        assert!(
            !reads("other")
                && !reads("@bob")
                && !reads("$x")
                && !reads("$presence/other")
                && !reads("$presence/@bob")
        );
        assert!(grants.may_publish(&open, &name("@bob"), 0).is_ok());
        assert!(
            grants
                .may_publish(&open, &name("$presence/lobby"), 0)
                .is_err()
                && grants.may_publish(&open, &name("@"), 0).is_err()
        );
    }

    #[test]
    fn the_audience_of_a_rule_decides_who_reads_and_publishes() {
        let rules: Vec<ChannelRule> = Audience::WORDS
            .iter()
            .map(|(word, audience)| ChannelRule {
                read: *audience,
                publish: *audience,
                ..ChannelRule::new(format!("{word}/{{user}}/*").parse().unwrap())
            })
            .collect();
        let rules = ChannelRules::new(rules).unwrap();
        let reach = |names: &[&str]| Reach::Some(names.iter().map(ToString::to_string).collect());
        let with = |reach: Reach| Grants::new(reach.clone(), reach);
        let anonymous = with(reach(&[]));
        let ann = with(reach(&[])).with_user("ann").unwrap().by_credential();
        let named = with(reach(&["*"])).by_credential();
        let server = Grants::everything().as_server().by_credential();
        let limited = with(reach(&["anyone/*"])).as_server().by_credential();
        for (audience, allowed) in [
            ("anyone", [true, true, true, true, true]),
            ("user", [false, true, true, true, false]),
            ("owner", [false, true, false, true, false]),
            ("grant", [false, false, true, true, false]),
            ("server", [false, false, false, true, false]),
            ("nobody", [false, false, false, false, false]),
        ] {
            let channel = name(&format!("{audience}/ann/x"));
            for (grants, allowed) in [&anonymous, &ann, &named, &server, &limited]
                .into_iter()
                .zip(allowed)
            {
                assert_eq!(
                    grants.may_read(&rules, &channel, None, 0).is_ok(),
                    allowed,
                    "{channel} {grants:?}"
                );
                assert_eq!(
                    grants.may_publish(&rules, &channel, 0).is_ok(),
                    allowed,
                    "{channel} {grants:?}"
                );
                let members = grants.may_read(&rules, &channel.presence(), None, 0);
                assert_eq!(members.is_ok(), allowed, "{channel} {grants:?}");
            }
        }
        assert!(ann.may_read(&rules, &name("owner/bob/x"), None, 0).is_err());
        // On an open hub, a publish without a session is that of a back end only in its `from`.
        assert!(
            anonymous
                .clone()
                .as_server()
                .may_publish(&rules, &name("user/ann/x"), 0)
                .is_err()
        );
    }

    #[test]
    fn a_star_names_neither_inboxes_nor_the_hubs_channels() {
        let open = ChannelRules::default();
        let grants = |pattern: &str| {
            Grants::new(
                Reach::Some(vec![pattern.into()]),
                Reach::Some(vec![pattern.into()]),
            )
        };
        for (pattern, channel, allowed) in [
            ("*", "a", true),
            ("*", "@bob", false),
            ("@*", "@bob", true),
            ("@bob", "@bob", true),
            ("room/*", "room/1", true),
            ("room/*", "room/", false),
            ("room/*", "room", false),
            ("room/*", "rooms/1", false),
        ] {
            let result = grants(pattern).may_publish(&open, &name(channel), 0);
            assert_eq!(result.is_ok(), allowed, "{pattern} {channel}");
        }
        let hidden = ChannelRule {
            presence: false,
            ..ChannelRule::new("room/*".parse().unwrap())
        };
        let hidden = ChannelRules::new(vec![hidden]).unwrap();
        let all = Grants::everything();
        assert!(all.may_read(&hidden, &name("room/1"), None, 0).is_ok());
        assert!(
            all.may_read(&hidden, &name("$presence/room/1"), None, 0)
                .is_err()
        );
    }

    #[test]
    fn grants_that_have_ended_allow_nothing() {
        let grants = Grants::everything().with_user("ann").unwrap().until(100);
        let open = ChannelRules::default();
        for channel in ["a", "@ann", "@", "$presence/a"] {
            let read = |now_s| grants.may_read(&open, &name(channel), Some("s1"), now_s);
            assert!(read(99).is_ok(), "{channel}");
            assert_eq!(read(100).unwrap_err().code, Code::SessionExpired);
        }
        assert!(grants.may_publish(&open, &name("a"), 99).is_ok());
        let refusal = grants.may_publish(&open, &name("a"), 100).unwrap_err();
        assert_eq!(refusal.code, Code::SessionExpired);
    }

    #[test]
    fn from_is_the_user_else_the_session() {
        let session: Arc<str> = Arc::from("s1");
        assert_eq!(Grants::everything().from(&session).as_deref(), Some("s1"));
        assert_eq!(
            Grants::everything()
                .with_user("ann")
                .unwrap()
                .from(&session)
                .as_deref(),
            Some("ann")
        );
        assert_eq!(Grants::everything().as_server().from(&session), None);
    }
}
