//! Admission: connection limits, trusted proxies, and a storm of connections.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use triway::server::{Drained, Options};

use super::app::{HELLO, Running, in_time, read_to_end, read_until};

#[tokio::test]
async fn a_connection_above_the_limit_is_refused_with_a_retry_time() {
    let running = Running::start(Options {
        connections: Some(2),
        ..Options::default()
    });
    let mut first = running.ask(HELLO).await;
    read_until(&mut first, "hello").await;
    let mut second = running.ask(HELLO).await;
    read_until(&mut second, "hello").await;
    let refused = read_to_end(&mut running.ask(HELLO).await).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    for part in [
        "\r\nretry-after: 5\r\n",
        "\r\nconnection: close\r\n",
        "\"code\":\"too_many_connections\"",
        "\"hint\":",
    ] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
    drop(first);
    in_time(async {
        while !read_to_end(
            &mut running
                .ask(&HELLO.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
                .await,
        )
        .await
        .contains("hello")
        {}
    })
    .await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_cap() {
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let running = Running::start(Options {
        address_connections: Some(1),
        trusted_proxies,
        ..Options::default()
    });
    let stream_for = |client: &str| {
        format!("GET /stream HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: {client}\r\n\r\n")
    };
    let mut held = running.ask(&stream_for("192.0.2.1")).await;
    read_until(&mut held, "first").await;
    let mut again = running.ask(&stream_for("192.0.2.1")).await;
    assert!(
        read_until(&mut again, "too_many_connections")
            .await
            .starts_with("HTTP/1.1 503")
    );
    let mut other = running.ask(&stream_for("192.0.2.2")).await;
    assert!(
        read_until(&mut other, "first")
            .await
            .starts_with("HTTP/1.1 200")
    );
    drop(held);
    in_time(async {
        while !read_until(&mut running.ask(&stream_for("192.0.2.1")).await, "\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200")
        {}
    })
    .await;
}

#[tokio::test]
async fn forwarded_headers_count_only_from_trusted_proxies() {
    let request =
        "GET /peer HTTP/1.1\r\nHost: t\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n";
    let plain = Running::start(Options::default());
    assert!(
        read_to_end(&mut plain.ask(request).await)
            .await
            .ends_with("127.0.0.1 false true")
    );
    let trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let behind = Running::start(Options {
        trusted_proxies,
        ..Options::default()
    });
    assert!(
        read_to_end(&mut behind.ask(request).await)
            .await
            .ends_with("192.0.2.1 true true")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_of_a_storm_of_connects_is_served() {
    const CLIENTS: usize = 2_000;
    let running = Running::start(Options::default());
    let address = running.address;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(HELLO.as_bytes()).await.unwrap();
                read_until(&mut stream, "hello").await;
                stream
            })
        })
        .collect();
    let mut held = Vec::with_capacity(CLIENTS);
    for client in clients {
        held.push(in_time(client).await.unwrap());
    }
    assert_eq!(held.len(), CLIENTS);
    assert_eq!(
        running.shut_down().await,
        Drained { cut: 0 },
        "idle connections end at once"
    );
}
