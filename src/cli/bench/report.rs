//! The figures of all runs, as in the JSON document. A figure that could not be measured is null.
//!
//! This file measures nothing, and it does not know how the report is displayed.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::machine::Machine;
use super::phase::Measured;
use super::plan::Plan;

/// Points of a percentile curve for each halving of the remaining range.
const CURVE_POINTS: u32 = 4;

/// All results of a bench.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    pub(super) machine: Machine,
    pub(super) options: &'a Plan,
    pub(super) warnings: Vec<String>,
    pub(super) results: Vec<Figures>,
}

/// The figures of one transport in one round.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    pub(super) transport: &'static str,
    pub(super) round: usize,
    pub(super) readers: usize,
    pub(super) channels: usize,
    pub(super) events: u64,
    pub(super) deliveries: u64,
    pub(super) lost: u64,
    pub(super) twice: u64,
    pub(super) reordered: u64,
    pub(super) gaps: u64,
    pub(super) trouble: Option<String>,
    pub(super) seconds: f64,
    pub(super) events_per_second: f64,
    pub(super) deliveries_per_second: f64,
    pub(super) connect: Connect,
    pub(super) latency: Latency,
    pub(super) bytes_per_event: Option<f64>,
    pub(super) requests_per_event: Option<f64>,
    pub(super) server_cpu_ns_per_delivery: Option<f64>,
    pub(super) server_cpu_share: Option<f64>,
    pub(super) idle_rss_bytes_per_connection: Option<f64>,
    pub(super) load_cpu_share: Option<f64>,
    pub(super) others_cpu_share: Option<f64>,
    pub(super) late_p99_us: Option<f64>,
}

/// Time from the first byte of a connection to its hello.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Connect {
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) max_ms: Option<f64>,
    pub(super) server_cpu_us_per_connection: Option<f64>,
}

/// Time from an event's timestamp to the read that delivered it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Latency {
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
    pub(super) p999_us: Option<f64>,
    pub(super) max_us: Option<f64>,
    /// (percentile, µs), in rising order, for a plot.
    pub(super) curve: Vec<(f64, f64)>,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people: 53 bits are more than any of them has"
)]
fn float(number: u64) -> f64 {
    number as f64
}

/// Returns `number` divided by `count`, if `number` is known and `count` is not 0.
fn each(number: impl Into<Option<u64>>, count: u64) -> Option<f64> {
    let number = number.into()?;
    (count > 0).then(|| float(number) / float(count))
}

fn percentile(histogram: &Histogram<u64>, percent: f64, unit_ns: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| float(histogram.value_at_percentile(percent)) / unit_ns)
}

const US: f64 = 1e3;
const MS: f64 = 1e6;

fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let values = histogram.iter_quantiles(CURVE_POINTS);
    values
        .map(|value| {
            (
                value.quantile_iterated_to() * 100.0,
                float(value.value_iterated_to()) / US,
            )
        })
        .collect()
}

impl Figures {
    pub(super) fn new(plan: &Plan, cores: usize, measured: &Measured) -> Self {
        let deliveries = measured.tally.deliveries;
        let seconds = measured.took.as_secs_f64();
        let took_ns = u64::try_from(measured.took.as_nanos()).unwrap_or(u64::MAX);
        let all_cores_ns = took_ns.saturating_mul(cores as u64);
        let Measured {
            connect,
            latency,
            late,
            ..
        } = measured;
        let bytes = measured.tally.bytes_read + measured.tally.bytes_written;
        let per_connection = |number| each(number, plan.readers as u64);
        Self {
            transport: measured.via.name(),
            round: measured.round,
            readers: plan.readers,
            channels: plan.channels,
            events: measured.events,
            deliveries,
            lost: measured.lost,
            twice: measured.twice,
            reordered: measured.reordered,
            gaps: measured.gaps,
            trouble: measured.trouble.clone(),
            seconds,
            events_per_second: float(measured.events) / seconds,
            deliveries_per_second: float(deliveries) / seconds,
            connect: Connect {
                p50_ms: percentile(connect, 50.0, MS),
                p99_ms: percentile(connect, 99.0, MS),
                max_ms: percentile(connect, 100.0, MS),
                server_cpu_us_per_connection: per_connection(measured.connect_cpu_ns)
                    .map(|ns| ns / US),
            },
            latency: Latency {
                p50_us: percentile(latency, 50.0, US),
                p99_us: percentile(latency, 99.0, US),
                p999_us: percentile(latency, 99.9, US),
                max_us: percentile(latency, 100.0, US),
                curve: curve(latency),
            },
            bytes_per_event: each(bytes, deliveries),
            requests_per_event: each(measured.tally.requests, deliveries),
            server_cpu_ns_per_delivery: each(measured.server_ns, deliveries),
            server_cpu_share: each(measured.server_ns, took_ns),
            idle_rss_bytes_per_connection: per_connection(measured.idle_bytes),
            load_cpu_share: each(measured.load_ns, took_ns),
            others_cpu_share: each(measured.others_ns, all_cores_ns),
            late_p99_us: percentile(late, 99.0, US),
        }
    }

    /// Describes why the run failed. Returns `None` if it succeeded.
    pub(super) fn complaint(&self) -> Option<String> {
        let Self {
            lost,
            twice,
            reordered,
            gaps,
            ..
        } = self;
        let place = format!("{}, round {}", self.transport, self.round);
        let broken = lost + twice + reordered + gaps > 0;
        let counts = broken
            .then(|| format!("{lost} lost, {twice} twice, {reordered} out of order, {gaps} gaps"));
        let told = [counts, self.trouble.clone()].into_iter().flatten();
        let told = told.collect::<Vec<_>>().join("; ");
        (!told.is_empty()).then(|| format!("{place}: {told}"))
    }
}
