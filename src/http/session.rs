//! Sessions without a reader: `/session` begins and ends one, `/revoke` ends those of a user, a session or a credential.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use super::authenticator::Purpose;
use super::publish::{Parameters, address};
use super::{App, RefusalResponse, SharedApp, json};
use crate::protocol::{BodyEcho, ByeReason, Code, Refusal};
use crate::session::{Action, Subject};

/// The longest body of these requests, in bytes: the longest token, and some more.
const BODY_BYTES_MAX: usize = 640 * 1024;

/// The body of `POST /session`, where a token is too long for a header.
#[derive(Default, Deserialize)]
struct BeginBody {
    token: Option<String>,
}

/// The body of `POST /revoke`.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum RevokeBody {
    User(String),
    Session(String),
    Jti(String),
}

#[derive(Serialize)]
struct RevokeAnswer {
    ended: usize,
    until: u64,
}

/// `POST /session`: answers with the key of a new session, for any credential. With `?session=KEY` and a credential of
/// the same user, the key is a new one of that session.
pub(super) async fn begin(
    State(app): State<SharedApp>,
    request: Request,
) -> Result<Response, RefusalResponse> {
    let (parts, body) = request.into_parts();
    let body = app.bodies.read(body, BODY_BYTES_MAX).await;
    let (body, _counted) = body.map_err(|refusal| app.refused(&parts, refusal))?;
    let (nonce, place) = app.body_echo(&parts, &BodyEcho::of(&body));
    let answer = begun(&app, &parts, &body).await;
    answer.map_err(|refusal| RefusalResponse(refusal.answering(nonce, place)))
}

async fn begun(app: &App, parts: &Parts, body: &[u8]) -> Result<Response, Refusal> {
    let parameters = Parameters::of(parts)?;
    let BeginBody { token } = match body.trim_ascii() {
        [] => BeginBody::default(),
        body => serde_json::from_slice(body).map_err(|error| Refusal::bad_json(&error))?,
    };
    let purpose = Purpose {
        action: Action::Read,
        channels: Vec::new(),
    };
    let credential = app.credential(parts, token, purpose).await?;
    let key = parameters.find("session");
    let session = app.sessions.begin(key, &credential, address(parts))?;
    Ok(json(StatusCode::CREATED, &session))
}

/// `DELETE /session?session=KEY`: ends the session of this key.
pub(super) async fn end(
    State(app): State<SharedApp>,
    request: Request,
) -> Result<Response, RefusalResponse> {
    let (parts, _) = request.into_parts();
    let answer = ended(&app, &parts);
    answer.map_err(|refusal| app.refused(&parts, refusal))
}

fn ended(app: &App, parts: &Parts) -> Result<Response, Refusal> {
    let parameters = Parameters::of(parts)?;
    let Some(key) = parameters.find("session") else {
        return Err(Refusal::bad_parameter(
            "the address has no `session` with a session key",
        ));
    };
    app.sessions.log_out(key)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /revoke`: refuses what was issued until now, and ends open readers. Needs an API key with the scope `admin`.
pub(super) async fn revoke(
    State(app): State<SharedApp>,
    request: Request,
) -> Result<Response, RefusalResponse> {
    let (parts, body) = request.into_parts();
    let answer = revoked(&app, &parts, body).await;
    answer.map_err(|refusal| app.refused(&parts, refusal))
}

async fn revoked(app: &App, parts: &Parts, body: axum::body::Body) -> Result<Response, Refusal> {
    let admin = app.admin(parts)?;
    let (body, _counted) = app.bodies.read(body, BODY_BYTES_MAX).await?;
    let asked: RevokeBody = serde_json::from_slice(&body).map_err(|_| {
        Refusal::new(
            Code::BadJson,
            "the body must be {\"user\": ID}, {\"session\": ID} or {\"jti\": ID}",
        )
    })?;
    let subject = match &asked {
        RevokeBody::User(id) => Subject::User(id),
        RevokeBody::Session(id) => Subject::Session(id),
        RevokeBody::Jti(id) => Subject::Credential(id),
    };
    let revoked = app.sessions.revoke(subject, ByeReason::Unauthorized);
    let from: Option<IpAddr> = address(parts);
    tracing::info!(
        by = admin,
        ?subject,
        ?from,
        ended = revoked.ended,
        "revoked"
    );
    let answer = RevokeAnswer {
        ended: revoked.ended,
        until: revoked.until_s,
    };
    Ok(json(StatusCode::OK, &answer))
}
