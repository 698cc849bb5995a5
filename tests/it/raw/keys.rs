//! Publishing exactly once: idempotency keys of an application, numbered keys of a session, and GET for clients with
//! blocked POSTs.

use serde_json::{Value, json};
use triway::Data;
use triway::Rate;

use super::exact_bytes::{Answer, Server, get, post};
use super::refusals::assert_refused;

async fn publish(server: &Server, target: &str, key: &str, text: &str) -> Answer {
    let headers = [("Content-Type", "text/plain"), ("Idempotency-Key", key)];
    server.ask(post(target, &headers, text.as_bytes())).await
}

async fn held(server: &Server, channel: &str) -> Vec<Value> {
    let history = server.get(&format!("/history/{channel}?limit=1000")).await;
    let frames = history.json()["frames"].clone();
    let frames = frames.as_array().unwrap().iter();
    frames.map(|frame| frame["data"].clone()).collect()
}

/// One session that publishes.
struct Sender<'a> {
    server: &'a Server,
    id: String,
    key: String,
}

impl<'a> Sender<'a> {
    async fn new(server: &'a Server) -> Self {
        let (id, key) = server.session().await;
        Self { server, id, key }
    }

    fn command(&self, number: u64, channel: &str, data: &str) -> Value {
        json!({"type": "publish", "channel": channel, "data": data, "key": format!("{}:{number}", self.id), "ref": number})
    }

    async fn send(&self, commands: Vec<Value>) -> Vec<Value> {
        let target = format!("/send?session={}", self.key);
        let answer = self
            .server
            .post(&target, "text/plain", Value::from(commands).to_string())
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_slice(&answer.body).unwrap()
    }
}

/// Returns `ok` or the code of the refusal.
fn outcome(reply: &Value) -> String {
    if reply["ok"] == true {
        "ok".into()
    } else {
        reply["error"]["code"].as_str().unwrap().to_owned()
    }
}

