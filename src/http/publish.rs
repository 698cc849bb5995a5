//! Publishing over HTTP: a body to a channel, commands of a session, and the GET for networks that block POST. Knows no
//! reader.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE};

use super::attach::rest_of_path;
use super::authenticator::Purpose;
use super::refused_hosts::printable;
use super::{App, RefusalResponse, SharedApp, json, paged};
use crate::broker::Published;
use crate::protocol::peer::Peer;
use crate::protocol::{
    BodyEcho, ChannelName, Code, CredentialPlace, Data, EventName, GET_PUBLISH_BYTES_MAX, Limits,
    Paged, Publish, PublishAnswer, Refusal, SendBody, decode_query, parse_channel_list,
};
use crate::session::{Action, Publisher};

/// The media type of JSON data, and the suffix of the types that are based on it (RFC 6839).
const JSON: &str = "application/json";
const JSON_SUFFIX: &str = "+json";

/// The parameters of a request that publishes or queries a channel.
#[derive(Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn of(parts: &Parts) -> Result<Self, Refusal> {
        let query = decode_query(parts.uri.query().unwrap_or_default())?;
        let owned = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into(), value.into());
        Ok(Self(query.into_iter().map(owned).collect()))
    }

    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// Returns a parameter even if it is empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the only channel of a request: from its path, or from `?channels=` for names that a path would change.
    pub(super) fn channel(&self, parts: &Parts) -> Result<ChannelName, Refusal> {
        let in_path = rest_of_path(parts).filter(|rest| !rest.is_empty());
        let mut names = match (
            in_path,
            self.find("channels").or_else(|| self.find("channel")),
        ) {
            (Some(path), None) => parse_channel_list(path)?,
            (None, Some(name)) => vec![ChannelName::new(name)?],
            (None, None) => return Err(Refusal::bad_channel("no channel is named")),
            (Some(_), Some(_)) => {
                return Err(Refusal::bad_channel("the channel is named in two places"));
            }
        };
        match names.len() {
            1 => Ok(names.remove(0)),
            _ => Err(Refusal::bad_channel("this address accepts one channel")),
        }
    }
}

impl App {
    /// Returns the publisher of this request, which publishes or queries.
    pub(super) async fn publisher(
        &self,
        parts: &Parts,
        parameters: &Parameters,
        action: Action,
    ) -> Result<Publisher, Refusal> {
        let channels = parameters.channel(parts).ok().into_iter().collect();
        let purpose = Purpose { action, channels };
        let credential = self.credential(parts, None, purpose).await?;
        self.sessions
            .publisher(parameters.find("session"), &credential, address(parts))
    }
}

/// Returns the client's address.
pub(super) fn address(parts: &Parts) -> Option<std::net::IpAddr> {
    parts.extensions.get::<Peer>().map(|peer| peer.client)
}

/// `POST /pub/{channel}`.
pub(super) async fn publish(
    State(app): State<SharedApp>,
    request: Request,
) -> Result<Response, RefusalResponse> {
    let (parts, body) = request.into_parts();
    let answer = by_post(&app, &parts, body).await;
    answer.map_err(|refusal| app.refused(&parts, refusal))
}

async fn by_post(app: &App, parts: &Parts, body: Body) -> Result<Response, Refusal> {
    let parameters = Parameters::of(parts)?;
    let publisher = app.publisher(parts, &parameters, Action::Publish).await?;
    let publisher = match parameters.find("from") {
        Some(user) => publisher.on_behalf_of(user)?,
        None => publisher,
    };
    check_encoding(parts)?;
    let key = parts.headers.get("idempotency-key").map(|key| {
        key.to_str()
            .map_err(|_| Refusal::bad_parameter("the Idempotency-Key is not text"))
            .and_then(crate::protocol::check_key)
    });
    let key = key.transpose()?;
    let media_type = media_type(parts);
    let limit = body_limit(&media_type, app.sessions.limits());
    let body = match app.bodies.read(body, limit).await {
        // A body that was cut off does not show what was meant, and is sent again with the same key.
        Err(refusal) if refusal.code != Code::TooLarge => return Err(refusal),
        body => body,
    };
    let publish = body.and_then(|(body, _counted)| {
        let sent = body.len();
        let data = data_of(&media_type, body)?;
        Ok(Publish {
            channel: parameters.channel(parts)?,
            name: EventName::new(parameters.find("name").unwrap_or_default())?,
            sent_bytes: data.counted(sent),
            data,
            key: key.clone(),
        })
    });
    answer(app, &publisher, key, publish).await
}

