//! A TCP relay in front of a hub that injects faults: it cuts, resets or swallows connections.
//!
//! This file knows bytes only, so it can break a frame in the middle, as networks do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Wire;

/// The fate of a connection. Bytes count everything relayed so far in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The connection is relayed without a fault.
    Carry,
    /// The connection closes after this many bytes, as if it had ended.
    Cut(usize),
    /// The connection is reset after this many bytes.
    Reset(usize),
    /// After this many bytes nothing is relayed in either direction, and neither side learns of it.
    Swallow(usize),
}

type Choose = dyn FnMut() -> Fate + Send;

/// A relay on its own port. Dropping it ends the relay and every connection.
pub(crate) struct Relay {
    pub(crate) wire: Wire,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    target: Mutex<SocketAddr>,
    choose: Mutex<Box<Choose>>,
    /// The fate of all open connections: a number that rises with each order, and the order.
    order: watch::Sender<(u64, Fate)>,
}

impl Relay {
    /// Starts a relay without faults.
    pub(crate) async fn start(target: &Wire) -> Self {
        Self::with(target, || Fate::Carry).await
    }

    /// Starts a relay that calls `choose` for the fate of each connection.
    pub(crate) async fn with(target: &Wire, choose: impl FnMut() -> Fate + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Wire::at(listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            target: Mutex::new(target.address),
            choose: Mutex::new(Box::new(choose)),
            order: watch::channel((0, Fate::Carry)).0,
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Self {
            wire,
            shared,
            accepting,
        }
    }

    /// Sends later connections to this hub.
    pub(crate) fn retarget(&self, target: &Wire) {
        *self.shared.target.lock() = target.address;
    }

    /// Lets `choose` set the fate of later connections.
    pub(crate) fn choose(&self, choose: impl FnMut() -> Fate + Send + 'static) {
        *self.shared.choose.lock() = Box::new(choose);
    }

    /// Applies this fate to all open connections, now.
    pub(crate) fn strike(&self, fate: Fate) {
        self.shared
            .order
            .send_modify(|(number, order)| (*number, *order) = (*number + 1, fate));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.strike(Fate::Cut(0));
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let fate = (shared.choose.lock())();
        let target = *shared.target.lock();
        let mut orders = shared.order.subscribe();
        tokio::spawn(async move {
            let Ok(hub) = TcpStream::connect(target).await else {
                return reset(&client);
            };
            carry(client, hub, fate, &mut orders).await;
        });
    }
}

/// Relays both directions until the fate or an order applies.
async fn carry(
    client: TcpStream,
    hub: TcpStream,
    fate: Fate,
    orders: &mut watch::Receiver<(u64, Fate)>,
) {
    let _ = (client.set_nodelay(true), hub.set_nodelay(true));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_hub, mut to_hub) = hub.into_split();
    let mut left = match fate {
        Fate::Carry => usize::MAX,
        Fate::Cut(bytes) | Fate::Reset(bytes) | Fate::Swallow(bytes) => bytes,
    };
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let mut end = fate;
    while left > 0 {
        // Reads are cancel-safe. The bytes of a read are written before anything else is polled.
        tokio::select! {
            read = from_client.read(&mut up) => match read {
                Ok(count) if count > 0 => {
                    let count = count.min(left);
                    if to_hub.write_all(&up[..count]).await.is_err() {
                        return;
                    }
                    left -= count;
                }
                _ => return,
            },
            read = from_hub.read(&mut down) => match read {
                Ok(count) if count > 0 => {
                    let count = count.min(left);
                    if to_client.write_all(&down[..count]).await.is_err() {
                        return;
                    }
                    left -= count;
                }
                _ => return,
            },
            changed = orders.changed() => {
                if changed.is_err() {
                    return;
                }
                end = orders.borrow_and_update().1;
                break;
            }
        }
    }
    let client = from_client.reunite(to_client).unwrap();
    let hub = from_hub.reunite(to_hub).unwrap();
    match end {
        Fate::Carry | Fate::Cut(_) => {}
        Fate::Reset(_) => {
            reset(&client);
            reset(&hub);
        }
        Fate::Swallow(_) => swallow(client, hub, orders).await,
    }
}

/// Reads both sides and writes nothing, until the relay ends or the next order arrives.
async fn swallow(
    mut client: TcpStream,
    mut hub: TcpStream,
    orders: &mut watch::Receiver<(u64, Fate)>,
) {
    let (mut up, mut down) = (vec![0; 4 * 1024], vec![0; 4 * 1024]);
    let (mut client_lives, mut hub_lives) = (true, true);
    while client_lives || hub_lives {
        tokio::select! {
            read = client.read(&mut up), if client_lives => {
                client_lives = read.is_ok_and(|count| count > 0);
                if !client_lives {
                    // The client gave up; the hub does not see that until a little later.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    return;
                }
            }
            read = hub.read(&mut down), if hub_lives => {
                hub_lives = read.is_ok_and(|count| count > 0);
            }
            _ = orders.changed() => return,
        }
    }
}

/// Makes the close of this socket a reset.
fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
