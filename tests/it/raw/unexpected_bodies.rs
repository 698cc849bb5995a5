//! Bodies in requests that should have none: their bytes never count as another request.

use super::exact_bytes::Server;

#[tokio::test]
async fn the_body_of_a_get_does_not_count_as_a_request() {
    let hidden = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let server = Server::start();
    for target in ["/poll/a?wait=0", "/poll/a?since=all", "/history/a"] {
        let length = hidden.len();
        let head =
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
        let mut wire = server.send(head).await;
        assert_eq!(wire.answer().await.status, 200, "{target}");
        wire.send(format!("{hidden}{last}")).await;
        let rest = String::from_utf8_lossy(&wire.rest().await).into_owned();
        let answers = rest.matches("HTTP/1.1 ").count();
        assert!(answers <= 1, "{target}: {rest}");
    }
}
