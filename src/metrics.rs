//! The hub's counters, in the types of Prometheus.
//!
//! Knows no other module: the others count, and `http/metrics` prints.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::protocol::{ByeReason, GapReason, Refusal, Transport};

/// The causes of a change of transport, as `web/causes.js` lists them. Any other cause is counted as `other`, because
/// clients must not be able to create labels.
const CAUSES: [&str; 21] = [
    "refused",
    "closed",
    "killed",
    "idle",
    "age",
    "silent",
    "mute",
    "held",
    "slow",
    "unproven",
    "incomplete",
    "starved",
    "foreign",
    "blocked",
    "expired",
    "drain",
    "busy",
    "gone",
    "http",
    "sleep",
    "error",
];

/// Labels by transport.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByTransport {
    transport: &'static str,
}

/// Labels of gaps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByGap {
    transport: &'static str,
    reason: &'static str,
}

/// Labels of refusals.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    code: &'static str,
}

/// Labels of fallbacks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFallback {
    from: &'static str,
    to: &'static str,
    reason: &'static str,
}

/// The counters of one hub.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Events published.
    pub(crate) published: Counter,
    /// Writes to readers' sockets. Tests use it to check that all pending frames go into one write.
    pub(crate) writes: Counter,
    /// Accepts that failed because no file descriptors were left.
    pub(crate) accept_failures: Counter,
    /// Connections open on our own listener.
    #[doc(hidden)]
    pub connections: Gauge,
    readers: Family<ByTransport, Gauge>,
    delivered: Family<ByTransport, Counter>,
    /// Readers and delivered events of each transport, looked up once for all readers.
    by_transport: [(Gauge, Counter); Transport::ALL.len()],
    gaps: Family<ByGap, Counter>,
    refusals: Family<ByCode, Counter>,
    byes: Family<ByCode, Counter>,
    fallbacks: Family<ByFallback, Counter>,
}

/// The counters that one reader changes, looked up once when it opens.
#[derive(Debug)]
pub struct ReaderMetrics {
    readers: Gauge,
    /// Whether the gauge of readers counts it now.
    is_reading: bool,
    delivered: Counter,
}

impl ReaderMetrics {
    /// Counts events written to a reader.
    pub fn delivered(&self, events: usize) {
        self.delivered.inc_by(events as u64);
    }

    /// It is no reader for a while.
    pub fn rest(&mut self) {
        if std::mem::take(&mut self.is_reading) {
            self.readers.dec();
        }
    }

    /// It is no reader for a while, and somebody else has counted that.
    pub fn rested(&mut self) {
        self.is_reading = false;
    }

    /// It is a reader again.
    pub fn again(&mut self) {
        if !std::mem::replace(&mut self.is_reading, true) {
            self.readers.inc();
        }
    }
}

impl Drop for ReaderMetrics {
    fn drop(&mut self) {
        self.rest();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let readers = Family::<ByTransport, Gauge>::default();
        let delivered = Family::<ByTransport, Counter>::default();
        let by_transport = Transport::ALL.map(|transport| {
            let transport = transport.as_str();
            let label = ByTransport { transport };
            let readers = readers.get_or_create_owned(&label);
            (readers, delivered.get_or_create_owned(&label))
        });
        Self {
            published: Counter::default(),
            writes: Counter::default(),
            accept_failures: Counter::default(),
            connections: Gauge::default(),
            readers,
            delivered,
            by_transport,
            gaps: Family::default(),
            refusals: Family::default(),
            byes: Family::default(),
            fallbacks: Family::default(),
        }
    }
}

