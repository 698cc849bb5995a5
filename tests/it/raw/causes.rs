//! The causes of fallbacks: client, documentation and metrics share one list.

use super::exact_bytes::Server;

/// Returns the causes in `web/causes.js`.
fn causes() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/web/causes.js");
    let text = std::fs::read_to_string(path).unwrap();
    let list = text.split_once("CAUSES = [").unwrap().1;
    let list = list.split_once(']').unwrap().0;
    let words = list.split('\'').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

#[tokio::test]
async fn each_cause_of_the_client_is_counted_under_its_name_and_any_other_as_other() {
    let server = Server::start();
    let causes = causes();
    assert_eq!(causes.len(), 21, "{causes:?}");
    for cause in &causes {
        let answer = server.get(&format!("/poll/a?why=ws:{cause}")).await;
        assert_eq!(answer.status, 200, "{cause}");
    }
    for why in [
        "ws:nonsense",
        "ws:",
        "ws:refused:",
        "refused",
        "http:refused",
    ] {
        server.get(&format!("/poll/a?why={why}")).await;
    }
    let metrics = server.get("/metrics").await;
    let count = |cause: &str| {
        metrics.sample(&format!(
            "triway_fallbacks_total{{from=\"ws\",to=\"poll\",reason=\"{cause}\"}}"
        ))
    };
    for cause in &causes {
        assert_eq!(count(cause), 1.0, "{cause}");
    }
    assert_eq!(count("other"), 3.0, "{}", metrics.text());
    let series = metrics.text().matches("triway_fallbacks_total{").count();
    assert_eq!(series, causes.len() + 1, "clients make no labels");
}

#[test]
fn the_document_lists_the_causes_of_the_client() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/protocol.md");
    let text = std::fs::read_to_string(path).unwrap();
    let list = format!("`{}`", causes().join("` `"));
    assert!(text.contains(&list), "docs/protocol.md: {list}");
}
