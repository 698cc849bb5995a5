//! The books of one run: which events were sent, how many readers lack them, and when to send the next one.
//!
//! One lock guards them. It is taken once for everything that a read returned, and never contended, because the load
//! generator is one thread. Knows no transport and no socket.

use std::task::{Context, Poll, Waker};
use std::time::Instant;

use anyhow::{anyhow, bail};
use hdrhistogram::Histogram;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::seen::{Seen, Verdict};

/// The most events of one run. Their records are 32 bytes each, so 128 MB, of which only the used part takes memory.
pub(super) const EVENTS_MAX: usize = 4_000_000;
/// The most events in flight at a fixed rate. A hub that is further behind does not keep up with the rate.
const IN_FLIGHT_MAX: u64 = 50_000;
/// The longest latency that is recorded exactly, in ns. A stall ends the run earlier.
const LATENCY_NS_MAX: u64 = 60_000_000_000;
/// Significant digits of a latency.
const LATENCY_DIGITS: u8 = 3;

/// The workload of a run.
#[derive(Clone, Debug)]
pub(super) struct MeterShape {
    /// The number of readers of each channel.
    pub(super) readers_of: Vec<u32>,
    /// The members that publish: the outlet and the channels of each.
    pub(super) publishers: Vec<PublisherMeter>,
    /// The number of tasks that publish for the members.
    pub(super) outlets: usize,
    /// Events in flight for each publisher. `None` at a fixed rate.
    pub(super) window: Option<u32>,
}

/// A member that publishes.
#[derive(Clone, Debug)]
pub(super) struct PublisherMeter {
    /// The outlet that writes its events.
    pub(super) outlet: usize,
    /// Its channel. If it publishes to all channels in turn, the next one.
    pub(super) channel: u32,
    /// Whether it publishes to all channels in turn.
    pub(super) rounds: bool,
}

/// One event, with what is needed to judge and time its deliveries.
#[derive(Debug)]
struct Record {
    /// When it was sent or scheduled, in ns since the meter was created.
    sent_ns: u64,
    /// The offset of its id, or 0 until it is known.
    offset: u64,
    /// Its position in its channel.
    ordinal: u32,
    /// The number of readers that lack it.
    missing: u32,
    channel: u32,
    publisher: u32,
}

/// How many events to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// No events.
    Rest,
    /// As many as needed until there are this many in all.
    Count(usize),
}

/// What was counted since the measurement began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MeterTally {
    pub(super) deliveries: u64,
    pub(super) bytes_read: u64,
    pub(super) bytes_written: u64,
    pub(super) requests: u64,
}

/// The queue of an outlet: the numbers of events to publish. It is bounded by the window or by `IN_FLIGHT_MAX`.
#[derive(Debug, Default)]
struct Outlet {
    due: Vec<u32>,
    waker: Option<Waker>,
}

/// The state of a run.
#[derive(Debug)]
pub(super) struct Books {
    shape: MeterShape,
    events: Vec<Record>,
    outlets: Vec<Outlet>,
    sent_in: Vec<u32>,
    until: Until,
    /// Events that some readers lack.
    in_flight: u64,
    /// The first event that is measured. Earlier ones are for warming up.
    first: usize,
    turn: usize,
    pub(super) latency: Histogram<u64>,
    /// How late events were written, compared with their schedule. Empty unless the rate is fixed.
    pub(super) late: Histogram<u64>,
    pub(super) connect: Histogram<u64>,
    pub(super) connected: usize,
    pub(super) outlets_open: usize,
    pub(super) tally: MeterTally,
    pub(super) twice: u64,
    pub(super) reordered: u64,
    pub(super) gaps: u64,
    /// Deliveries of all events, including those for warming up.
    pub(super) received: u64,
    pub(super) last_ns: u64,
    pub(super) trouble: Option<String>,
}

/// The books of a run, and its clock.
#[derive(Debug)]
pub(super) struct Meter {
    /// Guards everything that readers and publishers report.
    books: Mutex<Books>,
    began: Instant,
    /// Notified when a reader connects, an outlet opens, everything is delivered, or an error occurs.
    pub(super) reached: Notify,
}

