//! `triway token`: signs JWTs for trials and scripts, and shows what a token says.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Map, Value, json};

use super::outlet::print;
use crate::auth::Reach;
use crate::auth::jwt::{KeySet, check_jwt};
use crate::config::{CredentialConfig, CredentialFlags, parse_time};
use crate::hub::now_ms;

const EXAMPLES: &str = "\
Examples:
  openssl rand -hex 32 > jwt-secret
  triway serve --jwt-secret-file jwt-secret
  triway token mint --sub ann --read 'room/*' --publish room/42 --ttl 1h --jwt-secret-file jwt-secret
  triway token inspect eyJhbGciOi… --jwt-secret-file jwt-secret";

/// The arguments of `triway token`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TokenOptions {
    #[command(subcommand)]
    action: TokenAction,
}

#[derive(Debug, Subcommand)]
enum TokenAction {
    /// Sign a token, and print it
    Mint(Box<MintOptions>),
    /// Show what a token says, and whether a hub with these keys accepts it
    Inspect(Box<InspectOptions>),
}

/// What a new token says, and the key that signs it.
#[derive(Args, Debug)]
struct MintOptions {
    /// The user id
    #[arg(long, value_name = "USER")]
    sub: String,
    /// Channels that the user may read; a `*` at the end matches any rest (repeatable)
    #[arg(long, value_name = "CHANNELS", value_delimiter = ',')]
    read: Vec<String>,
    /// Channels to which the user may publish (repeatable)
    #[arg(long, value_name = "CHANNELS", value_delimiter = ',')]
    publish: Vec<String>,
    /// JSON that presence shows of the user
    #[arg(long, value_name = "JSON")]
    info: Option<Value>,
    /// Time until the token expires
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_time)]
    ttl: Duration,
    /// The id of the token, by which it can be revoked (default: random)
    #[arg(long, value_name = "ID")]
    jti: Option<String>,
    /// The audience
    #[arg(long, value_name = "TEXT", env = "TRIWAY_JWT_AUDIENCE")]
    aud: Option<String>,
    /// The issuer
    #[arg(long, value_name = "TEXT", env = "TRIWAY_JWT_ISSUER")]
    iss: Option<String>,
    /// The id of the key, for a hub that chooses keys by it
    #[arg(long, value_name = "ID")]
    kid: Option<String>,
    /// File with the secret that signs the token (HS256)
    #[arg(long, env = "TRIWAY_JWT_SECRET_FILE", value_name = "FILE")]
    jwt_secret_file: Option<PathBuf>,
    /// File with the private key that signs the token: PEM of RSA (RS256), EC (ES256, ES384) or Ed25519 (EdDSA)
    #[arg(long, value_name = "FILE", conflicts_with = "jwt_secret_file")]
    private_key: Option<PathBuf>,
}

/// A token, and the keys of the hub.
#[derive(Args, Debug)]
struct InspectOptions {
    /// The token; `-` reads it from standard input, which keeps it out of process lists
    #[arg(default_value = "-")]
    token: String,
    #[command(flatten)]
    credentials: CredentialFlags,
}

pub(super) fn run(options: TokenOptions) -> anyhow::Result<()> {
    let text = match options.action {
        TokenAction::Mint(options) => mint(&options)?,
        TokenAction::Inspect(options) => inspect(&options)?,
    };
    print(&format!("{text}\n"))
}

