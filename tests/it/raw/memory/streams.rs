//! The total memory for all streams of one HTTP/2 connection whose peer reads nothing: a few streams may wait until the
//! write timeout, many streams for two seconds.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpSocket;
use tokio::sync::oneshot;

use super::{PEER_KIB, SHARED_KIB, Scene, Wish, request};
use crate::raw::exact_bytes::in_time;
use crate::raw::over_h2::{Stream, client_of};

/// Largest number of streams of one peer that may wait until the write timeout.
const FEW: u64 = 8;
/// Largest number of streams of one connection.
const MANY: u64 = 100;
/// Largest memory for each of many streams until they are closed, in KiB.
const STREAM_KIB: u64 = 12;
/// Largest memory for each of many WebSockets until they are closed, in KiB.
const SOCKET_KIB: u64 = 16;
/// Memory that may remain after many streams are closed, in KiB.
const LEFT_KIB: u64 = 1_024;
/// When the streams are gone: two or ten seconds after the peer stops reading, plus a second for the last frames.
const WINDOWS_LEFT: Duration = Duration::from_secs(3);
const SOCKET_LEFT: Duration = Duration::from_secs(11);
/// Within this time after that, what many streams used is returned to the system.
const RETURNED_WITHIN: Duration = Duration::from_secs(9);
/// Makes the allocator return freed memory at once.
const KEEP_NOTHING: &str = "export _RJEM_MALLOC_CONF=dirty_decay_ms:0";

/// How a peer stops reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stall {
    /// Its flow control windows are closed, and it reads its socket.
    Windows,
    /// Its flow control windows are large, and it does not read its socket.
    Socket,
}

/// A connection whose peer does not read.
struct Stalled {
    client: SendRequest<Bytes>,
    /// Stops the reading of its socket.
    stop: oneshot::Sender<()>,
}

impl Stalled {
    async fn connect(address: SocketAddr, stall: Stall) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if stall == Stall::Socket {
            socket.set_recv_buffer_size(4 * 1024).unwrap();
        }
        let stream = in_time(socket.connect(address)).await.unwrap();
        let mut builder = h2::client::Builder::new();
        let window = if stall == Stall::Socket { 1 << 30 } else { 0 };
        builder.initial_window_size(window);
        if window > 0 {
            builder.initial_connection_window_size(window);
        }
        let (client, mut connection) = in_time(builder.handshake(stream)).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(async move {
            let reading = async {
                let _ = (&mut connection).await;
            };
            tokio::select! {
                () = reading => {}
                _ = stopped => std::future::pending().await,
            }
        });
        let client = in_time(client.ready()).await.unwrap();
        Self { client, stop }
    }
}

/// The memory for one peer, in KiB.
#[derive(Debug)]
struct Cost {
    /// While its streams wait.
    most: u64,
    /// After the time limit on many streams.
    left: u64,
}

