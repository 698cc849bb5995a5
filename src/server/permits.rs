//! Connection limits: how many connections the server has, overall and per address.
//!
//! A permit is a guard: dropping it releases the place. This file does not know sockets or HTTP.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;

use crate::protocol::peer::client_network;

/// The connections of one listener.
#[derive(Debug)]
pub(super) struct Connections {
    /// `None` means no limit.
    overall_cap: Option<usize>,
    address_cap: Option<usize>,
    overall: AtomicUsize,
    emptied: Notify,
    /// The same count as a metric.
    shown: Gauge,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// The limit because of which a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdmissionError {
    /// The server has reached its connection limit.
    Overall,
    /// The address has reached its connection limit.
    Address,
}

impl Connections {
    pub(super) fn new(
        overall_cap: Option<usize>,
        address_cap: Option<usize>,
        shown: Gauge,
    ) -> Arc<Self> {
        Arc::new(Self {
            overall_cap,
            address_cap,
            overall: AtomicUsize::new(0),
            emptied: Notify::new(),
            shown,
            by_address: Mutex::new(HashMap::new()),
        })
    }

    /// Returns a permit for one more connection of the server.
    pub(super) fn connection_permit(self: &Arc<Self>) -> Result<ConnectionPermit, AdmissionError> {
        let before = self.overall.fetch_add(1, Ordering::AcqRel);
        self.shown.inc();
        let seat = ConnectionPermit {
            connections: self.clone(),
        };
        if self.overall_cap.is_some_and(|cap| before >= cap) {
            Err(AdmissionError::Overall)
        } else {
            Ok(seat)
        }
    }

    /// Returns a permit for one more connection of `address`. Loopback needs no permit.
    pub(super) fn address_permit(
        self: &Arc<Self>,
        address: IpAddr,
    ) -> Result<Option<AddressPermit>, AdmissionError> {
        let Some(cap) = self.address_cap else {
            return Ok(None);
        };
        let address = address.to_canonical();
        if address.is_loopback() {
            return Ok(None);
        }
        let key = client_network(address);
        let mut by_address = self.by_address.lock();
        let count = by_address.entry(key).or_insert(0);
        if *count >= cap {
            return Err(AdmissionError::Address);
        }
        *count += 1;
        Ok(Some(AddressPermit {
            connections: self.clone(),
            key,
        }))
    }

    pub(super) fn count(&self) -> usize {
        self.overall.load(Ordering::Acquire)
    }

    /// Waits until there are no connections.
    pub(super) async fn empty(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            // Register before the count is read: a permit dropped in between would otherwise go unnoticed.
            emptied.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

/// A place among all connections. Dropping it releases the place.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    connections: Arc<Connections>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.connections.shown.dec();
        if self.connections.overall.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.connections.emptied.notify_waiters();
        }
    }
}

/// A place among the connections of one address. Dropping it releases the place.
#[derive(Debug)]
pub(super) struct AddressPermit {
    connections: Arc<Connections>,
    key: IpAddr,
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut by_address = self.connections.by_address.lock();
        if let Some(count) = by_address.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_seat_is_free_again() {
        let connections = Connections::new(Some(2), None, Gauge::default());
        let first = connections.connection_permit().unwrap();
        let _second = connections.connection_permit().unwrap();
        assert_eq!(
            connections.connection_permit().unwrap_err(),
            AdmissionError::Overall
        );
        assert_eq!(connections.count(), 2, "a refused one is not counted");
        drop(first);
        assert!(connections.connection_permit().is_ok());
    }

    #[test]
    fn an_address_has_its_own_cap_and_loopback_none() {
        let connections = Connections::new(None, Some(1), Gauge::default());
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let held = connections.address_permit(address).unwrap();
        assert_eq!(
            connections.address_permit(address).unwrap_err(),
            AdmissionError::Address
        );
        assert!(
            connections
                .address_permit("::ffff:192.0.2.1".parse().unwrap())
                .is_err(),
            "the same, mapped"
        );
        assert!(
            connections
                .address_permit("192.0.2.2".parse().unwrap())
                .is_ok()
        );
        drop(held);
        assert!(connections.address_permit(address).is_ok());
        assert!(
            connections.by_address.lock().is_empty(),
            "nothing is kept of those who left"
        );
        let loopback: Vec<_> = (0..9)
            .map(|_| connections.address_permit("127.0.0.1".parse().unwrap()))
            .collect();
        assert!(loopback.iter().all(Result::is_ok));
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        let connections = Connections::new(None, Some(1), Gauge::default());
        let _held = connections
            .address_permit("2001:db8::1".parse().unwrap())
            .unwrap();
        assert!(
            connections
                .address_permit("2001:db8::2".parse().unwrap())
                .is_err()
        );
        assert!(
            connections
                .address_permit("2001:db8:0:1::1".parse().unwrap())
                .is_ok()
        );
    }

    #[tokio::test]
    async fn empty_waits_for_the_last_one() {
        let connections = Connections::new(None, None, Gauge::default());
        let seat = connections.connection_permit().unwrap();
        let waiting = tokio::spawn({
            let connections = connections.clone();
            async move { connections.empty().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(seat);
        waiting.await.unwrap();
    }
}