fn outcomes(replies: &[Value]) -> Vec<String> {
    replies.iter().map(outcome).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_equal_publishes_at_once_are_one_event_with_one_answer() {
    let server = Server::start();
    for round in 0..20 {
        let key = format!("order-{round}");
        let all = (0..8).map(|_| publish(&server, "/pub/a", &key, "one"));
        let answers = futures_util::future::join_all(all).await;
        for answer in &answers {
            assert_eq!(
                (answer.status, &answer.body),
                (201, &answers[0].body),
                "{answer:?}"
            );
        }
    }
    assert_eq!(held(&server, "a").await.len(), 20);
}

#[tokio::test]
async fn a_key_identifies_its_channel_name_and_body() {
    let server = Server::start();
    let first = publish(&server, "/pub/a", "k", "one").await;
    assert_eq!(
        publish(&server, "/pub/a", "k", "one").await.body,
        first.body
    );
    for (target, text) in [
        ("/pub/a", "two"),
        ("/pub/b", "one"),
        ("/pub/a?name=x", "one"),
    ] {
        assert_refused(
            &publish(&server, target, "k", text).await,
            409,
            "key_reused",
        );
    }
    let long = "k".repeat(129);
    for key in [long.as_str(), "\u{e9}"] {
        assert_refused(
            &publish(&server, "/pub/a", key, "one").await,
            400,
            "bad_parameter",
        );
    }
    assert_eq!(held(&server, "a").await, ["one"]);
    // Keys are scoped to the credential: the key of a session is separate from the same key of other clients.
    let sender = Sender::new(&server).await;
    let own = publish(
        &server,
        &format!("/pub/a?session={}", sender.key),
        "k",
        "one",
    )
    .await;
    assert_eq!(own.status, 201);
    assert_ne!(own.body, first.body);
}

#[tokio::test]
async fn numbered_keys_publish_in_order_and_repeat_their_answers() {
    let server = Server::start();
    let sender = Sender::new(&server).await;
    let first = sender
        .send(vec![
            sender.command(7, "a", "seven"),
            sender.command(8, "a", "eight"),
        ])
        .await;
    assert_eq!(outcomes(&first), ["ok", "ok"], "any number is the first");
    let again = sender
        .send(vec![
            sender.command(7, "a", "seven"),
            sender.command(8, "a", "eight"),
        ])
        .await;
    assert_eq!(again, first, "repeated, not done again");
    let skipped = sender
        .send(vec![
            sender.command(10, "a", "ten"),
            sender.command(9, "a", "nine"),
        ])
        .await;
    assert_eq!(
        outcomes(&skipped),
        ["key_out_of_order"; 2],
        "what follows a hole waits for it"
    );
    assert_eq!(skipped[0]["error"]["expected"], 9);
    let reused = sender.send(vec![sender.command(8, "a", "other")]).await;
    assert_eq!(outcomes(&reused), ["key_reused"]);
    let older = sender.send(vec![sender.command(6, "a", "six")]).await;
    assert_eq!(outcomes(&older), ["key_out_of_order"]);
    let over_http = publish(
        &server,
        &format!("/pub/a?session={}", sender.key),
        &format!("{}:9", sender.id),
        "nine",
    )
    .await;
    assert_eq!(over_http.status, 201);
    assert_eq!(held(&server, "a").await, ["seven", "eight", "nine"]);
    let hole = publish(
        &server,
        &format!("/pub/a?session={}", sender.key),
        &format!("{}:12", sender.id),
        "x",
    )
    .await;
    assert_eq!(
        assert_refused(&hole, 409, "key_out_of_order")["expected"],
        10
    );
}

#[tokio::test]
async fn the_largest_number_publishes_once_too() {
    let server = Server::start();
    let sender = Sender::new(&server).await;
    let last = sender.command(u64::MAX, "a", "last");
    let first = sender.send(vec![last.clone()]).await;
    assert_eq!(sender.send(vec![last]).await, first);
    assert_eq!(held(&server, "a").await, ["last"]);
    let beyond = publish(
        &server,
        &format!("/pub/a?session={}", sender.key),
        &format!("{}:18446744073709551616", sender.id),
        "x",
    )
    .await;
    assert_refused(&beyond, 400, "bad_parameter");
}

#[tokio::test]
async fn numbered_keys_need_the_key_of_their_session() {
    let server = Server::start();
    let (ann, bob) = (Sender::new(&server).await, Sender::new(&server).await);
    let numbered = format!("{}:1", ann.id);
    assert_refused(
        &publish(&server, "/pub/a", &numbered, "x").await,
        401,
        "unauthorized",
    );
    let foreign = publish(
        &server,
        &format!("/pub/a?session={}", bob.key),
        &numbered,
        "x",
    )
    .await;
    assert_refused(&foreign, 401, "unauthorized");
    for number in ["", "-1", "one", "1.0"] {
        let key = format!("{}:{number}", ann.id);
        let wrong = publish(&server, &format!("/pub/a?session={}", ann.key), &key, "x").await;
        assert_refused(&wrong, 400, "bad_parameter");
    }
    assert_eq!(held(&server, "a").await, [""; 0]);
}

#[tokio::test]
async fn a_temporary_refusal_uses_no_number_and_stops_the_array() {
    let server = Server::with(|builder, _| {
        builder.broker.rate = Some(Rate {
            per_second: 20.0,
            burst: 2.0,
        });
    });
    let sender = Sender::new(&server).await;
    let commands: Vec<Value> = (1..=4)
        .map(|number| sender.command(number, "a", &number.to_string()))
        .collect();
    let replies = sender.send(commands.clone()).await;
    assert_eq!(
        outcomes(&replies),
        ["ok", "ok", "rate_limited", "rate_limited"]
    );
    let mut replies = replies;
    while replies.iter().any(|reply| reply["ok"] != true) {
        assert!(
            replies
                .iter()
                .all(|reply| reply["ok"] == true || outcome(reply) == "rate_limited"),
            "{replies:?}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        replies = sender.send(commands.clone()).await;
    }
    assert_eq!(
        held(&server, "a").await,
        ["1", "2", "3", "4"],
        "each once and in order"
    );
}

#[tokio::test]
async fn a_final_refusal_uses_up_its_number_and_is_repeated() {
    let server = Server::with(|builder, _| builder.broker.max_data = 16);
    let sender = Sender::new(&server).await;
    let named = |number, name: &str| {
        let mut command = sender.command(number, "a", "x");
        command["name"] = name.into();
        command
    };
    let mut without_data = sender.command(6, "a", "x");
    without_data.as_object_mut().unwrap().remove("data");
    let commands = vec![
        sender.command(1, "a", "one"),
        sender.command(2, "$x", "forbidden"),
        sender.command(3, "a", "seventeen bytes!!"),
        named(4, "$gap"),
        sender.command(5, "a,b", "x"),
        without_data,
        sender.command(7, "a", "seven"),
    ];
    let replies = sender.send(commands.clone()).await;
    assert_eq!(
        outcomes(&replies),
        [
            "ok",
            "forbidden",
            "too_large",
            "bad_name",
            "bad_channel",
            "bad_command",
            "ok"
        ]
    );
    let again = sender.send(commands).await;
    assert_eq!(outcomes(&again), outcomes(&replies));
    assert_eq!(
        (&again[0]["id"], &again[6]["id"]),
        (&replies[0]["id"], &replies[6]["id"])
    );
    assert_eq!(held(&server, "a").await, ["one", "seven"]);
    // The same over the other addresses.
    let target = |rest: &str| format!("/pub/a?session={}{rest}", sender.key);
    let key = |number: u64| format!("{}:{number}", sender.id);
    let named = publish(&server, &target("&name=open"), &key(8), "x").await;
    assert_refused(&named, 400, "bad_name");
    let large = publish(&server, &target(""), &key(9), "seventeen bytes!!").await;
    assert_refused(&large, 413, "too_large");
    let by_get = target(&format!("&name=open&data=1&key={}", key(10)));
    assert_refused(&server.get(&by_get).await, 400, "bad_name");
    let last = publish(&server, &target(""), &key(11), "eleven").await;
    assert_eq!(last.status, 201, "{last:?}");
}

#[tokio::test]
async fn a_get_publishes_for_a_session_whose_posts_are_blocked() {
    let server = Server::start();
    let sender = Sender::new(&server).await;
    let target = |number: u64, rest: &str| {
        format!(
            "/pub/a?session={}&key={}:{number}&{rest}",
            sender.key, sender.id
        )
    };
    let first = server.get(&target(1, "data=%22a%20b%22")).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(
        server.get(&target(1, "data=%22a%20b%22")).await.body,
        first.body,
        "a repeated GET acts once"
    );
    assert_eq!(
        server
            .get(&target(2, "data={%22n%22:1}&name=chat"))
            .await
            .status,
        201
    );
    assert_eq!(server.get(&target(3, "data=not+JSON")).await.status, 201);
    assert_refused(
        &server.get(&target(9, "data=1")).await,
        409,
        "key_out_of_order",
    );
    assert_eq!(
        held(&server, "a").await,
        [json!("a b"), json!({"n": 1}), json!("not JSON")]
    );
    let history = server.get("/history/a").await.json();
    assert_eq!(
        (&history["frames"][1]["name"], &history["frames"][1]["from"]),
        (&json!("chat"), &json!(sender.id))
    );
}

#[tokio::test]
async fn a_get_that_should_not_publish_is_refused() {
    let server = Server::start();
    let sender = Sender::new(&server).await;
    let other = Sender::new(&server).await;
    let good = format!("/pub/a?session={}&key={}:1&data=1", sender.key, sender.id);
    assert_refused(
        &server.get("/pub/a?data=1").await,
        405,
        "method_not_allowed",
    );
    assert_refused(
        &server
            .get(&format!("/pub/a?key={}:1&data=1", sender.id))
            .await,
        405,
        "method_not_allowed",
    );
    for (key, status, code) in [
        (String::new(), 400, "bad_parameter"),
        ("&key=".into(), 400, "bad_parameter"),
        (format!("&key={}:1", other.id), 401, "unauthorized"),
    ] {
        let answer = server
            .get(&format!("/pub/a?session={}{key}&data=1", sender.key))
            .await;
        assert_refused(&answer, status, code);
    }
    let cross = get(&good).replace("Host:", "Sec-Fetch-Site: cross-site\r\nHost:");
    assert_refused(&server.ask(cross).await, 403, "forbidden");
    let long = format!("{good}{}", "1".repeat(4_096));
    assert_refused(&server.get(&long).await, 413, "too_large");
    assert_refused(
        &server.get("/pub/a?session=forged&key=x:1&data=1").await,
        401,
        "session_expired",
    );
    assert_eq!(held(&server, "a").await, [""; 0]);
    assert_eq!(server.get(&good).await.status, 201);
}

#[tokio::test]
async fn send_answers_each_command_in_order() {
    let server = Server::start();
    let sender = Sender::new(&server).await;
    let replies = sender
        .send(vec![
            json!({"type": "ping", "ref": "a"}),
            json!({"type": "publish", "channel": "a", "data": {"n": 1.10}, "ref": {"b": [1]}}),
            json!({"type": "publish", "channel": "a", "data64": "AP8="}),
            json!({"type": "history", "channel": "a", "limit": 1, "ref": null}),
            json!({"type": "presence", "channel": "a", "ref": 5}),
            json!({"type": "leave", "ref": 6}),
        ])
        .await;
    assert_eq!(outcomes(&replies), ["ok"; 6]);
    let references: Vec<&Value> = replies.iter().map(|reply| &reply["ref"]).collect();
    assert_eq!(
        references,
        [
            &json!("a"),
            &json!({"b": [1]}),
            &Value::Null,
            &Value::Null,
            &json!(5),
            &json!(6)
        ]
    );
    assert!(replies[0]["time"].as_u64().is_some());
    assert_eq!(replies[1]["reached"], json!({"ws": 0, "sse": 0, "poll": 0}));
    assert_eq!(
        (&replies[3]["frames"][0]["from"], &replies[3]["more"]),
        (&json!(sender.id), &json!(true))
    );
    assert_eq!(
        (&replies[4]["count"], &replies[4]["members"]),
        (&json!(0), &json!([]))
    );
    // A page can send `text/plain` without a preflight. Any other type works too.
    for kind in ["application/json", "application/x-www-form-urlencoded", ""] {
        let answer = server.post("/send", kind, r#"[{"type":"ping"}]"#).await;
        assert_eq!(answer.json()[0]["ok"], true, "{kind}");
    }
    assert_eq!(sender.send(vec![]).await.len(), 0);
    let many = vec![json!({"type": "ping"}); 1_001];
    let answer = server
        .post("/send", "text/plain", Value::from(many).to_string())
        .await;
    assert_refused(&answer, 413, "too_large");
}

#[tokio::test]
async fn the_answers_of_one_request_stay_bounded() {
    let server = Server::with(|builder, _| builder.broker.rate = None);
    for _ in 0..15 {
        let text = "x".repeat(60_000);
        server.hub.publish("a", Data::text(&text)).await.unwrap();
    }
    let sender = Sender::new(&server).await;
    let command = json!({"type": "history", "channel": "a", "limit": 1000});
    let replies = sender.send(vec![command; 1_000]).await;
    let bytes: usize = replies.iter().map(|reply| reply.to_string().len()).sum();
    assert_eq!(replies.len(), 1_000);
    assert!(bytes < 8 * 1024 * 1024, "{bytes} bytes in one answer");
    assert_eq!(outcome(&replies[0]), "ok");
    assert_eq!(
        outcome(&replies[999]),
        "too_large",
        "the hint says to ask for less at once"
    );
}
