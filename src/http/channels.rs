//! Queries about a channel without reading it: its history and its members. Knows no transport of readers.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::Response;

use super::publish::Parameters;
use super::{App, RefusalResponse, SharedApp, object, paged};
use crate::hub::ReadLimit;
use crate::protocol::cursor::Since;
use crate::protocol::{ChannelName, Code, Refusal, history_bytes, history_limit};
use crate::session::Action;
use crate::session::Publisher;

/// A client's query about a channel.
struct ChannelQuery {
    parameters: Parameters,
    channel: ChannelName,
    asker: Publisher,
}

impl ChannelQuery {
    async fn of(app: &App, parts: &Parts) -> Result<Self, Refusal> {
        let parameters = Parameters::of(parts)?;
        let channel = parameters.channel(parts)?;
        let asker = app.publisher(parts, &parameters, Action::Read).await?;
        app.sessions.may_ask_now(&asker)?;
        Ok(Self {
            parameters,
            channel,
            asker,
        })
    }
}

/// `GET /history/{channel}`.
pub(super) async fn history(
    State(app): State<SharedApp>,
    request: Request,
) -> Result<Response, RefusalResponse> {
    let (parts, _) = request.into_parts();
    let answer = page(&app, &parts).await;
    answer.map_err(|refusal| app.refused(&parts, refusal))
}

async fn page(app: &App, parts: &Parts) -> Result<Response, Refusal> {
    let question = ChannelQuery::of(app, parts).await?;
    let parameters = &question.parameters;
    let start = match parameters.given("since") {
        None => Since::All,
        Some(text) => text
            .parse()
            .map_err(|error| Refusal::new(Code::BadCursor, format!("`since` is {error}")))?,
    };
    let portion = ReadLimit {
        events: history_limit(whole_number(parameters, "limit")?)?,
        bytes: history_bytes(whole_number(parameters, "bytes")?)?,
        of_frames: false,
    };
    let fields = app
        .sessions
        .history_fields(&question.asker, &question.channel, start, portion)?;
    app.sessions.charge_answer(&question.asker, fields.len());
    Ok(paged(app, object(fields)))
}

fn whole_number(parameters: &Parameters, name: &str) -> Result<Option<usize>, Refusal> {
    let number = parameters.find(name).map(str::parse).transpose();
    number.map_err(|_| Refusal::bad_parameter(format!("`{name}` must be a whole number")))
}

/// `GET /presence/{channel}`.
pub(super) async fn presence(
    State(app): State<SharedApp>,
    request: Request,
) -> Result<Response, RefusalResponse> {
    let (parts, _) = request.into_parts();
    let answer = members(&app, &parts).await;
    answer.map_err(|refusal| app.refused(&parts, refusal))
}

async fn members(app: &App, parts: &Parts) -> Result<Response, Refusal> {
    let question = ChannelQuery::of(app, parts).await?;
    let fields = app
        .sessions
        .presence_fields(&question.asker, &question.channel)?;
    app.sessions.charge_answer(&question.asker, fields.len());
    Ok(paged(app, object(fields)))
}
