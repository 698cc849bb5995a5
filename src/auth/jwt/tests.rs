//! Tokens that are accepted and refused, by algorithm, key and claim.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use crate::auth::ChannelRules;
use crate::protocol::{ChannelName, INFO_BYTES_MAX};

const NOW_S: u64 = 1_800_000_000;
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn keys() -> KeySet {
    KeySet::from_secret(SECRET).unwrap()
}

fn signed(claims: &Value) -> String {
    encode(
        &Header::default(),
        claims,
        &EncodingKey::from_secret(SECRET),
    )
    .unwrap()
}

/// A token whose parts are these texts, signed with the secret whatever they are.
fn raw(header: &str, claims: &str) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let key = EncodingKey::from_secret(SECRET);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn check(token: &str) -> Result<Grants, JwtError> {
    check_jwt(token, &keys(), &JwtOptions::default(), NOW_S)
}

fn detail(result: Result<Grants, JwtError>) -> String {
    let refusal = Refusal::from(result.expect_err("it is refused"));
    assert_eq!(refusal.code, Code::Unauthorized);
    refusal.detail.into_owned()
}

/// Valid claims with these members changed. `null` as a text removes one.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({"sub": "ann", "exp": NOW_S + 60});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn the_claims_become_grants() {
    let access = json!({"read": ["room/*"], "publish": ["room/42"], "info": {"name": "Ann"}});
    let token = signed(&claims(
        &json!({"iat": NOW_S, "jti": "j1", "triway": access}),
    ));
    let grants = check(&token).unwrap();
    assert_eq!(
        (grants.user(), grants.expires_s()),
        (Some("ann"), Some(NOW_S + 60))
    );
    assert_eq!(grants.info(), Some(r#"{"name":"Ann"}"#));
    let rules = ChannelRules::default();
    let channel = |name: &str| ChannelName::new(name).unwrap();
    for (name, reads, publishes) in [
        ("room/42", true, true),
        ("room/1", true, false),
        ("room", false, false),
        ("rooms/1", false, false),
        ("$presence/room/1", true, false),
        ("$presence/rooms/1", false, false),
        ("@ann", true, false),
        ("@bob", false, false),
    ] {
        assert_eq!(
            grants.may_read(&rules, &channel(name), None, NOW_S).is_ok(),
            reads,
            "{name}"
        );
        assert_eq!(
            grants.may_publish(&rules, &channel(name), NOW_S).is_ok(),
            publishes,
            "{name}"
        );
    }
}

#[test]
fn a_claim_that_is_missing_or_wrong_is_named() {
    for (changes, named) in [
        (json!({"exp": "1800000060"}), "exp"),
        (json!({"exp": -1}), "exp"),
        (json!({"exp": null}), "exp"),
        (json!({"exp": [NOW_S + 60]}), "exp"),
        (json!({"exp": (NOW_S + 60) * 1000}), "exp"),
        (json!({"exp": NOW_S}), "exp"),
        (json!({"exp": NOW_S + 31 * 86_400}), "token-max-age"),
        (json!({"iat": NOW_S - 31 * 86_400}), "token-max-age"),
        (json!({"iat": NOW_S + 6}), "iat"),
        (json!({"iat": "now"}), "iat"),
        (json!({"nbf": NOW_S + 6}), "nbf"),
        (json!({"nbf": "4000000000"}), "nbf"),
        (json!({"nbf": null}), "nbf"),
        (json!({"sub": 7}), "sub"),
        (json!({"sub": ""}), "sub"),
        (json!({"sub": null}), "sub"),
        (json!({"sub": "a\nb"}), "sub"),
        (json!({"jti": 7}), "jti"),
        (json!({"jti": "j".repeat(129)}), "jti"),
        (json!({"aud": 7}), "aud"),
        (json!({"aud": ["a", 7]}), "aud"),
        (json!({"iss": {}}), "iss"),
        (json!({"triway": "room/*"}), "triway"),
        (json!({"triway": null}), "triway"),
        (json!({"triway": {"raed": ["a"]}}), "raed"),
        (json!({"triway": {"read": "room/*"}}), "triway.read"),
        (json!({"triway": {"publish": [7]}}), "triway.publish"),
        (json!({"triway": {"read": ["a*b"]}}), "triway.read"),
        (json!({"triway": {"read": ["**"]}}), "triway.read"),
        (
            json!({"triway": {"info": "i".repeat(INFO_BYTES_MAX)}}),
            "triway.info",
        ),
    ] {
        let detail = detail(check(&signed(&claims(&changes))));
        assert!(detail.contains(named), "{changes}: {detail}");
    }
    for name in ["sub", "exp"] {
        let mut claims = claims(&json!({}));
        claims.as_object_mut().unwrap().remove(name);
        assert!(detail(check(&signed(&claims))).contains(name));
    }
}

#[test]
fn clocks_may_differ_by_five_seconds_at_the_beginning_and_not_at_the_end() {
    for changes in [
        json!({"nbf": NOW_S + 5}),
        json!({"iat": NOW_S + 5}),
        json!({"exp": NOW_S + 1}),
        json!({"exp": NOW_S as f64 + 1.5}),
        json!({"exp": NOW_S + 30 * 86_400}),
    ] {
        assert!(check(&signed(&claims(&changes))).is_ok(), "{changes}");
    }
}

#[test]
fn audience_and_issuer_must_match_where_they_are_expected() {
    let options = JwtOptions {
        audience: Some("hub".into()),
        issuer: Some("app".into()),
        ..JwtOptions::default()
    };
    let check = |changes: Value| check_jwt(&signed(&claims(&changes)), &keys(), &options, NOW_S);
    assert!(check(json!({"aud": "hub", "iss": "app"})).is_ok());
    assert!(check(json!({"aud": ["x", "hub"], "iss": "app"})).is_ok());
    assert!(detail(check(json!({"iss": "app"}))).contains("aud"));
    assert!(detail(check(json!({"aud": "x", "iss": "app"}))).contains("aud"));
    assert!(detail(check(json!({"aud": "hub"}))).contains("iss"));
    assert!(detail(check(json!({"aud": "hub", "iss": "x"}))).contains("iss"));
}

#[test]
fn a_token_of_the_wrong_form_is_refused() {
    let good = claims(&json!({})).to_string();
    let header = r#"{"alg":"HS256"}"#;
    assert!(check(&raw(header, &good)).is_ok());
    let twice = good.replacen('{', r#"{"sub":"bob","#, 1);
    for token in [
        raw(r#"{"alg":"none"}"#, &good),
        raw(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, &good),
        raw(r#"{"alg":"ES512"}"#, &good),
        raw(r#"{"alg":7}"#, &good),
        raw("{}", &good),
        raw("nonsense", &good),
        raw(header, "nonsense"),
        raw(header, "[]"),
        raw(header, &twice),
        raw(header, r#"{"sub":"ann","exp":1e400}"#),
        raw(header, &format!("{good}{}", " ".repeat(TOKEN_BYTES_MAX))),
        String::new(),
        "a.b".into(),
        "a.b.c.d".into(),
        "äöü.b.c".into(),
    ] {
        let start: String = token.chars().take(60).collect();
        assert!(!detail(check(&token)).is_empty(), "{start}");
    }
    // An unsigned token, with an empty signature.
    let token = raw(r#"{"alg":"none"}"#, &good);
    let (message, _) = token.rsplit_once('.').unwrap();
    detail(check(&format!("{message}.")));
    assert!(
        is_jwt(&token) && is_jwt(&format!("{message}.")) && !is_jwt(message) && !is_jwt("a.b.c.d")
    );
    // One changed byte in each part.
    let token = signed(&claims(&json!({})));
    for index in [2, token.find('.').unwrap() + 2, token.len() - 10] {
        let mut changed = token.clone().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        detail(check(&String::from_utf8(changed).unwrap()));
    }
}

#[test]
fn the_key_decides_the_algorithm() {
    let [rsa, p256, p384, ed] = [
        include_str!("../../../tests/keys/rsa.pub.pem"),
        include_str!("../../../tests/keys/p256.pub.pem"),
        include_str!("../../../tests/keys/p384.pub.pem"),
        include_str!("../../../tests/keys/ed25519.pub.pem"),
    ];
    let private = [
        (
            include_bytes!("../../../tests/keys/rsa.pem").as_slice(),
            rsa,
            &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ][..],
        ),
        (
            include_bytes!("../../../tests/keys/p256.pem"),
            p256,
            &[Algorithm::ES256],
        ),
        (
            include_bytes!("../../../tests/keys/p384.pem"),
            p384,
            &[Algorithm::ES384],
        ),
        (
            include_bytes!("../../../tests/keys/ed25519.pem"),
            ed,
            &[Algorithm::EdDSA],
        ),
    ];
    let good = claims(&json!({}));
    for (index, (pem, public, algorithms)) in private.iter().enumerate() {
        let key = match algorithms[0] {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(pem).unwrap(),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem).unwrap(),
            _ => EncodingKey::from_ec_pem(pem).unwrap(),
        };
        for algorithm in *algorithms {
            let token = encode(&Header::new(*algorithm), &good, &key).unwrap();
            let (keys, _) = KeySet::from_file(public).unwrap();
            assert!(
                check_jwt(&token, &keys, &JwtOptions::default(), NOW_S).is_ok(),
                "{algorithm:?}"
            );
            for (other, (_, public, _)) in private.iter().enumerate() {
                let (keys, _) = KeySet::from_file(public).unwrap();
                let result = check_jwt(&token, &keys, &JwtOptions::default(), NOW_S);
                assert_eq!(result.is_ok(), index == other, "{algorithm:?}");
            }
        }
        // The public key as a secret: no key of the hub is for HMAC, and no such secret is accepted.
        let secret = EncodingKey::from_secret(public.as_bytes());
        let token = encode(&Header::default(), &good, &secret).unwrap();
        let (keys, _) = KeySet::from_file(public).unwrap();
        assert!(detail(check_jwt(&token, &keys, &JwtOptions::default(), NOW_S)).contains("HS256"));
        assert!(KeySet::from_secret(public.as_bytes()).is_err());
        assert!(
            KeySet::from_file(str::from_utf8(pem).unwrap()).is_err(),
            "a private key"
        );
    }
    let (all, _) = KeySet::from_file(&[rsa, p256, p384, ed].concat()).unwrap();
    let key = EncodingKey::from_ec_pem(private[2].0).unwrap();
    let token = encode(&Header::new(Algorithm::ES384), &good, &key).unwrap();
    assert!(check_jwt(&token, &all, &JwtOptions::default(), NOW_S).is_ok());
    assert!(KeySet::from_secret(b"short").is_err() && KeySet::from_file("nonsense").is_err());
}

#[test]
fn a_bad_key_drops_itself_alone_and_a_kid_chooses() {
    let secret = URL_SAFE_NO_PAD.encode(SECRET);
    let good = json!({"kty": "oct", "k": secret, "kid": "good", "alg": "HS256"});
    let set = json!({"keys": [
        {"kty": "new", "kid": "a"}, {}, null, 7, "text",
        {"kty": "oct", "k": "c2hvcnQ", "kid": "short"},
        {"kty": "oct", "k": secret, "kid": "encrypts", "use": "enc"},
        {"kty": "oct", "k": secret, "kid": "signs", "key_ops": ["sign"]},
        {"kty": "oct", "k": secret, "kid": "other", "alg": "RS256"},
        {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA", "kid": "curve"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "small"},
        good,
    ]});
    let (keys, skipped) = KeySet::from_file(&set.to_string()).unwrap();
    assert_eq!(skipped.len(), 11, "{skipped:?}");
    let token = |kid: Option<&str>| {
        let header = Header {
            kid: kid.map(str::to_owned),
            ..Header::default()
        };
        encode(
            &header,
            &claims(&json!({})),
            &EncodingKey::from_secret(SECRET),
        )
        .unwrap()
    };
    let check = |kid| check_jwt(&token(kid), &keys, &JwtOptions::default(), NOW_S);
    assert!(check(None).is_ok() && check(Some("good")).is_ok());
    assert_eq!(
        check(Some("newer")).unwrap_err(),
        JwtError::UnknownKey { id: "newer".into() }
    );
    // A set that everyone may read holds no secrets.
    assert!(KeySet::from_jwk_set(set.to_string().as_bytes(), false).is_err());
    for bad in [
        "{}",
        "[]",
        "null",
        "<html>",
        r#"{"keys":[]}"#,
        r#"{"keys":{}}"#,
        &set.to_string()[..100],
    ] {
        assert!(KeySet::from_jwk_set(bad.as_bytes(), true).is_err(), "{bad}");
    }
}