impl Scene {
    /// Measures the memory for each of `peers` peers, each with `streams` streams that wait for it.
    async fn stall_streams(&self, wish: Wish, peers: u64, streams: u64, stall: Stall) -> Cost {
        let before = self.process.resident_kib();
        let (mut connections, mut most) = (Vec::new(), 0);
        for _ in 0..peers {
            let mut peer = Stalled::connect(self.process.address, stall).await;
            let mut asked = Vec::new();
            for _ in 0..streams {
                if stall == Stall::Windows {
                    match in_time(request(&mut peer.client, wish, &self.session).await).await {
                        Ok(answer) => {
                            assert_eq!(answer.status(), 200);
                            asked.push(answer);
                        }
                        // The hub resets the streams of a peer with many that wait: on a busy machine, before all of
                        // them are open.
                        Err(_) if asked.len() as u64 > FEW => break,
                        Err(error) => panic!("{wish:?}: {error}"),
                    }
                } else {
                    // A drop would reset the stream.
                    std::mem::forget(request(&mut peer.client, wish, &self.session).await);
                }
            }
            if stall == Stall::Socket {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let (stop, _) = oneshot::channel();
                std::mem::replace(&mut peer.stop, stop).send(()).unwrap();
            }
            connections.push((peer, asked));
            most = most.max(self.process.resident_kib());
        }
        let most = most.max(self.most_kib().await);
        if streams > FEW {
            let left_after = match stall {
                Stall::Windows => WINDOWS_LEFT,
                Stall::Socket => SOCKET_LEFT,
            };
            tokio::time::sleep(left_after).await;
        }
        let mut left = self.process.resident_kib();
        let end = Instant::now() + RETURNED_WITHIN;
        while left.saturating_sub(before) > LEFT_KIB && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(200)).await;
            left = self.process.resident_kib();
        }
        drop(connections);
        Cost {
            most: most.saturating_sub(before) / peers,
            left: left.saturating_sub(before) / peers,
        }
    }

    /// Returns the most memory for each of `peers` peers with closed windows, in KiB.
    pub(in crate::raw) async fn over_h2(&self, wish: Wish, peers: u64, streams: u64) -> u64 {
        self.stall_streams(wish, peers, streams, Stall::Windows)
            .await
            .most
    }

    async fn assert_streams_are_cheap(&self, wish: Wish, stall: Stall, size: &str) {
        let few = self.stall_streams(wish, 50, FEW, stall).await.most;
        let Cost { most, left } = self.stall_streams(wish, 5, MANY, stall).await;
        println!(
            "{wish:?}, {size}, {stall:?}: {FEW} streams {few} KiB, {MANY} streams {most} KiB, then {left} KiB"
        );
        let allowed = PEER_KIB + SHARED_KIB / 50;
        assert!(few <= allowed, "{wish:?}: {few} KiB, {allowed} allowed");
        let allowed = MANY * STREAM_KIB + SHARED_KIB / 5;
        assert!(most <= allowed, "{wish:?}: {most} KiB, {allowed} allowed");
        let allowed = LEFT_KIB / 5;
        assert!(left <= allowed, "{wish:?}: {left} KiB, {allowed} allowed");
    }
}

async fn assert_all_are_cheap(is_large: bool, size: &str) {
    for wish in Wish::ALL {
        for stall in [Stall::Windows, Stall::Socket] {
            if wish.is_over_h2() {
                let scene = Scene::under(is_large, KEEP_NOTHING).await;
                scene.assert_streams_are_cheap(wish, stall, size).await;
            }
        }
    }
}

#[tokio::test]
#[ignore = "long: twelve hubs"]
async fn streams_that_wait_cost_little_and_many_of_them_only_for_seconds() {
    assert_all_are_cheap(false, "1 KiB events").await;
}

#[tokio::test]
#[ignore = "long: twelve hubs"]
async fn streams_that_wait_for_large_events_cost_little() {
    assert_all_are_cheap(true, "8 MiB events").await;
}

#[tokio::test]
async fn four_megabytes_for_each_of_100_streams_cost_little() {
    let scene = Scene::under(false, KEEP_NOTHING).await;
    scene
        .assert_streams_are_cheap(Wish::Send, Stall::Windows, "1 KiB events")
        .await;
}

#[tokio::test]
async fn websockets_that_wait_cost_little() {
    for (peers, sockets) in [(50, FEW), (5, MANY)] {
        let scene = Scene::under(false, KEEP_NOTHING).await;
        let before = scene.process.resident_kib();
        let mut connections = Vec::new();
        for _ in 0..peers {
            let mut client = client_of(scene.process.address, 0).await;
            for _ in 0..sockets {
                let socket = Stream::open(&mut client, "/ws/a?since=all", "13").await;
                connections.push((client.clone(), socket));
            }
        }
        let most = scene.most_kib().await.saturating_sub(before) / peers;
        println!("{sockets} WebSockets {most} KiB");
        let allowed = PEER_KIB.max(sockets * SOCKET_KIB) + SHARED_KIB / peers;
        assert!(most <= allowed, "{most} KiB, {allowed} allowed");
    }
}
