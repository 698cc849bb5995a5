//! Property: under any interleaving of append, read, evict, sweep, join, leave, cut and restart, each reader gets each
//! event once and in order, or a gap that names it. No gap is needless.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::model::{World, within};
use super::reader::Reader;
use crate::hub::HubOptions;
use crate::protocol::BATCH_EVENTS_MAX;
use crate::protocol::cursor::{Cursor, Epoch, Since};

/// Interleavings of the usual run.
const CASES: u32 = 48;
/// Interleavings of the long run.
const CASES_LONG: u32 = 5_000;
/// The most steps of one interleaving.
const STEPS_MAX: usize = 48;
/// Few enough channels that readers meet in them, but so many that one step does not read a whole batch of each.
const CHANNELS: usize = 6;
/// The most readers at once.
const READERS_MAX: usize = 5;

/// One step.
#[derive(Clone, Debug)]
enum Step {
    Append {
        channels: Vec<usize>,
        count: usize,
        bytes: usize,
    },
    Advance(u64),
    Sweep,
    Open(Vec<(usize, Begin)>),
    Read {
        reader: usize,
        cut: Option<usize>,
    },
    ReadAll {
        reader: usize,
    },
    ComeBack {
        reader: usize,
    },
    Join {
        reader: usize,
        channel: usize,
        begin: Begin,
    },
    Leave {
        reader: usize,
        channel: usize,
    },
    Drop {
        reader: usize,
    },
    Restart,
}

/// Where a reader begins, before there is a hub that issues cursors.
#[derive(Clone, Copy, Debug)]
enum Begin {
    Now,
    All,
    Last(u32),
    Within(u64),
    Unknown,
    Beyond(u64),
    OtherLife(u64),
    At(u64),
}

fn begin() -> impl Strategy<Value = Begin> {
    prop_oneof![
        3 => Just(Begin::Now),
        3 => Just(Begin::All),
        2 => (0..1_500_u32).prop_map(Begin::Last),
        1 => (0..9_u32).prop_map(Begin::Last),
        2 => (0..400_u64).prop_map(Begin::Within),
        1 => Just(Begin::Unknown),
        1 => (1..9_u64).prop_map(Begin::Beyond),
        1 => (0..99_u64).prop_map(Begin::OtherLife),
        4 => (0..=1_000_u64).prop_map(Begin::At),
    ]
}

