//! Liveness, readiness and metrics. Knows no client.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hyper::header::CONTENT_TYPE;
use hyper::{StatusCode, Uri};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;

use super::{RefusalResponse, SharedApp, json};
use crate::protocol::{Code, HealthAnswer, Refusal};
use crate::session::Sessions;

/// `GET /healthz`: the process runs, and it is this hub and not a captive portal.
pub(super) async fn live() -> Response {
    json(StatusCode::OK, &HealthAnswer::of_this_build())
}

/// `GET /readyz`: the hub accepts new readers.
pub(super) async fn ready(
    State(app): State<SharedApp>,
    uri: Uri,
) -> Result<Response, RefusalResponse> {
    if app.sessions.drain().has_begun() {
        let refusal = Refusal::new(Code::Draining, "this node is shutting down");
        return Err(RefusalResponse::at(&uri, refusal));
    }
    Ok(live().await)
}

/// `GET /metrics`, for Prometheus.
pub(super) async fn metrics(State(app): State<SharedApp>) -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, content_type)], metrics_text(&app.sessions)).into_response()
}

/// Returns the hub's metrics as OpenMetrics.
pub(crate) fn metrics_text(sessions: &Sessions) -> String {
    let hub = sessions.hub();
    let mut registry = hub.metrics().registry();
    registry.register(
        "channels",
        "Channels on the hub",
        shown(hub.channel_count()),
    );
    let remembered = shown(sessions.count());
    registry.register("sessions", "Sessions that the hub remembers", remembered);
    registry.register(
        "history_bytes",
        "Bytes of events, including their encoded forms",
        shown(hub.history_bytes()),
    );
    registry.register(
        "bodies_bytes",
        "Bytes of request bodies and unfinished messages",
        shown(sessions.inbound().held()),
    );
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing into a string cannot fail");
    text
}

/// Returns a gauge of a number that is counted elsewhere, at this moment.
fn shown(value: usize) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(value as i64);
    gauge
}
