//! Idempotency: a key publishes once, and a repetition returns the same answer.
//!
//! Application keys are kept for five minutes. The numbered keys of a session also keep the order.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::Published;
use crate::protocol::{Code, Data, Draft, Refusal};

/// How long a key is remembered (`docs/protocol.md`, Keys).
const KEY_LIFETIME: Duration = Duration::from_secs(300);
/// Most keys remembered at once, about 30 MiB. Beyond this limit, the oldest are dropped.
const KEYS_MAX: usize = 100_000;
/// Most answers kept for the numbered keys of one session. A whole `POST /send` of 1,000 commands can be repeated.
const ANSWERS_MAX: usize = 1_024;
/// Most answers kept for all sessions, about 60 MB. Beyond this limit, each session keeps only its last few.
const ANSWERS_TOTAL_MAX: usize = 200_000;
/// The last few answers of a session beyond the total limit: those in flight when a connection broke.
const ANSWERS_FEW: usize = 8;

/// The owner of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All clients without credentials on an open listener.
    Anyone,
    /// A session.
    Session(Arc<str>),
    /// A user.
    User(Arc<str>),
    /// The application that embeds the hub.
    App,
}

/// The key of a publish.
#[derive(Debug)]
pub enum Key<'a> {
    /// No key: each publish is an event.
    None,
    /// A key that the application chose.
    Scoped(Scope, String),
    /// A number in the sequence of a session.
    Sequenced(&'a tokio::sync::Mutex<Sequence>, u64),
}

/// The remembered outcome of a publish. Final refusals are answers too.
type KeyedOutcome = Result<Published, Refusal>;

#[derive(Debug)]
struct KeyEntry {
    fingerprint: u64,
    answer: OnceCell<KeyedOutcome>,
}

type KeyHash = (Scope, String);

#[derive(Debug, Default)]
pub(super) struct Keys {
    hasher: RandomState,
    known: Mutex<Known>,
    /// Answers to numbered keys.
    pub(super) kept: OutcomeBudget,
}

#[derive(Debug, Default)]
struct Known {
    entries: HashMap<Arc<KeyHash>, Arc<KeyEntry>>,
    /// The keys in the order of their arrival.
    ages: VecDeque<(Instant, Arc<KeyHash>)>,
}

impl Known {
    fn entry(&mut self, name: KeyHash, fingerprint: u64, now: Instant) -> Arc<KeyEntry> {
        while self
            .ages
            .front()
            .is_some_and(|(at, _)| *at + KEY_LIFETIME <= now)
            || self.ages.len() >= KEYS_MAX
        {
            if let Some((_, oldest)) = self.ages.pop_front() {
                self.entries.remove(&oldest);
            }
        }
        if let Some(entry) = self.entries.get(&name) {
            return entry.clone();
        }
        let (name, entry) = (
            Arc::new(name),
            Arc::new(KeyEntry {
                fingerprint,
                answer: OnceCell::new(),
            }),
        );
        self.ages.push_back((now, name.clone()));
        self.entries.insert(name, entry.clone());
        entry
    }
}

impl Keys {
    /// Returns the fingerprint of the publish under a key: its channel, name and data.
    pub(super) fn fingerprint(&self, draft: &Draft) -> u64 {
        let (is_json, data) = match &draft.data {
            Data::Json(data) => (true, data),
            Data::Bytes(data) => (false, data),
        };
        self.hasher
            .hash_one((&draft.channel, &draft.name, is_json, data))
    }

    /// Returns the fingerprint of a publish that could not be parsed.
    pub(super) fn fingerprint_of_refusal(&self, refusal: &Refusal) -> u64 {
        self.hasher.hash_one((refusal.code, &refusal.detail))
    }