fn mint(options: &MintOptions) -> anyhow::Result<String> {
    // What every hub would refuse is not signed.
    for patterns in [&options.read, &options.publish] {
        Reach::of_patterns(patterns.clone())?;
    }
    let (algorithm, key) = signing_key(options)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).context("the system gives no random bytes")?;
    let id = options
        .jti
        .clone()
        .unwrap_or_else(|| URL_SAFE_NO_PAD.encode(random));
    let mut claims = json!({
        "sub": options.sub,
        "iat": now.as_secs(),
        "exp": (now + options.ttl).as_secs(),
        "jti": id,
        "triway": {"read": options.read, "publish": options.publish},
    });
    let optional = [("aud", &options.aud), ("iss", &options.iss)];
    for (name, value) in optional {
        if let Some(value) = value {
            claims[name] = json!(value);
        }
    }
    if let Some(info) = &options.info {
        claims["triway"]["info"] = info.clone();
    }
    let mut header = Map::from_iter([
        ("alg".to_owned(), json!(algorithm)),
        ("typ".to_owned(), json!("JWT")),
    ]);
    if let Some(id) = &options.kid {
        header.insert("kid".to_owned(), json!(id));
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&Value::Object(header)), part(&claims));
    let signer = (DEFAULT_PROVIDER.signer_factory)(&algorithm, &key)?;
    let signature = signer
        .try_sign(message.as_bytes())
        .context("the key does not sign")?;
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn signing_key(options: &MintOptions) -> anyhow::Result<(Algorithm, EncodingKey)> {
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string());
    if let Some(path) = &options.jwt_secret_file {
        KeySet::from_secret(read(path)?.trim_ascii_end())
            .map_err(|bad| anyhow::anyhow!("{}: {bad}", path.display()))?;
        return Ok((
            Algorithm::HS256,
            EncodingKey::from_secret(read(path)?.trim_ascii_end()),
        ));
    }
    let Some(path) = &options.private_key else {
        bail!("use --jwt-secret-file or --private-key: a token needs a signature");
    };
    let pem = read(path)?;
    let kinds = [
        (&[Algorithm::RS256][..], EncodingKey::from_rsa_pem(&pem)),
        (
            &[Algorithm::ES256, Algorithm::ES384],
            EncodingKey::from_ec_pem(&pem),
        ),
        (&[Algorithm::EdDSA], EncodingKey::from_ed_pem(&pem)),
    ];
    for (algorithms, key) in kinds {
        let Ok(key) = key else { continue };
        // The curve of a key shows only when it signs.
        let signs =
            |algorithm: &&Algorithm| (DEFAULT_PROVIDER.signer_factory)(algorithm, &key).is_ok();
        if let Some(algorithm) = algorithms.iter().find(signs) {
            return Ok((*algorithm, key));
        }
    }
    bail!(
        "{}: not a private key of RSA, EC P-256, EC P-384 or Ed25519 in PEM",
        path.display()
    );
}

fn inspect(options: &InspectOptions) -> anyhow::Result<String> {
    let token = token_of(&options.token)?;
    let mut parts = token.split('.').map(|part| {
        let json = URL_SAFE_NO_PAD.decode(part).ok();
        json.and_then(|json| serde_json::from_slice::<Value>(&json).ok())
    });
    let (Some(Some(header)), Some(Some(claims))) = (parts.next(), parts.next()) else {
        bail!("not a JWT: its header and claims are not JSON in base64url");
    };
    let shown = format!("header {}\nclaims {claims:#}", header);
    let Some(jwt) = CredentialConfig::new(&options.credentials)?.jwt else {
        return Ok(format!(
            "{shown}\nnot verified: give the keys of the hub (--jwt-secret-file, --jwt-key)"
        ));
    };
    Ok(
        match check_jwt(&token, &jwt.keys, &jwt.options, now_ms() / 1_000) {
            Ok(grants) => {
                let left = grants
                    .expires_s()
                    .unwrap_or_default()
                    .saturating_sub(now_ms() / 1_000);
                format!(
                    "{shown}\naccepted: user {:?}, {left} s left",
                    grants.user().unwrap_or_default()
                )
            }
            Err(error) => format!("{shown}\n{}", crate::protocol::Refusal::from(error)),
        },
    )
}

/// Returns a token as it was given, or from standard input for `-`.
pub(super) fn token_of(given: &str) -> anyhow::Result<String> {
    match given {
        "-" => Ok(std::io::read_to_string(std::io::stdin())
            .context("standard input")?
            .trim()
            .to_owned()),
        given => Ok(given.to_owned()),
    }
}
