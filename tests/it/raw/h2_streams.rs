//! HTTP/2 connections with many streams whose peer reads nothing, or very little.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use triway::Data;

use super::exact_bytes::{Server, eventually, in_time};
use super::over_h2::{Stream, client_of, connected, stream};

/// Largest number of streams that may wait until the write timeout.
const FEW: usize = 8;
const MANY: usize = 50;
/// How long more streams than that may wait.
const CROWD_LIMIT: Duration = Duration::from_secs(2);
/// How long more streams than that may wait if the socket is full.
const SOCKET_LIMIT: Duration = Duration::from_secs(10);

fn server(write_timeout: Duration) -> Server {
    Server::with(|builder, options| {
        builder.session.write_timeout = Some(write_timeout);
        builder.presence.grace = Duration::from_millis(50);
        options.write_timeout = Some(write_timeout);
    })
}

async fn readers(server: &Server) -> f64 {
    server.metric("triway_readers{transport=\"sse\"}").await
}

async fn slow_byes(server: &Server) -> f64 {
    server.metric("triway_byes_total{code=\"slow\"}").await
}

async fn members(server: &Server) -> u64 {
    let answer = server.get("/presence/a").await.json();
    answer["count"].as_u64().unwrap()
}

/// Opens `count` streams. The first one is a member of `a`.
async fn streams(client: &mut SendRequest<Bytes>, target: &str, count: usize) -> Vec<RecvStream> {
    let mut streams = Vec::new();
    for number in 0..count {
        let presence = if number == 0 { "presence=1" } else { "" };
        let separator = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{separator}{presence}");
        *client = in_time(client.clone().ready()).await.unwrap();
        streams.push(stream(client, &target).await);
    }
    streams
}

/// Reads the available bytes, releases their flow control window, and returns them.
async fn take(stream: &mut RecvStream) -> String {
    let data = in_time(stream.data()).await.expect("no end").unwrap();
    stream.flow_control().release_capacity(data.len()).unwrap();
    String::from_utf8(data.to_vec()).unwrap()
}

async fn take_until(stream: &mut RecvStream, word: &str) -> String {
    let mut taken = String::new();
    while !taken.contains(word) {
        taken += &take(stream).await;
    }
    taken
}

#[tokio::test]
async fn nine_streams_that_are_not_read_end_together_with_their_connection() {
    let server = server(Duration::from_secs(30));
    let (mut client, connection) = connected(server.address, 0).await;
    let began = Instant::now();
    let mut stalled = streams(&mut client, "/sse/a", FEW + 1).await;
    tokio::time::sleep(CROWD_LIMIT - Duration::from_millis(700)).await;
    assert_eq!((readers(&server).await, members(&server).await), (9.0, 1));
    for stream in &mut stalled {
        let end = in_time(stream.data()).await.expect("no quiet end");
        assert_eq!(end.unwrap_err().reason(), Some(h2::Reason::CANCEL));
    }
    let ended = began.elapsed();
    let expected = CROWD_LIMIT..CROWD_LIMIT + Duration::from_secs(1);
    assert!(expected.contains(&ended), "{ended:?}");
    in_time(connection).await.unwrap();
    eventually("the member left", async || members(&server).await == 0).await;
    assert_eq!(readers(&server).await, 0.0);
    assert_eq!(slow_byes(&server).await, 9.0, "each is counted");
}

#[tokio::test]
async fn eight_streams_that_are_not_read_have_the_write_timeout() {
    let write_timeout = CROWD_LIMIT * 2;
    let server = server(write_timeout);
    let (mut client, connection) = connected(server.address, 0).await;
    let stalled = streams(&mut client, "/sse/a", FEW).await;
    tokio::time::sleep(write_timeout - Duration::from_secs(1)).await;
    assert_eq!((readers(&server).await, members(&server).await), (8.0, 1));
    for mut stream in stalled {
        let end = in_time(stream.data()).await.expect("no quiet end");
        assert_eq!(end.unwrap_err().reason(), Some(h2::Reason::CANCEL));
    }
    eventually("they left", async || readers(&server).await == 0.0).await;
    assert_eq!(slow_byes(&server).await, 8.0);
    assert!(!connection.is_finished(), "the connection stays");
}

#[tokio::test]
async fn many_streams_lose_no_event_while_one_reads_a_few_bytes_each_second() {
    let server = server(Duration::from_secs(30));
    for number in 0..5 {
        let text = format!("event {number} {}", "x".repeat(500));
        server.hub.publish("a", Data::text(&text)).await.unwrap();
    }
    let (mut client, connection) = connected(server.address, 30).await;
    let mut streams = streams(&mut client, "/sse/a?since=all", MANY).await;
    let mut taken = vec![String::new(); MANY];
    for second in 0..5 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        taken[second] += &take(&mut streams[second]).await;
        assert!(taken[second].len() < 100, "a few bytes");
    }
    assert_eq!(readers(&server).await, MANY as f64);
    for (stream, taken) in streams.iter_mut().zip(&mut taken) {
        *taken += &take_until(stream, "event 4").await;
        for number in 0..5 {
            assert!(taken.contains(&format!("event {number}")), "{taken}");
        }
    }
    assert_eq!(slow_byes(&server).await, 0.0);
    assert!(!connection.is_finished());
}