fn histogram() -> anyhow::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, LATENCY_DIGITS)
        .map_err(|error| anyhow!("{error}"))
}

impl Meter {
    pub(super) fn new(shape: MeterShape) -> anyhow::Result<Self> {
        let books = Books {
            events: Vec::with_capacity(EVENTS_MAX),
            outlets: (0..shape.outlets).map(|_| Outlet::default()).collect(),
            sent_in: vec![0; shape.readers_of.len()],
            until: Until::Rest,
            in_flight: 0,
            first: 0,
            turn: 0,
            latency: histogram()?,
            late: histogram()?,
            connect: histogram()?,
            connected: 0,
            outlets_open: 0,
            tally: MeterTally::default(),
            twice: 0,
            reordered: 0,
            gaps: 0,
            received: 0,
            last_ns: 0,
            trouble: None,
            shape,
        };
        Ok(Self {
            books: Mutex::new(books),
            began: Instant::now(),
            reached: Notify::new(),
        })
    }

    pub(super) fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock()
    }

    /// Records that a reader received its hello.
    pub(super) fn connected(&self, since_ns: u64) {
        let took = self.now_ns().saturating_sub(since_ns);
        let mut books = self.books();
        books.connect.saturating_record(took);
        books.connected += 1;
        self.reached.notify_one();
    }

    /// Records an error, which ends the run. Only the first one is reported.
    pub(super) fn trouble(&self, what: String) {
        self.books().trouble.get_or_insert(what);
        self.reached.notify_one();
    }

    /// Records that an event arrived at a reader.
    pub(super) fn deliver(
        &self,
        books: &mut Books,
        reader: (u32, &mut Seen),
        event: (u32, u64),
        now_ns: u64,
    ) -> anyhow::Result<()> {
        if books.deliver(reader, event, now_ns)? && books.in_flight == 0 && books.is_full() {
            self.reached.notify_one();
        }
        Ok(())
    }

    /// Begins the measurement. Discards what was counted while warming up.
    pub(super) fn begin(&self) {
        let mut books = self.books();
        books.first = books.events.len();
        books.tally = MeterTally::default();
        books.latency.reset();
        books.late.reset();
        books.last_ns = self.now_ns();
    }

    /// Sends until there are `count` more events than now.
    pub(super) fn send(&self, count: usize) {
        let mut books = self.books();
        let goal = books.events.len().saturating_add(count).min(EVENTS_MAX);
        books.until = Until::Count(goal);
        books.fill();
    }

    /// Stops sending.
    pub(super) fn stop(&self) {
        self.books().until = Until::Rest;
    }

    /// Returns whether nothing is in flight and nothing more is to be sent.
    pub(super) fn is_done(&self) -> bool {
        let books = self.books();
        books.in_flight == 0 && books.is_full()
    }

    /// Moves the events that wait for this outlet to `into`. If there are none, registers the waker.
    pub(super) fn poll_due(
        &self,
        outlet: usize,
        context: &Context<'_>,
        into: &mut Vec<u32>,
    ) -> Poll<()> {
        let mut books = self.books();
        let outlet = &mut books.outlets[outlet];
        if outlet.due.is_empty() {
            if outlet
                .waker
                .as_ref()
                .is_none_or(|known| !known.will_wake(context.waker()))
            {
                outlet.waker = Some(context.waker().clone());
            }
            return Poll::Pending;
        }
        into.append(&mut outlet.due);
        Poll::Ready(())
    }

    /// Records that an outlet is ready to publish.
    pub(super) fn outlet_open(&self) {
        self.books().outlets_open += 1;
        self.reached.notify_one();
    }

    /// Returns channel and publisher of an event that is about to be written. Its latency counts from now, or from its
    /// scheduled time.
    pub(super) fn depart(&self, number: u32) -> (u32, u32) {
        let now_ns = self.now_ns();
        let mut books = self.books();
        let planned = books.shape.window.is_none();
        let record = &mut books.events[number as usize];
        let whose = (record.channel, record.publisher);
        if planned {
            let late = now_ns.saturating_sub(record.sent_ns);
            books.late.saturating_record(late);
        } else {
            record.sent_ns = now_ns;
        }
        whose
    }

    /// Schedules one event of the next publisher in turn. Only for a fixed rate.
    pub(super) fn plan(&self, sent_ns: u64) -> anyhow::Result<()> {
        let mut books = self.books();
        if books.in_flight >= IN_FLIGHT_MAX {
            bail!(
                "the hub does not keep up with this --rate: {IN_FLIGHT_MAX} events are on their way"
            );
        }
        if !books.is_full() {
            let publisher = books.turn % books.shape.publishers.len();
            books.turn += 1;
            books.issue(publisher, sent_ns);
        }
        Ok(())
    }
}

