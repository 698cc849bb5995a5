//! `examples/embed.rs` from the view of its user: log in, read, publish, log out.

use tokio::sync::oneshot;

use crate::client::{Answer, Stream, get, request};

#[path = "../../examples/embed.rs"]
#[allow(dead_code, reason = "its main is for those who run it")]
mod embed;

fn cookie(answer: &Answer) -> String {
    let line = answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = line.unwrap().split(';').next().unwrap();
    format!("Cookie: {cookie}\r\n")
}

#[tokio::test]
async fn users_log_in_read_say_and_log_out() {
    let listener = triway::server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let serving = tokio::spawn(embed::serve(listener, shutdown));
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let log_in = |form_body: &'static str| request(address, "POST /login", form, form_body);

    assert_eq!(get(address, "/rt/sse/lobby").await.status, 401);
    assert!(get(address, "/").await.body.contains("/login"));
    assert_eq!(log_in("user=ann&password=wrong").await.status, 401);
    let ann = cookie(&log_in("user=ann&password=sesame").await);
    let bob = cookie(&log_in("user=bob&password=abracadabra").await);

    let page = request(address, "GET /", &ann, "").await;
    assert!(page.body.contains("EventSource"));
    let mut reads = Stream::open(address, "/rt/sse/lobby", &bob).await;
    reads.until("id:").await;
    let say = |cookie: &str| {
        let lines = format!("{form}{cookie}");
        async move { request(address, "POST /say", &lines, "text=hello+all").await }
    };
    assert_eq!(say(&ann).await.status, 303);
    reads.until("data: ann: hello all").await;

    let staff = |cookie: &str| {
        let cookie = cookie.to_owned();
        async move { request(address, "GET /rt/poll/staff?wait=0", &cookie, "").await }
    };
    assert_eq!(staff(&ann).await.status, 200);
    let (status, _, detail) = staff(&bob).await.refusal();
    assert_eq!((status, &*detail), (403, "`staff` is for ann"));
    let publish = request(address, "POST /rt/pub/lobby", &ann, "x").await;
    assert_eq!(publish.refusal().2, "publish by `POST /say`");

    request(address, "POST /logout", &bob, "").await;
    assert!(reads.until("$bye").await.contains("$bye"));
    assert_eq!(staff(&bob).await.status, 401);
    assert_eq!(say(&bob).await.status, 401);
    stop.send(()).unwrap();
    crate::client::in_time(serving).await.unwrap().unwrap();
}
