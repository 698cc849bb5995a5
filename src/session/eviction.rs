//! Selects the detached sessions to evict when there are more than the table holds. Pure.
//!
//! New sessions cost a stranger nothing, so they must not displace sessions that others may still resume. Sessions
//! that never used a key number are evicted first, then those of the address that has most.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

/// A session without an attachment.
#[derive(Clone, Debug)]
pub(super) struct DetachedSession {
    pub(super) id: Arc<str>,
    /// The network of its client, if known.
    pub(super) network: Option<IpAddr>,
    pub(super) since: Instant,
    /// Whether replies to its numbered keys are kept.
    pub(super) is_used: bool,
}

/// Returns the ids of `over` sessions to evict.
pub(super) fn sessions_to_evict(mut resting: Vec<DetachedSession>, over: usize) -> Vec<Arc<str>> {
    // Rank the sessions of each network: those with numbers first, the newest of them at the top.
    resting.sort_unstable_by_key(|session| (!session.is_used, std::cmp::Reverse(session.since)));
    let mut counts: HashMap<Option<IpAddr>, usize> = HashMap::new();
    let mut ranked: Vec<(bool, usize, DetachedSession)> = resting
        .into_iter()
        .map(|session| {
            let count = counts.entry(session.network).or_default();
            *count += 1;
            (!session.is_used, *count, session)
        })
        .collect();
    // Evict sessions without numbers first, then those ranked lowest in their network. Among equals, evict the
    // session that has been silent longest.
    ranked.sort_unstable_by(
        |(unused, rank, session), (other_unused, other_rank, other)| {
            let worse = (other_unused, other_rank).cmp(&(unused, rank));
            worse.then(session.since.cmp(&other.since))
        },
    );
    ranked.truncate(over);
    ranked.into_iter().map(|(.., session)| session.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn resting(
        id: &str,
        network: u8,
        silent_s: u64,
        is_used: bool,
        now: Instant,
    ) -> DetachedSession {
        DetachedSession {
            id: Arc::from(id),
            network: Some(IpAddr::from([203, 0, 113, network])),
            since: now - Duration::from_secs(silent_s),
            is_used,
        }
    }

    #[test]
    fn those_without_numbers_go_first_and_then_of_who_has_most() {
        let now = Instant::now() + Duration::from_secs(1_000);
        let all = vec![
            resting("alone, long ago", 1, 900, true, now),
            resting("many 1", 2, 30, true, now),
            resting("many 2", 2, 20, true, now),
            resting("many 3", 2, 10, true, now),
            resting("unused", 3, 1, false, now),
        ];
        let gone = |over| -> Vec<String> {
            let ids = sessions_to_evict(all.clone(), over);
            ids.iter().map(|id| id.to_string()).collect()
        };
        assert_eq!(gone(1), ["unused"]);
        assert_eq!(gone(3), ["unused", "many 1", "many 2"]);
        assert_eq!(gone(4)[3], "alone, long ago", "as many as the other has");
        assert_eq!(gone(9).len(), 5);
    }
}
