//! Presence on a paused clock: grace periods, leaves and counts.

use super::*;
use crate::hub::HubState;
use crate::metrics::Metrics;
use crate::protocol::cursor::Since;

struct Lobby {
    hub: Arc<HubState>,
    presence: Arc<Presence>,
    channel: ChannelName,
}

fn lobby() -> Lobby {
    let hub = HubState::new(
        crate::hub::HubOptions::default(),
        "e".parse().unwrap(),
        Metrics::default(),
    );
    let presence = Presence::new(
        PresenceOptions::default(),
        Broker::new(hub.clone(), crate::broker::BrokerOptions::default()),
        PresenceHooks::default(),
    );
    presence.start();
    Lobby {
        hub,
        presence,
        channel: ChannelName::new("lobby").unwrap(),
    }
}

impl Lobby {
    fn join(&self, id: &str) -> PresenceGuard {
        self.presence.join(
            &self.channel,
            &Arc::from(id),
            None,
            Some(&Bytes::from_static(b"{\"n\":1}")),
        )
    }

    /// Returns the events of the presence channel, such as `join s1 1`.
    fn told(&self) -> Vec<String> {
        let portion = crate::hub::ReadLimit {
            events: 1_000,
            bytes: usize::MAX,
            of_frames: false,
        };
        let channel = self.channel.presence();
        let (page, _) = self.hub.history(&channel, Since::All, portion);
        let tell = |event: &Arc<crate::protocol::Event>| {
            let Data::Json(text) = &event.data else {
                panic!("presence is JSON")
            };
            let data: serde_json::Value = serde_json::from_slice(text).unwrap();
            format!(
                "{} {} {}",
                event.name.as_str(),
                data["id"].as_str().unwrap_or("-"),
                data["count"]
            )
        };
        page.events.iter().map(tell).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_grace_covers_a_change_of_transport() {
    let lobby = lobby();
    drop(lobby.join("s1"));
    tokio::time::sleep(Duration::from_secs(9)).await;
    let second = lobby.join("s1");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(lobby.told(), ["join s1 1"], "no flap");
    drop(second);
    tokio::time::sleep(Duration::from_millis(9_800)).await;
    assert_eq!(lobby.told(), ["join s1 1"]);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(lobby.told(), ["join s1 1", "leave s1 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_leave_is_told_at_once_unless_another_attach_lives() {
    let lobby = lobby();
    let (first, second) = (lobby.join("s1"), lobby.join("s1"));
    lobby.presence.leave("s1");
    assert_eq!(lobby.told(), ["join s1 1"], "another attach lives");
    drop(first);
    assert_eq!(lobby.told(), ["join s1 1"]);
    drop(second);
    assert_eq!(
        lobby.told(),
        ["join s1 1", "leave s1 0"],
        "no grace for who said so"
    );
    let _third = lobby.join("s1");
    lobby.presence.leave("s1");
    assert_eq!(lobby.told().len(), 4);
    assert_eq!(lobby.presence.members(&lobby.channel).count, 0);
}

#[tokio::test(start_paused = true)]
async fn a_close_between_two_polls_is_no_leave() {
    let lobby = lobby();
    let poll = || lobby.join("s1").answered();
    let socket = lobby.join("s1");
    poll();
    socket.leave();
    assert_eq!(lobby.told(), ["join s1 1"], "the chain of polls lives");
    tokio::time::sleep(Duration::from_secs(9)).await;
    poll();
    assert_eq!(lobby.told(), ["join s1 1"]);
    tokio::time::sleep(Duration::from_millis(10_200)).await;
    assert_eq!(lobby.told(), ["join s1 1", "leave s1 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_close_after_the_last_poll_is_a_leave() {
    let lobby = lobby();
    lobby.join("s1").answered();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let held = lobby.join("s1");
    let socket = lobby.join("s1");
    // The client aborts its poll once the WebSocket works.
    drop(held);
    socket.leave();
    assert_eq!(lobby.told(), ["join s1 1", "leave s1 0"]);
}

#[tokio::test(start_paused = true)]
async fn large_channels_tell_their_count_once_a_second() {
    let lobby = lobby();
    let all: Vec<PresenceGuard> = (0..500)
        .map(|number| lobby.join(&format!("s{number}")))
        .collect();
    assert_eq!(lobby.told().len(), 200);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(lobby.told()[200..], ["count - 500"]);
    let members = lobby.presence.members(&lobby.channel);
    assert_eq!((members.count, members.members.len()), (500, 500));
    drop(all);
}

#[tokio::test(start_paused = true)]
async fn a_user_is_one_member_until_the_last_connection_has_gone() {
    let lobby = lobby();
    let join = |id: &str, info: &'static str| {
        let info = Bytes::from_static(info.as_bytes());
        lobby
            .presence
            .join(&lobby.channel, &Arc::from(id), Some("ann"), Some(&info))
    };
    let (first, second) = (join("s1", "1"), join("s2", "2"));
    let alone = lobby.join("s3");
    let members = lobby.presence.members(&lobby.channel);
    assert_eq!(members.count, 2);
    let shown: Vec<_> = members
        .members
        .iter()
        .map(|member| (member.id(), member.connections()))
        .collect();
    assert_eq!(shown, [("ann", 2), ("s3", 1)]);
    assert_eq!(
        members.members[0].info().unwrap(),
        "1",
        "the info of the connection that joined"
    );
    assert_eq!(lobby.told(), ["join ann 1", "join s3 2"]);
    first.leave();
    assert_eq!(
        lobby.presence.members(&lobby.channel).members[0].connections(),
        1
    );
    assert_eq!(lobby.told().len(), 2, "first in is not last out");
    drop(second);
    tokio::time::sleep(Duration::from_secs(11)).await;
    alone.leave();
    assert_eq!(
        lobby.told(),
        ["join ann 1", "join s3 2", "leave ann 1", "leave s3 0"]
    );
    assert_eq!(lobby.presence.members(&lobby.channel).count, 0);
}