#[tokio::test]
async fn many_streams_that_wait_for_events_stay_open() {
    let server = server(Duration::from_secs(30));
    let (mut client, connection) = connected(server.address, 300).await;
    let mut streams = streams(&mut client, "/sse/a", MANY).await;
    for stream in &mut streams {
        take_until(stream, "id: ").await;
    }
    for event in ["first", "second"] {
        tokio::time::sleep(CROWD_LIMIT + Duration::from_secs(1)).await;
        // This is more than a flow control window.
        server.publish("a", &("x".repeat(1_000) + event)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        for stream in &mut streams {
            take_until(stream, event).await;
        }
    }
    assert_eq!(readers(&server).await, MANY as f64);
    assert_eq!(slow_byes(&server).await, 0.0);
    assert!(!connection.is_finished());
}

#[tokio::test]
async fn nine_websockets_of_a_connection_that_are_not_read_end_together() {
    let server = server(Duration::from_secs(30));
    let mut client = client_of(server.address, 100).await;
    let mut sockets = Vec::new();
    for _ in 0..FEW + 1 {
        sockets.push(Stream::open(&mut client, "/ws/a?presence=1", "13").await);
    }
    eventually("all are members", async || members(&server).await == 9).await;
    let began = Instant::now();
    fill(&server).await;
    tokio::time::sleep(CROWD_LIMIT - Duration::from_secs(1)).await;
    assert_eq!(members(&server).await, 9);
    eventually("all left", async || members(&server).await == 0).await;
    let ended = began.elapsed();
    let expected = CROWD_LIMIT..CROWD_LIMIT + Duration::from_millis(1_500);
    assert!(expected.contains(&ended), "{ended:?}");
    assert_eq!(slow_byes(&server).await, 9.0);
}

/// Publishes more than all buffers of the kernel can hold, for each of nine streams.
async fn fill(server: &Server) {
    for _ in 0..20 {
        let text = "x".repeat(40_000);
        server.hub.publish("a", Data::text(&text)).await.unwrap();
    }
}

/// Starts a relay that forwards `rate` bytes of the server's output every 200 ms. Returns its address.
async fn relay(server: SocketAddr, rate: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        let (mut from_server, mut to_server) = socket.connect(server).await.unwrap().into_split();
        let (mut from_client, mut to_client) = client.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let mut room = vec![0; rate.load(Ordering::Relaxed)];
            if room.is_empty() {
                continue;
            }
            let reading = from_server.read(&mut room);
            let read = tokio::time::timeout(Duration::from_millis(10), reading).await;
            match read {
                Err(_) => {}
                Ok(Ok(0) | Err(_)) => return,
                Ok(Ok(read)) => to_client.write_all(&room[..read]).await.unwrap(),
            }
        }
    });
    address
}

/// Opens nine streams with large windows behind a relay, and keeps reading them.
async fn follow(relay: SocketAddr) -> JoinSet<()> {
    let stream = TcpStream::connect(relay).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(1 << 24)
        .initial_connection_window_size(1 << 28);
    let (mut client, connection) = in_time(builder.handshake(stream)).await.unwrap();
    let mut reading = JoinSet::new();
    reading.spawn(async move {
        let _ = connection.await;
    });
    for mut stream in streams(&mut client, "/sse/a", FEW + 1).await {
        reading.spawn(async move {
            while let Some(Ok(data)) = stream.data().await {
                stream.flow_control().release_capacity(data.len()).unwrap();
            }
        });
    }
    reading
}

#[tokio::test]
async fn nine_streams_of_an_unread_socket_end_together() {
    let server = server(Duration::from_secs(30));
    let rate = Arc::new(AtomicUsize::new(1_000_000));
    let relay = relay(server.address, rate.clone()).await;
    let _reading = follow(relay).await;
    rate.store(0, Ordering::Relaxed);
    fill(&server).await;
    tokio::time::sleep(SOCKET_LIMIT - Duration::from_secs(1)).await;
    assert_eq!((readers(&server).await, members(&server).await), (9.0, 1));
    eventually("all left", async || readers(&server).await == 0.0).await;
    eventually("the member too", async || members(&server).await == 0).await;
    assert_eq!(slow_byes(&server).await, 9.0);
}

#[tokio::test]
#[ignore = "long: half a minute of a slow network"]
async fn nine_streams_over_a_slow_network_stay_open() {
    let server = server(Duration::from_secs(30));
    let rate = Arc::new(AtomicUsize::new(1_000_000));
    let relay = relay(server.address, rate.clone()).await;
    let mut reading = follow(relay).await;
    // 30 KB a second.
    rate.store(6_000, Ordering::Relaxed);
    fill(&server).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(reading.try_join_next().is_none(), "all read on");
    assert_eq!(
        (readers(&server).await, slow_byes(&server).await),
        (9.0, 0.0)
    );
}