fn append() -> impl Strategy<Value = Step> {
    let channels = || vec(0..CHANNELS, 1..=CHANNELS);
    let batch = BATCH_EVENTS_MAX;
    let make = |(channels, count, bytes)| Step::Append {
        channels,
        count,
        bytes,
    };
    prop_oneof![
        12 => (channels(), 1..6_usize, 0..200_usize).prop_map(make),
        2 => (channels(), batch - 2..2 * batch, 0..2_usize).prop_map(make),
        1 => (0..CHANNELS, batch - 2..2 * batch).prop_map(move |(channel, count)| make((vec![channel], count, 0))),
        2 => (channels(), 1..9_usize, 200_000..1_048_576_usize).prop_map(make),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let reader = 0..READERS_MAX;
    prop_oneof![
        14 => append(),
        4 => (0..200_u64).prop_map(Step::Advance),
        3 => Just(Step::Sweep),
        6 => vec((0..CHANNELS, begin()), 0..=CHANNELS).prop_map(Step::Open),
        8 => reader.clone().prop_map(|reader| Step::Read { reader, cut: None }),
        4 => (reader.clone(), any::<usize>()).prop_map(|(reader, cut)| Step::Read { reader, cut: Some(cut) }),
        6 => reader.clone().prop_map(|reader| Step::ReadAll { reader }),
        5 => reader.clone().prop_map(|reader| Step::ComeBack { reader }),
        5 => (reader.clone(), 0..CHANNELS, begin())
            .prop_map(|(reader, channel, begin)| Step::Join { reader, channel, begin }),
        3 => (reader.clone(), 0..CHANNELS).prop_map(|(reader, channel)| Step::Leave { reader, channel }),
        3 => reader.prop_map(|reader| Step::Drop { reader }),
        1 => Just(Step::Restart),
    ]
}

fn options() -> impl Strategy<Value = HubOptions> {
    let batch = BATCH_EVENTS_MAX;
    let events = prop_oneof![
        2 => Just(None),
        1 => (1..9_usize).prop_map(Some),
        1 => (batch..2 * batch).prop_map(Some),
    ];
    let bytes = prop_oneof![
        1 => Just(None),
        2 => (50..900_usize).prop_map(Some),
        1 => (1_000_000..4_000_000_usize).prop_map(Some),
    ];
    let age = prop_oneof![Just(None), (20..400_u64).prop_map(Some)];
    let total = prop_oneof![3 => Just(None), 1 => (1_000..60_000_usize).prop_map(Some), 1 => (500_000..3_000_000_usize).prop_map(Some)];
    (events, bytes, age, total, 0..200_u64).prop_map(|(events, bytes, age, total, idle)| {
        HubOptions {
            history_events: events,
            history_bytes: bytes,
            history_age: age.map(Duration::from_millis),
            history_total: total,
            hub_channels: None,
            sweep_idle: Duration::from_millis(idle),
            ..HubOptions::default()
        }
    })
}

fn start(world: &World, begin: Begin) -> Since {
    let head = world.hub.head();
    match begin {
        Begin::Now => Since::Now,
        Begin::All => Since::All,
        Begin::Last(count) => Since::Last(count),
        Begin::Within(ms) => within(ms),
        Begin::Unknown => Since::Unknown,
        Begin::Beyond(by) => Since::At(world.hub.cursor(head + by)),
        Begin::OtherLife(offset) => Since::At(Cursor {
            epoch: "other".parse::<Epoch>().unwrap(),
            offset,
        }),
        Begin::At(per_mille) => Since::At(world.hub.cursor(head * per_mille / 1_000)),
    }
}

fn starts(world: &World, begins: &[(usize, Begin)]) -> Vec<(usize, Since)> {
    let mut starts: Vec<_> = begins
        .iter()
        .map(|(channel, begin)| (*channel, start(world, *begin)))
        .collect();
    starts.sort_by_key(|(channel, _)| *channel);
    starts.dedup_by_key(|(channel, _)| *channel);
    starts
}

/// Runs an action on one of the readers, if there are any.
fn with_reader(world: &mut World, reader: usize, act: impl FnOnce(&mut Reader, &World)) {
    if world.readers.is_empty() {
        return;
    }
    let index = reader % world.readers.len();
    let mut reader = world.readers.swap_remove(index);
    act(&mut reader, world);
    world.readers.push(reader);
}

fn take(world: &mut World, step: Step) {
    match step {
        Step::Append {
            channels,
            count,
            bytes,
        } => {
            channels
                .iter()
                .cycle()
                .take(count)
                .for_each(|channel| world.append(*channel, bytes));
            world.look();
        }
        Step::Advance(ms) => world.advance(ms),
        Step::Sweep => world.sweep(),
        Step::Open(begins) if world.readers.len() < READERS_MAX => {
            let reader = Reader::open(world, &starts(world, &begins));
            world.readers.push(reader);
        }
        Step::Open(_) => {}
        Step::Read { reader, cut } => with_reader(world, reader, |reader, world| {
            let _ = reader.read(world, cut);
        }),
        Step::ReadAll { reader } => with_reader(world, reader, Reader::read_all),
        Step::ComeBack { reader } => {
            with_reader(world, reader, |reader, world| reader.come_back(world))
        }
        Step::Join {
            reader,
            channel,
            begin,
        } => {
            let start = start(world, begin);
            with_reader(world, reader, |reader, world| {
                reader.join(world, channel, start)
            });
        }
        Step::Leave { reader, channel } => {
            with_reader(world, reader, |reader, _| reader.leave(channel))
        }
        Step::Drop { reader } if !world.readers.is_empty() => {
            let index = reader % world.readers.len();
            drop(world.readers.swap_remove(index));
        }
        Step::Drop { .. } => {}
        Step::Restart => world.restart(),
    }
}

fn play(options: HubOptions, steps: Vec<Step>) {
    let mut world = World::new(options);
    for step in steps {
        take(&mut world, step);
    }
    for mut reader in std::mem::take(&mut world.readers) {
        reader.read_all(&world);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn each_event_once_and_in_order_or_a_gap(options in options(), steps in vec(step(), 1..STEPS_MAX)) {
        play(options, steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES_LONG))]

    #[test]
    #[ignore = "long: minutes, for changes of hub, log or feed"]
    fn each_event_once_and_in_order_or_a_gap_long(options in options(), steps in vec(step(), 1..STEPS_MAX)) {
        play(options, steps);
    }
}
