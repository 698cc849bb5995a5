//! Is the process up, is it ready, and what did it count.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::header::CONTENT_TYPE;
use hyper::{StatusCode, Uri};
use prometheus_client::metrics::gauge::Gauge;

use super::{Refused, Shared, json};
use crate::protocol::{BUILD, Code, MAGIC, Refusal};

/// `GET /healthz`: the process is up, and it is this hub and no portal.
pub(super) async fn live() -> Response {
    json(
        StatusCode::OK,
        format!("{{\"magic\":\"{MAGIC}\",\"build\":\"{BUILD}\"}}"),
    )
}

/// `GET /readyz`: new readers are welcome.
pub(super) async fn ready(State(app): State<Shared>, uri: Uri) -> Result<Response, Refused> {
    if app.sessions.drain().has_begun() {
        let refusal = Refusal::new(Code::Draining, "this node goes down");
        return Err(Refused::at(&uri, refusal));
    }
    Ok(live().await)
}

/// `GET /metrics`, for Prometheus.
pub(super) async fn metrics(State(app): State<Shared>) -> Response {
    let hub = app.sessions.hub();
    let mut text = String::new();
    let mut registry = hub.metrics().registry();
    registry.register("channels", "Channels held", shown(hub.channel_count()));
    let sessions = shown(app.sessions.count());
    registry.register("sessions", "Sessions remembered", sessions);
    registry.register(
        "history_bytes",
        "Bytes held by events, encoded forms counted",
        shown(hub.history_bytes()),
    );
    registry.register(
        "bodies_bytes",
        "Bytes held of request bodies and messages on their way",
        shown(app.sessions.inbound().held()),
    );
    if prometheus_client::encoding::text::encode(&mut text, &registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    (
        [(
            CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        text,
    )
        .into_response()
}

/// What is counted elsewhere, at this moment.
fn shown(value: usize) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(value as i64);
    gauge
}
