//! The grants of a credential, and the signed keys by which any node recognises a session.
//!
//! Pure rules: the time is an argument. Does not know how a credential arrives.

mod api_key;
mod grants;
#[cfg(feature = "jwt")]
pub(crate) mod jwt;
mod key;
mod large;
mod reach;
mod rules;
mod user_id;

use std::sync::{Arc, LazyLock};

use data_encoding::{Encoding, Specification};

pub use api_key::{ApiKey, ApiKeys, KeyHash, KeyScope};
pub use grants::Grants;
pub(crate) use key::KEY_LIFETIME_S;
pub use key::{Claims, Signer};
pub use reach::Reach;
pub use rules::{Audience, BadRule, ChannelPattern, ChannelRule, ChannelRules};
pub(crate) use user_id::encode_user;

/// Characters of a session id: `s` and 25 of base32, 125 random bits.
const SESSION_ID_BYTES: usize = 26;

/// Returns a new session id made from random bytes.
#[must_use]
pub fn session_id(random: [u8; 16]) -> Arc<str> {
    let mut text = String::with_capacity(2 * random.len());
    text.push('s');
    BASE32.encode_append(&random, &mut text);
    Arc::from(&text[..SESSION_ID_BYTES])
}

/// Returns whether a text has the form of a session id.
#[must_use]
pub fn is_session_id(text: &str) -> bool {
    let rest = text
        .strip_prefix('s')
        .filter(|_| text.len() == SESSION_ID_BYTES);
    rest.is_some_and(|rest| {
        rest.bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
    })
}

/// Base32 in lower case. Its tables are built only once.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification
        .encoding()
        .expect("32 different symbols are an encoding")
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_have_their_form_and_users_may_not_take_it() {
        let id = session_id([0xab; 16]);
        assert!(is_session_id(&id), "{id}");
        assert!(Grants::everything().with_user(&id).is_err());
    }
}