impl Books {
    /// Returns whether it was the last reader that lacked the event.
    fn deliver(
        &mut self,
        (channel, seen): (u32, &mut Seen),
        (number, offset): (u32, u64),
        now_ns: u64,
    ) -> anyhow::Result<bool> {
        let index = number as usize;
        let Some(record) = self.events.get_mut(index) else {
            bail!("event {number} arrived but was not sent");
        };
        if record.channel != channel {
            bail!("event {number} arrived on the wrong channel");
        }
        let verdict = seen.note(record.ordinal, offset);
        match verdict {
            Verdict::Twice => {
                self.twice += 1;
                return Ok(false);
            }
            Verdict::Reordered => self.reordered += 1,
            Verdict::Right => {}
        }
        // All readers must receive an event with the same id. Otherwise, they would not agree on the order.
        if record.offset == 0 {
            record.offset = offset;
        } else if record.offset != offset && verdict == Verdict::Right {
            self.reordered += 1;
        }
        self.received += 1;
        self.last_ns = now_ns;
        if index >= self.first {
            self.tally.deliveries += 1;
            self.latency
                .saturating_record(now_ns.saturating_sub(record.sent_ns));
        }
        record.missing -= 1;
        if record.missing > 0 {
            return Ok(false);
        }
        let publisher = record.publisher as usize;
        self.in_flight -= 1;
        if self.shape.window.is_some() && !self.is_full() {
            self.issue(publisher, 0);
        }
        Ok(true)
    }

    fn is_full(&self) -> bool {
        match self.until {
            Until::Rest => true,
            Until::Count(goal) => self.events.len() >= goal,
        }
    }

    fn fill(&mut self) {
        for _ in 0..self.shape.window.unwrap_or_default() {
            for publisher in 0..self.shape.publishers.len() {
                if !self.is_full() {
                    self.issue(publisher, 0);
                }
            }
        }
    }

    fn issue(&mut self, index: usize, sent_ns: u64) {
        let number = u32::try_from(self.events.len()).expect("EVENTS_MAX fits");
        let channels = self.sent_in.len();
        let publisher = &mut self.shape.publishers[index];
        let (channel, outlet) = (publisher.channel, publisher.outlet);
        if publisher.rounds {
            publisher.channel = (channel + 1) % u32::try_from(channels).expect("as many as u32");
        }
        let sent = &mut self.sent_in[channel as usize];
        self.events.push(Record {
            sent_ns,
            offset: 0,
            ordinal: *sent,
            missing: self.shape.readers_of[channel as usize],
            channel,
            publisher: u32::try_from(index).expect("as many as u32"),
        });
        *sent += 1;
        self.in_flight += 1;
        let outlet = &mut self.outlets[outlet];
        outlet.due.push(number);
        if let Some(waker) = outlet.waker.take() {
            waker.wake();
        }
    }

    /// Returns the number of tasks that publish.
    pub(super) fn outlets(&self) -> usize {
        self.shape.outlets
    }

    /// Returns the number of events that are measured.
    pub(super) fn measured(&self) -> u64 {
        (self.events.len() - self.first) as u64
    }

    /// Returns the number of deliveries that all events together need.
    pub(super) fn expected(&self) -> u64 {
        let of_channel = |(sent, readers): (&u32, &u32)| u64::from(*sent) * u64::from(*readers);
        self.sent_in
            .iter()
            .zip(&self.shape.readers_of)
            .map(of_channel)
            .sum()
    }
}
