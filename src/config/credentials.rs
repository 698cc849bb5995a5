//! The sources of credentials: flags that name files become API keys, keys of tokens, and channel rules.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::BadConfig;
use super::units::{ExpectedUnit, parse_time};
use crate::auth::jwt::{JwtOptions, KeySet, SkippedKey};
use crate::auth::{ApiKey, KeyScope};

/// The flags about credentials. Each is also an environment variable and a key of the TOML file.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct CredentialFlags {
    /// File of the API keys of back ends; `triway key new` adds one
    #[arg(
        long,
        env = "TRIWAY_API_KEYS",
        value_name = "FILE",
        help_heading = "Credentials"
    )]
    pub api_keys: Option<PathBuf>,
    /// File with the secret that signs JWTs (HS256, HS384, HS512), at least 32 bytes
    #[arg(
        long,
        env = "TRIWAY_JWT_SECRET_FILE",
        value_name = "FILE",
        help_heading = "Credentials"
    )]
    pub jwt_secret_file: Option<PathBuf>,
    /// File with public keys that verify JWTs: PEM (RSA, EC, Ed25519) or a JWK set (repeatable)
    #[arg(
        long,
        env = "TRIWAY_JWT_KEY",
        value_name = "FILE",
        value_delimiter = ',',
        help_heading = "Credentials"
    )]
    pub jwt_key: Vec<PathBuf>,
    /// Address of a JWK set with keys that verify JWTs; https, or http on this machine
    #[arg(long, env = "TRIWAY_JWKS_URL", value_name = "URL", value_parser = parse_secure_url, help_heading = "Credentials")]
    pub jwks_url: Option<Url>,
    /// Refuse JWTs whose `aud` does not contain this
    #[arg(
        long,
        env = "TRIWAY_JWT_AUDIENCE",
        value_name = "TEXT",
        help_heading = "Credentials"
    )]
    pub jwt_audience: Option<String>,
    /// Refuse JWTs whose `iss` is not this
    #[arg(
        long,
        env = "TRIWAY_JWT_ISSUER",
        value_name = "TEXT",
        help_heading = "Credentials"
    )]
    pub jwt_issuer: Option<String>,
    /// Longest lifetime of a JWT; a revocation is remembered for as long
    #[arg(long, env = "TRIWAY_TOKEN_MAX_AGE", value_name = "TIME", default_value = "720h", value_parser = parse_age)]
    #[arg(help_heading = "Credentials")]
    pub token_max_age: Duration,
    /// Address of an app that judges cookies and other tokens; https, or http on this machine
    #[arg(long, env = "TRIWAY_AUTHORIZE_URL", value_name = "URL", value_parser = parse_secure_url, help_heading = "Credentials")]
    pub authorize_url: Option<Url>,
    /// Cookie that the app at --authorize-url judges (repeatable)
    #[arg(
        long,
        env = "TRIWAY_AUTHORIZE_COOKIE",
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Credentials"
    )]
    #[arg(requires = "authorize_url")]
    pub authorize_cookie: Vec<String>,
}

/// Returns an address to which secrets may be sent: nobody on the way can read or change what is sent.
fn parse_secure_url(text: &str) -> Result<Url, ExpectedUnit> {
    const EXPECTED: ExpectedUnit =
        ExpectedUnit("an https address, or an http address on this machine");
    let url = Url::parse(text).map_err(|_| EXPECTED)?;
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_local = address.map_or(host == "localhost", |address| address.is_loopback());
    let is_secure = url.scheme() == "https" || (url.scheme() == "http" && is_local);
    if is_secure { Ok(url) } else { Err(EXPECTED) }
}

fn parse_age(text: &str) -> Result<Duration, ExpectedUnit> {
    let age = parse_time(text)?;
    if age.is_zero() {
        return Err(ExpectedUnit("a time with its unit, such as 24h"));
    }
    Ok(age)
}

/// The sources of credentials of a hub.
#[derive(Clone, Debug)]
pub struct CredentialConfig {
    /// The file of API keys, and the keys in it.
    pub api_keys: Option<(PathBuf, Vec<ApiKey>)>,
    /// The keys of tokens.
    pub jwt: Option<JwtConfig>,
    /// The app that judges cookies and other tokens, and its cookies.
    pub authorizer: Option<(Url, Vec<String>)>,
}

/// How JWTs are verified.
#[derive(Clone, Debug)]
pub struct JwtConfig {
    /// The keys.
    pub keys: KeySet,
    /// What the claims must be.
    pub options: JwtOptions,
    /// Keys that cannot be used.
    pub skipped: Vec<SkippedKey>,
    /// Where more keys are.
    pub url: Option<Url>,
}