    /// Publishes, or returns the answer of the first publish under this key. Waits for that publish while it runs.
    pub(super) async fn once<F: Future<Output = KeyedOutcome>>(
        &self,
        scope: Scope,
        key: String,
        fingerprint: u64,
        act: impl FnOnce() -> F,
    ) -> KeyedOutcome {
        let entry = self
            .known
            .lock()
            .entry((scope, key), fingerprint, Instant::now());
        if entry.fingerprint != fingerprint {
            return Err(reused());
        }
        let answer = entry.answer.get_or_try_init(|| async {
            match act().await {
                Err(refusal) if refusal.is_passing() => Err(refusal),
                answer => Ok(answer),
            }
        });
        answer.await?.clone()
    }
}

fn reused() -> Refusal {
    Refusal::new(
        Code::KeyReused,
        "this key was used with another channel, name or data",
    )
}

/// The numbered keys of one session. Each publishes once, in order.
#[derive(Debug, Default)]
pub struct Sequence {
    last: Option<u64>,
    answers: VecDeque<(u64, KeyedOutcome)>,
    /// The budget that counts its answers, once it has any.
    kept: Option<OutcomeBudget>,
}

/// The number of answers that all sequences of a broker keep.
#[derive(Clone, Debug, Default)]
pub(super) struct OutcomeBudget(Arc<AtomicUsize>);

impl Drop for Sequence {
    fn drop(&mut self) {
        if let Some(OutcomeBudget(count)) = &self.kept {
            count.fetch_sub(self.answers.len(), Ordering::Relaxed);
        }
    }
}

