//! A TCP relay in front of a hub that breaks what goes through it: cuts, resets, or swallows.
//!
//! Knows bytes only, so that it breaks frames in the middle as networks do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Wire;

/// What becomes of a connection. Bytes are those that came through so far, of both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing happens to it.
    Carry,
    /// Closed after so many bytes, as if it had ended.
    Cut(usize),
    /// Reset after so many bytes.
    Reset(usize),
    /// After so many bytes nothing comes through any more, in either direction, and nobody is told.
    Swallow(usize),
}

type Choose = dyn FnMut() -> Fate + Send;

/// A relay on a port of its own. It ends, with all it carries, when it is dropped.
pub(crate) struct Relay {
    pub(crate) wire: Wire,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    target: Mutex<SocketAddr>,
    choose: Mutex<Box<Choose>>,
    /// What befalls all that are open: a number that rises with each order, and the order.
    order: watch::Sender<(u64, Fate)>,
}

impl Relay {
    /// A relay that carries everything, until told otherwise.
    pub(crate) async fn start(target: &Wire) -> Self {
        Self::with(target, || Fate::Carry).await
    }

    /// A relay that asks for the fate of each connection.
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

    /// From now on connections go to this hub.
    pub(crate) fn retarget(&self, target: &Wire) {
        *self.shared.target.lock() = target.address;
    }

    /// From now on connections get their fate here.
    pub(crate) fn choose(&self, choose: impl FnMut() -> Fate + Send + 'static) {
        *self.shared.choose.lock() = Box::new(choose);
    }

    /// Does this to all connections that are open, now.
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

/// Both ways, until the fate or an order comes.
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
        // Reads are cancel-safe; what was read is written before anything else is looked at.
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

/// Reads both sides and writes nothing, until the relay ends or strikes again.
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
                    // The client gave up; the hub is left in the dark a little longer.
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