impl CredentialConfig {
    /// Returns the sources that these flags mean.
    ///
    /// # Errors
    /// Returns [`BadConfig::File`] for a file that cannot be used.
    pub fn new(flags: &CredentialFlags) -> Result<Self, BadConfig> {
        let api_keys = flags.api_keys.as_ref();
        let api_keys = api_keys.map(|path| Ok((path.clone(), read_api_keys(path)?)));
        Ok(Self {
            api_keys: api_keys.transpose()?,
            jwt: jwt(flags)?,
            authorizer: flags
                .authorize_url
                .clone()
                .map(|url| (url, flags.authorize_cookie.clone())),
        })
    }

    /// Reports whether credentials are judged at all.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.api_keys.is_some() || self.jwt.is_some() || self.authorizer.is_some()
    }
}

fn jwt(flags: &CredentialFlags) -> Result<Option<JwtConfig>, BadConfig> {
    let (mut keys, mut skipped) = (KeySet::default(), Vec::new());
    if let Some(path) = &flags.jwt_secret_file {
        let secret = read(path)?;
        let set = KeySet::from_secret(secret.trim_end().as_bytes());
        keys = keys.and(set.map_err(|bad| bad_file(path, &bad))?);
    }
    for path in &flags.jwt_key {
        let (set, left_out) =
            KeySet::from_file(&read(path)?).map_err(|bad| bad_file(path, &bad))?;
        keys = keys.and(set);
        skipped.extend(left_out);
    }
    if keys.is_empty() && flags.jwks_url.is_none() {
        let names = [
            ("--jwt-audience", &flags.jwt_audience),
            ("--jwt-issuer", &flags.jwt_issuer),
        ];
        return match names.iter().find(|(_, value)| value.is_some()) {
            Some((name, _)) => Err(BadConfig::NoKeys { flag: name }),
            None => Ok(None),
        };
    }
    let options = JwtOptions {
        audience: flags.jwt_audience.clone(),
        issuer: flags.jwt_issuer.clone(),
        max_age: flags.token_max_age,
    };
    Ok(Some(JwtConfig {
        keys,
        options,
        skipped,
        url: flags.jwks_url.clone(),
    }))
}

/// An API key as its file has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// The name, which is shown in logs.
    pub name: String,
    /// The SHA-256 of the key, as 64 hexadecimal digits.
    pub sha256: String,
    /// What the key is for.
    pub scopes: Vec<String>,
    /// The channels that it reaches. Without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<String>>,
    /// When it was made, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
}

/// The file of API keys.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// The keys, in the order in which they were made.
    #[serde(default, rename = "key")]
    pub keys: Vec<KeyEntry>,
}

impl KeyFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Returns [`BadConfig::File`] if it cannot be read, or is no file of API keys.
    pub fn read(path: &Path) -> Result<Self, BadConfig> {
        toml::from_str(&read(path)?).map_err(|error| bad_file(path, &error.message()))
    }

    /// Returns the keys as the hub uses them.
    fn api_keys(&self) -> Result<Vec<ApiKey>, String> {
        let key = |entry: &KeyEntry| {
            let scopes: Result<Vec<KeyScope>, _> =
                entry.scopes.iter().map(|word| word.parse()).collect();
            let scopes = scopes.map_err(|bad| bad.to_string())?;
            let hash = entry
                .sha256
                .parse()
                .map_err(|bad| format!("sha256: {bad}"))?;
            ApiKey::new(&entry.name, hash, &scopes, entry.channels.clone())
                .map_err(|bad| bad.to_string())
        };
        self.keys
            .iter()
            .map(|entry| key(entry).map_err(|bad| format!("key {:?}: {bad}", entry.name)))
            .collect()
    }
}

/// Reads the API keys of a file.
///
/// # Errors
/// Returns [`BadConfig::File`] if it cannot be read, or has a key without a meaning.
pub fn read_api_keys(path: &Path) -> Result<Vec<ApiKey>, BadConfig> {
    let file = KeyFile::read(path)?;
    file.api_keys()
        .map_err(|complaint| bad_file(path, &complaint))
}

fn read(path: &Path) -> Result<String, BadConfig> {
    std::fs::read_to_string(path).map_err(|error| bad_file(path, &error))
}

fn bad_file(path: &Path, cause: &dyn std::fmt::Display) -> BadConfig {
    BadConfig::File {
        path: path.to_owned(),
        cause: cause.to_string(),
    }
}