impl Sequence {
    /// Reports whether any number was used. An unused sequence need not be kept.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.last.is_some()
    }

    pub(super) async fn once<F: Future<Output = KeyedOutcome>>(
        &mut self,
        number: u64,
        fingerprint: u64,
        kept: &OutcomeBudget,
        act: impl FnOnce() -> F,
    ) -> KeyedOutcome {
        if let Some(last) = self.last {
            let next = last.saturating_add(1);
            if number <= last {
                return self.repeated((last - number) as usize, fingerprint, next);
            }
            if number > next {
                return Err(self.out_of_order(format!("number {number} came before {next}"), next));
            }
        }
        let answer = act().await;
        if !answer.as_ref().is_err_and(|refusal| refusal.is_passing()) {
            self.last = Some(number);
            self.keep((fingerprint, answer.clone()), kept);
        }
        answer
    }

    fn keep(&mut self, answer: (u64, KeyedOutcome), kept: &OutcomeBudget) {
        let OutcomeBudget(count) = self.kept.get_or_insert_with(|| kept.clone());
        let is_full = count.load(Ordering::Relaxed) >= ANSWERS_TOTAL_MAX;
        let most = if is_full { ANSWERS_FEW } else { ANSWERS_MAX };
        let over = (self.answers.len() + 1).saturating_sub(most);
        self.answers.drain(..over);
        if over > 1 {
            self.answers.shrink_to(most);
        }
        self.answers.push_back(answer);
        count.fetch_add(1, Ordering::Relaxed);
        count.fetch_sub(over, Ordering::Relaxed);
    }

    /// Returns the answer to the number at this distance before the last one.
    fn repeated(&self, back: usize, fingerprint: u64, next: u64) -> KeyedOutcome {
        match self.answers.iter().nth_back(back) {
            Some((known, answer)) if *known == fingerprint => answer.clone(),
            Some(_) => Err(reused()),
            None => Err(self.out_of_order(
                "the answer to this number is no longer known".to_owned(),
                next,
            )),
        }
    }

    fn out_of_order(&self, detail: String, expected: u64) -> Refusal {
        Refusal {
            expected: Some(expected),
            ..Refusal::new(Code::KeyOutOfOrder, detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::cursor::Cursor;
    use std::sync::atomic::AtomicU64;

    fn published(offset: u64) -> Published {
        let id = Cursor {
            epoch: "e".parse().unwrap(),
            offset,
        };
        Published {
            id,
            reached: crate::protocol::Reached::default(),
        }
    }

    async fn once(keys: &Keys, key: &str, fingerprint: u64, acts: &AtomicU64) -> KeyedOutcome {
        keys.once(Scope::Anyone, key.into(), fingerprint, || async {
            tokio::task::yield_now().await;
            Ok(published(acts.fetch_add(1, Ordering::Relaxed)))
        })
        .await
    }

    #[tokio::test]
    async fn equal_keys_act_once_even_side_by_side() {
        let (keys, acts) = (Keys::default(), AtomicU64::new(1));
        let (first, second) = tokio::join!(once(&keys, "k", 1, &acts), once(&keys, "k", 1, &acts));
        assert_eq!(first, second);
        assert_eq!(
            once(&keys, "k", 2, &acts).await.unwrap_err().code,
            Code::KeyReused
        );
        assert_ne!(once(&keys, "other", 1, &acts).await, first);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_forgotten_after_their_time() {
        let (keys, acts) = (Keys::default(), AtomicU64::new(1));
        let first = once(&keys, "k", 1, &acts).await;
        tokio::time::advance(KEY_LIFETIME - Duration::from_secs(1)).await;
        assert_eq!(once(&keys, "k", 1, &acts).await, first);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_ne!(once(&keys, "k", 1, &acts).await, first);
    }

    #[tokio::test]
    async fn numbers_act_in_order_and_repeat_their_answers() {
        let (mut sequence, kept) = (Sequence::default(), OutcomeBudget::default());
        let mut step = async |number, fingerprint, answer: KeyedOutcome| {
            sequence
                .once(number, fingerprint, &kept, || async { answer })
                .await
        };
        assert_eq!(
            step(5, 5, Ok(published(1))).await,
            Ok(published(1)),
            "any number is the first"
        );
        assert_eq!(
            step(5, 5, Ok(published(9))).await,
            Ok(published(1)),
            "repeated"
        );
        assert_eq!(
            step(5, 6, Ok(published(9))).await.unwrap_err().code,
            Code::KeyReused
        );
        let skipped = step(7, 7, Ok(published(9))).await.unwrap_err();
        assert_eq!(
            (skipped.code, skipped.expected),
            (Code::KeyOutOfOrder, Some(6))
        );
        let limited = Refusal::new(Code::RateLimited, "");
        assert!(step(6, 6, Err(limited)).await.is_err());
        assert_eq!(
            step(6, 6, Ok(published(2))).await,
            Ok(published(2)),
            "a passing refusal uses nothing up"
        );
        let large = Refusal::new(Code::TooLarge, "");
        assert_eq!(step(7, 7, Err(large.clone())).await, Err(large.clone()));
        assert_eq!(
            step(7, 7, Ok(published(9))).await,
            Err(large),
            "a final refusal is an answer"
        );
        assert_eq!(step(8, 8, Ok(published(3))).await, Ok(published(3)));
        assert_eq!(
            step(4, 4, Ok(published(9))).await.unwrap_err().expected,
            Some(9),
            "older than what is known"
        );
    }

    #[tokio::test]
    async fn answers_of_all_sessions_are_bounded_and_the_last_ones_stay() {
        let kept = OutcomeBudget::default();
        let mut all: Vec<Sequence> = Vec::new();
        for _ in 0..300 {
            let mut sequence = Sequence::default();
            for number in 0..1_100 {
                let act = || async { Ok(published(number)) };
                sequence.once(number, number, &kept, act).await.unwrap();
            }
            let act = || async { Ok(published(0)) };
            let last = sequence.once(1_099, 1_099, &kept, act).await;
            assert_eq!(last, Ok(published(1_099)));
            all.push(sequence);
        }
        let count = || kept.0.load(Ordering::Relaxed);
        let held: usize = all.iter().map(|sequence| sequence.answers.len()).sum();
        assert_eq!(count(), held);
        assert!(held <= ANSWERS_TOTAL_MAX + 300 * ANSWERS_FEW, "{held}");
        drop(all);
        assert_eq!(count(), 0);
    }
}
