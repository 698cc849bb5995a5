use super::*;
use crate::protocol::EventFrame;

fn event(data: Data, from: Option<&str>) -> Event {
    let draft = Draft {
        channel: ChannelName::new("lob\"by").unwrap(),
        name: EventName::new("chat").unwrap(),
        data,
        from: from.map(Arc::from),
        session: None,
        sent_bytes: 0,
    };
    Event::new(
        draft,
        "k3x9q2".parse().unwrap(),
        42,
        1_795_169_188_123,
        &Ledger::default(),
    )
}

#[test]
fn an_event_frame_has_exact_bytes() {
    let json = event(
        Data::from_json(br#"{"text": "hi", "n": 1.10}"#).unwrap(),
        Some("s8"),
    )
    .json();
    assert_eq!(
        str::from_utf8(&json).unwrap(),
        r#"{"type":"event","id":"k3x9q2-42","channel":"lob\"by","name":"chat","data":{"text": "hi", "n": 1.10},"from":"s8","time":1795169188123}"#
    );
    let json = event(Data::Bytes(Bytes::from_static(&[0, 255])), None).json();
    assert_eq!(
        str::from_utf8(&json).unwrap(),
        r#"{"type":"event","id":"k3x9q2-42","channel":"lob\"by","name":"chat","data64":"AP8=","time":1795169188123}"#
    );
}

#[test]
fn an_event_frame_is_that_of_the_type() {
    for (data, from) in [
        (Data::text("a\u{0}\"\u{1F600}"), None),
        (Data::from_json(b"null").unwrap(), Some("a\"b")),
        (
            Data::from_json(br#"{"n":[1e999,"\ud800"]}"#).unwrap(),
            Some(""),
        ),
        (Data::Bytes(Bytes::from_static(&[0, 255])), Some("s8")),
        (Data::Bytes(Bytes::new()), None),
    ] {
        let event = event(data, from);
        let (data, data64) = match &event.data {
            Data::Json(json) => (Some(serde_json::from_slice(json).unwrap()), None),
            Data::Bytes(bytes) => (None, Some(STANDARD.encode(bytes).into())),
        };
        let whole = EventFrame {
            id: event.id,
            channel: event.channel.clone(),
            name: event.name.as_str().into(),
            data,
            data64,
            from: event.from.as_deref().map(Into::into),
            time_ms: event.time_ms,
        };
        let json = |frame: &EventFrame<'_>| serde_json::to_vec(frame).unwrap();
        assert_eq!(event.encode_json(true), json(&whole));
        let bare = EventFrame {
            data: None,
            data64: None,
            ..whole
        };
        assert_eq!(event.encode_json(false), json(&bare));
    }
}

#[test]
fn line_ends_between_tokens_go_and_everything_else_stays() {
    let data = Data::from_json(b"{\r\n \"a\": 1e400,\n\"b\": \"\\n\"}").unwrap();
    assert_eq!(
        data,
        Data::Json(Bytes::from_static(b"{ \"a\": 1e400,\"b\": \"\\n\"}"))
    );
    for bad in ["", "{", "1 2", "\"a\nb\"", "nul"] {
        assert!(Data::from_json(bad.as_bytes()).is_err(), "{bad}");
    }
    let nested = |depth| {
        format!(
            "{}\"]\\\"{}\"{}",
            "[".repeat(depth),
            "[".repeat(500),
            "]".repeat(depth)
        )
    };
    assert!(Data::from_json(nested(DATA_DEPTH_MAX).as_bytes()).is_ok());
    assert!(Data::from_json(nested(DATA_DEPTH_MAX + 1).as_bytes()).is_err());
    assert!(Data::from_json(b"\"\xff\"").is_err(), "not UTF-8");
}

#[test]
fn the_ledger_counts_encoded_forms_and_forgets_dropped_events() {
    let ledger = Ledger::default();
    let draft = Draft {
        channel: ChannelName::new("a").unwrap(),
        name: EventName::default(),
        data: Data::text("hi"),
        from: None,
        session: None,
        sent_bytes: 0,
    };
    let event = Event::new(draft, "e".parse().unwrap(), 1, 0, &ledger);
    let before = ledger.bytes();
    let first = event.json();
    assert_eq!(ledger.bytes(), before + first.len());
    assert_eq!(event.json().as_ptr(), first.as_ptr(), "encoded once");
    drop(event);
    assert_eq!(ledger.bytes(), 0);
}

#[test]
fn names_that_browsers_or_the_hub_act_on_are_refused() {
    for bad in ["open", "error", "$gap", "a\nb", "a\0"] {
        assert!(EventName::new(bad).is_err(), "{bad}");
    }
    assert!(EventName::new("message").unwrap().is_default());
    assert_eq!(EventName::new("Open").unwrap().as_str(), "Open");
}