impl Metrics {
    /// Returns a registry that prints these counters with the prefix `triway`.
    #[must_use]
    pub(crate) fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("triway");
        registry.register("published", "Events published", self.published.clone());
        registry.register(
            "writes",
            "Writes to the sockets of readers",
            self.writes.clone(),
        );
        registry.register(
            "accept_failures",
            "Accepts that failed because file descriptors ran out",
            self.accept_failures.clone(),
        );
        registry.register(
            "connections",
            "Connections open on the listener",
            self.connections.clone(),
        );
        registry.register("readers", "Open readers", self.readers.clone());
        registry.register(
            "delivered",
            "Events written to readers",
            self.delivered.clone(),
        );
        registry.register("gaps", "Gaps sent to readers", self.gaps.clone());
        registry.register(
            "refusals",
            "Requests and commands refused",
            self.refusals.clone(),
        );
        registry.register("byes", "Attachments closed by the hub", self.byes.clone());
        registry.register(
            "fallbacks",
            "Changes of transport that clients reported",
            self.fallbacks.clone(),
        );
        registry
    }

    /// Counts a reader until the returned value is dropped.
    #[must_use]
    pub(crate) fn reader(&self, transport: Transport) -> ReaderMetrics {
        let (readers, delivered) = self.by_transport[transport as usize].clone();
        readers.inc();
        ReaderMetrics {
            readers,
            is_reading: true,
            delivered,
        }
    }

    /// Returns the counter of events written to readers of this transport.
    #[must_use]
    pub(crate) fn delivered(&self, transport: Transport) -> Counter {
        self.by_transport[transport as usize].1.clone()
    }

    /// Returns the gauge of readers of this transport.
    #[must_use]
    pub(crate) fn readers(&self, transport: Transport) -> Gauge {
        self.by_transport[transport as usize].0.clone()
    }

    /// Counts a gap that is sent.
    pub(crate) fn gap(&self, transport: Transport, reason: GapReason) {
        self.gaps
            .get_or_create(&ByGap {
                transport: transport.as_str(),
                reason: reason.as_str(),
            })
            .inc();
    }

    /// Counts a refusal.
    pub(crate) fn refusal(&self, refusal: &Refusal) {
        self.refusals
            .get_or_create(&ByCode {
                code: refusal.code.as_str(),
            })
            .inc();
    }

    /// Counts a bye.
    pub(crate) fn bye(&self, reason: &'static str) {
        self.byes.get_or_create(&ByCode { code: reason }).inc();
    }

    /// Returns the counter of readers that accept no bytes within the write budget, for code that detects this where
    /// it cannot send a bye.
    #[must_use]
    pub(crate) fn slow_byes(&self) -> Counter {
        let (_, code) = ByeReason::Slow.facts();
        self.byes.get_or_create_owned(&ByCode { code })
    }

    /// Counts a change of transport. `why` is the client's reason, such as `ws:refused`.
    pub(crate) fn fallback(&self, to: Transport, why: &str) {
        let (from, reason) = why.split_once(':').unwrap_or(("", why));
        let Some(from) = Transport::ALL
            .iter()
            .find(|transport| transport.as_str() == from)
        else {
            return;
        };
        let known = CAUSES.iter().find(|known| **known == reason);
        let label = ByFallback {
            from: from.as_str(),
            to: to.as_str(),
            reason: known.unwrap_or(&"other"),
        };
        self.fallbacks.get_or_create(&label).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_causes_are_those_of_the_client() {
        let list = include_str!("../web/causes.js").split_once("CAUSES = [");
        let (list, _) = list.unwrap().1.split_once(']').unwrap();
        let causes: Vec<&str> = list.split('\'').skip(1).step_by(2).collect();
        assert_eq!(causes, CAUSES);
    }

    #[test]
    fn what_is_counted_is_printed() {
        let metrics = Metrics::default();
        let reader = metrics.reader(Transport::Sse);
        reader.delivered(3);
        metrics.gap(Transport::Poll, GapReason::Restart);
        metrics.fallback(Transport::Sse, "ws:refused");
        metrics.fallback(Transport::Sse, "ws:<script>");
        metrics.fallback(Transport::Sse, "nonsense");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &metrics.registry()).unwrap();
        assert!(
            text.contains("triway_delivered_total{transport=\"sse\"} 3"),
            "{text}"
        );
        assert!(
            text.contains("triway_gaps_total{transport=\"poll\",reason=\"restart\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("triway_fallbacks_total{from=\"ws\",to=\"sse\",reason=\"refused\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("reason=\"other\"} 1") && !text.contains("<script"),
            "{text}"
        );
        assert!(
            text.contains("triway_readers{transport=\"sse\"} 1"),
            "{text}"
        );
        drop(reader);
    }
}