/// Returns the media type of a body, without its parameters.
fn media_type(parts: &Parts) -> String {
    let given = parts.headers.get(CONTENT_TYPE);
    let given = given.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let essence = given.as_deref().unwrap_or_default().split(';').next();
    essence.unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(media_type: &str) -> bool {
    media_type == JSON || media_type.ends_with(JSON_SUFFIX)
}

/// Refuses a compressed body: it is published as it is, and its readers could not decode it.
pub(super) fn check_encoding(parts: &Parts) -> Result<(), Refusal> {
    let encodings = parts.headers.get_all(CONTENT_ENCODING).iter();
    for encoding in encodings {
        let encoding = String::from_utf8_lossy(encoding.as_bytes());
        let is_plain = |name: &str| name.is_empty() || name.eq_ignore_ascii_case("identity");
        if !encoding.split(',').all(|name| is_plain(name.trim())) {
            let detail = format!(
                "Content-Encoding `{}` is not accepted",
                printable(&encoding)
            );
            return Err(Refusal::new(Code::UnsupportedEncoding, detail));
        }
    }
    Ok(())
}

/// Returns the size limit of a body in bytes. JSON may be a string, whose escapes do not count as data.
fn body_limit(media_type: &str, limits: Limits) -> usize {
    if is_json(media_type) {
        limits.body
    } else {
        limits.data
    }
}

fn data_of(media_type: &str, body: Bytes) -> Result<Data, Refusal> {
    match media_type {
        _ if is_json(media_type) => Data::from_json(&body),
        // `curl -d` sends this type with any data. The body is never parsed as a form.
        "" | "application/x-www-form-urlencoded" => text(&body),
        _ if media_type.starts_with("text/") => text(&body),
        _ => Ok(Data::Bytes(body)),
    }
}

fn text(body: &[u8]) -> Result<Data, Refusal> {
    str::from_utf8(body).map(Data::text).map_err(|_| {
        Refusal::bad_parameter("the text is not UTF-8; send bytes as application/octet-stream")
    })
}

async fn answer(
    app: &App,
    publisher: &Publisher,
    key: Option<String>,
    publish: Result<Publish, Refusal>,
) -> Result<Response, Refusal> {
    let publish = match publish {
        Ok(publish) => publish,
        Err(refusal) => return Err(app.sessions.refuse(publisher, key, refusal).await),
    };
    let channel = publish.channel.clone();
    let Published { id, reached } = app.sessions.publish(publisher, publish).await?;
    let answer = PublishAnswer {
        id,
        channel: Some(channel),
        reached,
    };
    Ok(json(StatusCode::CREATED, &answer))
}

/// `GET /pub/{channel}?session=KEY&key=KEY&data=…`, for a session whose POSTs are blocked.
pub(super) async fn publish_by_get(
    State(app): State<SharedApp>,
    request: Request,
) -> Result<Response, RefusalResponse> {
    let (parts, _) = request.into_parts();
    let answer = by_address(&app, &parts).await;
    answer.map_err(|refusal| app.refused(&parts, refusal))
}

async fn by_address(app: &App, parts: &Parts) -> Result<Response, Refusal> {
    let length = parts
        .uri
        .path_and_query()
        .map_or(0, |text| text.as_str().len());
    if length > GET_PUBLISH_BYTES_MAX {
        return Err(Refusal::new(
            Code::TooLarge,
            "the address of a publish by GET may have at most 4 KiB",
        ));
    }
    if parts
        .headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site")
    {
        return Err(Refusal::new(
            Code::Forbidden,
            "pages of other sites may not publish by GET",
        ));
    }
    let parameters = Parameters::of(parts)?;
    if parameters.find("session").is_none() {
        let refusal = Refusal::new(
            Code::MethodNotAllowed,
            "publish by POST; a GET needs a session key and an idempotency key",
        );
        // The router sends the same `Allow` for the other methods of this path.
        return Ok(([(ALLOW, "POST,GET,HEAD")], app.refused(parts, refusal)).into_response());
    }
    let publisher = app.publisher(parts, &parameters, Action::Publish).await?;
    // A repeated request has the same URL, and so the same key.
    let Some(key) = parameters.find("key") else {
        return Err(Refusal::bad_parameter(
            "a publish by GET needs an idempotency key",
        ));
    };
    let key = Some(crate::protocol::check_key(key)?);
    let publish = publish_of(parts, &parameters, key.clone());
    answer(app, &publisher, key, publish).await
}

fn publish_of(
    parts: &Parts,
    parameters: &Parameters,
    key: Option<String>,
) -> Result<Publish, Refusal> {
    let text = parameters.find("data").unwrap_or_default();
    // Text that parses as JSON is JSON. A client that means text sends it in quotes.
    let data = Data::from_json(text.as_bytes()).unwrap_or_else(|_| Data::text(text));
    Ok(Publish {
        channel: parameters.channel(parts)?,
        name: EventName::new(parameters.find("name").unwrap_or_default())?,
        sent_bytes: data.counted(text.len()),
        data,
        key,
    })
}

/// `POST /send`: the commands of a session, and their replies in the same order.
pub(super) async fn send(
    State(app): State<SharedApp>,
    request: Request,
) -> Result<Response, RefusalResponse> {
    let (parts, body) = request.into_parts();
    let limit = app.sessions.limits().body;
    check_encoding(&parts).map_err(|refusal| app.refused(&parts, refusal))?;
    let body = app.bodies.read(body, limit).await;
    let (body, _counted) = body.map_err(|refusal| app.refused(&parts, refusal))?;
    let (nonce, place) = app.body_echo(&parts, &BodyEcho::of(&body));
    let answer = commanded(&app, &parts, body, (nonce.clone(), place)).await;
    answer.map_err(|refusal| RefusalResponse(refusal.answering(nonce, place)))
}

async fn commanded(
    app: &App,
    parts: &Parts,
    body: Bytes,
    (nonce, place): (Option<Box<str>>, Option<CredentialPlace>),
) -> Result<Response, Refusal> {
    let parameters = Parameters::of(parts)?;
    let asked = SendBody::parse(&body);
    drop(body);
    // A refusal of the credential takes precedence over one of the body.
    let (session, token) = match &asked {
        Ok(asked) => (asked.session.as_deref(), asked.token.clone()),
        Err(_) => (None, None),
    };
    let purpose = Purpose {
        action: Action::Publish,
        channels: Vec::new(),
    };
    let credential = app.credential(parts, token, purpose).await?;
    let session = session.or(parameters.find("session"));
    let publisher = app
        .sessions
        .publisher(session, &credential, address(parts))?;
    let publisher = publisher.with_echo(nonce, place);
    let orders = asked?.orders;
    if parameters.find("atomic") == Some("1") {
        app.sessions.check_atomic(&publisher, &orders)?;
    }
    let replies = app.sessions.execute_all(&publisher, orders).await;
    let mut answer = Paged::from("[".to_owned());
    for (index, reply) in replies.into_iter().enumerate() {
        if index > 0 {
            answer.words(",");
        }
        answer.append(reply);
    }
    answer.words("]");
    Ok(paged(app, answer))
}
