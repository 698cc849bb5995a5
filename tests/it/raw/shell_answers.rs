//! The output of a shell client: responses that end with a line feed, and response heads.

use triway::Data;

use super::exact_bytes::{Server, get, session_of};

#[tokio::test]
async fn answers_for_a_shell_end_with_a_line_feed() {
    for server in [Server::start(), Server::plain(|_, _| {})] {
        server.publish("a", "x").await;
        for target in [
            "/healthz",
            "/readyz",
            "/metrics",
            "/history/a",
            "/presence/a",
            "/poll/a?since=all",
            "/poll/a?since=x",
            "/nowhere",
            "/ws/a",
        ] {
            let text = server.get(target).await.text();
            assert!(
                text.ends_with('\n') && !text.ends_with("\n\n"),
                "{target}: {text:?}"
            );
        }
        for (target, body) in [("/pub/a", "x"), ("/send", "[]"), ("/send", "{")] {
            let text = server.post(target, "", body).await.text();
            assert!(text.ends_with('\n'), "{target}: {text:?}");
        }
        // This poll is held.
        let mut held = server.send(get("/poll/a?wait=20&since=now&nonce=n")).await;
        let first = held.answer().await.json();
        let cursor = first["cursor"].as_str().unwrap();
        let (_, key) = session_of(&first["frames"][0]);
        held.send(get(&format!(
            "/poll/a?wait=20&session={key}&since={cursor}"
        )))
        .await;
        tokio::task::yield_now().await;
        server.publish("a", "y").await;
        assert!(held.answer().await.text().ends_with("]}\n"));
    }
}

#[tokio::test]
async fn a_head_request_has_the_headers_of_the_get_and_opens_no_reader() {
    for server in [Server::start(), Server::plain(|_, _| {})] {
        let mut watching = server.send(get("/sse/$presence/a?format=full")).await;
        watching.head().await;
        watching.block_json().await;
        for target in ["/sse/a?presence=1", "/poll/a?presence=1"] {
            let mut wire = server.send(get(target).replacen("GET", "HEAD", 1)).await;
            let head = wire.head().await;
            assert_eq!((head.status, head.header("content-length")), (200, None));
        }
        server.hub.publish("a", Data::text("x")).await.unwrap();
        let (_, key) = server.session().await;
        server
            .get(&format!("/poll/a?presence=1&session={key}"))
            .await;
        let join = watching.block_json().await;
        assert_eq!(join["name"], "join", "the first one is the poll's: {join}");
        assert_eq!(join["data"]["count"], 1);
    }
}
