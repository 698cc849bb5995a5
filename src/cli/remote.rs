//! The hub from the command line's side: its URL, the URLs below it, and its refusals.
//!
//! Knows no transport and no frame.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::protocol::Problem;
use anyhow::Context as _;
use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

/// How long a connection may take. After that, the hub is tried again.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// The most characters that are shown of a response that is not from a hub.
const SHOWN_CHARACTERS: usize = 200;
/// Slashes are not encoded, since some proxies refuse encoded ones.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The hub and the credentials to send to it.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(super) struct RemoteOptions {
    /// Address of the hub
    #[arg(long, env = "TRIWAY_URL", value_name = "URL", default_value = "http://127.0.0.1:7333", value_parser = parse_url)]
    pub(super) url: Url,
    /// Token to send as `Authorization: Bearer`; process lists show it, so prefer TRIWAY_TOKEN or --token-file
    #[arg(
        long,
        env = "TRIWAY_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub(super) token: Option<String>,
    /// File that contains the token; it takes precedence over a token
    #[arg(long, env = "TRIWAY_TOKEN_FILE", value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

/// Returns the token that the options name.
///
/// # Errors
/// Fails if the file cannot be read.
pub(super) fn token_of(
    token: Option<String>,
    file: Option<&Path>,
) -> anyhow::Result<Option<String>> {
    let Some(path) = file else { return Ok(token) };
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(Some(text.trim().to_owned()))
}

pub(super) fn parse_url(text: &str) -> Result<Url, String> {
    const EXPECTED: &str = "expected the address of a hub, such as http://127.0.0.1:7333";
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url = Url::parse(&with_scheme).map_err(|error| format!("{EXPECTED}: {error}"))?;
    match url.scheme() {
        "http" if url.has_host() => Ok(url),
        "https" => {
            Err("this client supports only http; for https use a proxy on this machine".into())
        }
        "ws" | "wss" => Err(
            "expected the hub's own address, with http://; `--via ws` chooses the WebSocket".into(),
        ),
        _ => Err(EXPECTED.into()),
    }
}

/// A hub, reached over HTTP.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    options: RemoteOptions,
    client: Client,
}

impl Remote {
    pub(super) fn new(mut options: RemoteOptions) -> anyhow::Result<Self> {
        options.token = token_of(options.token, options.token_file.as_deref())?;
        let client = Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { options, client })
    }

    /// Returns the URL of `kind` (`pub`, `sse`, …) and `rest` below the hub's own URL, which may have a prefix.
    pub(super) fn address(&self, kind: &str, rest: &str, query: &str) -> Url {
        let mut url = self.options.url.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        let slash = if rest.is_empty() { "" } else { "/" };
        url.set_path(&format!(
            "{prefix}/{kind}{slash}{}",
            utf8_percent_encode(rest, PATH)
        ));
        url.set_query((!query.is_empty()).then_some(query));
        url
    }

    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.with_token(self.client.post(url))
    }

    pub(super) fn fetch(&self, url: Url) -> RequestBuilder {
        self.with_token(self.client.get(url))
    }

    /// Returns the value of the `Authorization` header, if credentials were given.
    pub(super) fn authorization(&self) -> Option<String> {
        self.options
            .token
            .as_ref()
            .map(|token| format!("Bearer {token}"))
    }

    /// Returns the hub's own URL, for messages.
    pub(super) fn name(&self) -> &str {
        self.options.url.as_str()
    }

    fn with_token(&self, request: RequestBuilder) -> RequestBuilder {
        match self.authorization() {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }
}

/// Returns `name=value&…` with each value encoded.
pub(super) fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Returns the channels for a query: each name is encoded, and the commas between them are not.
pub(super) fn channel_list(channels: &str) -> String {
    let names = channels
        .split(',')
        .map(|name| utf8_percent_encode(name, NON_ALPHANUMERIC).to_string());
    names.collect::<Vec<_>>().join(",")
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Another attempt would fail in the same way.
    Final(String),
    /// A later attempt may succeed. The hub may have stated when.
    Passing {
        /// What happened.
        what: String,
        /// How long to wait before the next attempt.
        after: Option<Duration>,
    },
}

impl Trouble {
    pub(super) fn passing(what: impl fmt::Display) -> Self {
        Self::Passing {
            what: what.to_string(),
            after: None,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Final(what) | Self::Passing { what, .. }) = self;
        f.write_str(what)
    }
}

impl std::error::Error for Trouble {}

/// The hub was not reached, or the connection broke. The innermost cause is the most specific: `Connection refused`.
impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Self {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Self::passing(cause)
    }
}

/// Returns what a response other than success means.
pub(super) fn refusal(status: u16, retry_after: Option<&str>, body: &[u8]) -> Trouble {
    let what = serde_json::from_slice(body).map_or_else(
        |_| {
            let text: String = String::from_utf8_lossy(body)
                .chars()
                .take(SHOWN_CHARACTERS)
                .collect();
            format!("status {status}, not from a triway hub: {}", text.trim())
        },
        |problem: Problem<'_>| problem.to_string(),
    );
    let after = retry_after
        .and_then(|after| after.parse().ok())
        .map(Duration::from_secs);
    match status {
        408 | 429 | 500..=599 => Trouble::Passing { what, after },
        _ => Trouble::Final(what),
    }
}

/// Returns the response if it is a success.
pub(super) async fn accepted(response: Response) -> Result<Response, Trouble> {
    let status = response.status();
    if status == StatusCode::OK || status == StatusCode::CREATED {
        return Ok(response);
    }
    let retry_after = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let body = response.bytes().await.unwrap_or_default();
    Err(refusal(status.as_u16(), retry_after.as_deref(), &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(url: &str) -> Remote {
        Remote::new(RemoteOptions {
            url: parse_url(url).unwrap(),
            token: None,
            token_file: None,
        })
        .unwrap()
    }

    #[test]
    fn addresses_lie_below_the_prefix() {
        assert_eq!(
            remote("localhost:1").address("pub", "a b/ü", "").as_str(),
            "http://localhost:1/pub/a%20b/%C3%BC"
        );
        assert_eq!(
            remote("http://h/x/")
                .address("sse", "", "channels=a,b")
                .as_str(),
            "http://h/x/sse?channels=a,b"
        );
    }

    #[test]
    fn channels_are_encoded_one_by_one() {
        assert_eq!(channel_list("a//b,c&d"), "a%2F%2Fb,c%26d");
    }

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        assert!(matches!(
            refusal(503, Some("3"), b"{}"),
            Trouble::Passing { after: Some(_), .. }
        ));
        let refused = refusal(
            403,
            None,
            br#"{"status":403,"code":"forbidden","detail":"not this channel","hint":"Ask."}"#,
        );
        let Trouble::Final(what) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(what, "refused (403 forbidden): not this channel\n  Ask.");
    }
}
