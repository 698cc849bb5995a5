//! User ids: which texts are accepted, and how an id is written inside a channel name.

use std::borrow::Cow;

use crate::protocol::{Code, Refusal};

use super::is_session_id;

/// The longest user id in bytes, as it is written inside a channel name.
pub(super) const USER_BYTES_MAX: usize = 120;
/// Characters that have a meaning in channel names and patterns, and how they are written inside one.
const ESCAPES: [(char, &str); 4] = [('%', "%25"), ('/', "%2F"), ('*', "%2A"), (',', "%2C")];

/// Returns a user id as it is written inside a channel name: `/`, `*`, `%` and `,` are percent-encoded.
pub(crate) fn encode_user(user: &str) -> Cow<'_, str> {
    let is_special = |character: char| ESCAPES.iter().any(|(special, _)| *special == character);
    if !user.contains(is_special) {
        return Cow::Borrowed(user);
    }
    let mut encoded = String::with_capacity(user.len() + 8);
    for character in user.chars() {
        match ESCAPES.iter().find(|(special, _)| *special == character) {
            Some((_, escape)) => encoded.push_str(escape),
            None => encoded.push(character),
        }
    }
    Cow::Owned(encoded)
}

/// Checks a user id.
///
/// # Errors
/// `unauthorized` for an id that is empty, too long, contains control characters or has the form of a session id.
pub(super) fn check_user(user: &str) -> Result<(), Refusal> {
    let complaint = if user.is_empty() {
        "is empty"
    } else if encode_user(user).len() > USER_BYTES_MAX {
        "is longer than 120 bytes"
    } else if user.chars().any(char::is_control) {
        "contains a control character"
    } else if is_session_id(user) {
        "has the form of a session id"
    } else {
        return Ok(());
    };
    Err(Refusal::new(
        Code::Unauthorized,
        format!("the user id {complaint}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::session_id;

    #[test]
    fn special_characters_are_encoded_and_no_others() {
        for (user, encoded) in [
            ("ann", "ann"),
            ("a/b*c%d,e", "a%2Fb%2Ac%25d%2Ce"),
            ("%2F", "%252F"),
            ("安 é@$", "安 é@$"),
        ] {
            assert_eq!(encode_user(user), encoded);
        }
    }

    #[test]
    fn ids_that_cannot_be_part_of_a_name_are_refused() {
        for user in ["a", "a,b/c", "安", &"x".repeat(120)] {
            assert!(check_user(user).is_ok(), "{user}");
        }
        for user in [
            "",
            "a\nb",
            &"x".repeat(121),
            &"/".repeat(41),
            &session_id([7; 16]),
        ] {
            let refusal = check_user(user).unwrap_err();
            assert_eq!(refusal.code, Code::Unauthorized, "{user}");
        }
    }
}
