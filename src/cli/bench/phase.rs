//! One run over one transport: connect, wait until the hub is idle, warm up, measure, and count what is missing.
//!
//! Every wait has a limit. A run that does not finish reports what was missing, and its figures are kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::frame::ExpectedEvent;
use super::machine;
use super::meter::{Meter, MeterShape, MeterTally, PublisherMeter};
use super::plan::{Plan, PlanLength, PlanPace, Publishers};
use super::progress::Progress;
use super::reader::{BenchChannel, BenchReader, BenchRun};
use super::server::Server;
use super::{pace, poll, post, sse, ws};
use crate::cli::subscribe::Via;

/// How long to warm up: caches, branch predictors, the readers' first polls.
const WARM_UP_TIME: Duration = Duration::from_millis(300);
/// A run ends if nothing arrives for this time.
const STALL_LIMIT: Duration = Duration::from_secs(10);
/// How long the last events may take after the measuring time: thousands of members may each have a window in flight.
const OVERTIME_LIMIT: Duration = Duration::from_secs(120);
/// How long a run with a given number of events may take.
const RUN_LIMIT: Duration = Duration::from_secs(3_600);
/// A run ends if nothing connects for this time.
const CONNECT_STALL_LIMIT: Duration = Duration::from_secs(15);
/// The interval of the checks whether the server is idle.
const REST_STEP: Duration = Duration::from_millis(50);
/// The most CPU time of an idle server between two checks, in ns: its timers and pings continue.
const REST_CPU_NS: u64 = 1_000_000;
/// The number of consecutive checks that must agree.
const REST_LOOKS: u32 = 4;
/// How long to wait at most until the server is idle.
const REST_LIMIT: Duration = Duration::from_secs(5);
/// How long after the last event a duplicate may still arrive.
const AFTERMATH: Duration = Duration::from_millis(200);
/// Connections between two updates of the progress bar, and the share of the bar that is for connecting.
const PROGRESS_CONNECTIONS: usize = 100;
const CONNECTED_SHARE: f64 = 0.2;
/// The interval at which a run checks the time.
const STEP: Duration = Duration::from_millis(100);

/// The measurements of one run over one transport.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) via: Via,
    pub(super) round: usize,
    pub(super) connect: Histogram<u64>,
    pub(super) connect_cpu_ns: Option<u64>,
    pub(super) idle_bytes: Option<u64>,
    pub(super) latency: Histogram<u64>,
    pub(super) late: Histogram<u64>,
    pub(super) events: u64,
    pub(super) tally: MeterTally,
    pub(super) took: Duration,
    pub(super) server_ns: Option<u64>,
    pub(super) load_ns: Option<u64>,
    /// CPU time of all other processes, on all cores.
    pub(super) others_ns: Option<u64>,
    pub(super) lost: u64,
    pub(super) twice: u64,
    pub(super) reordered: u64,
    pub(super) gaps: u64,
    /// Why the run did not finish.
    pub(super) trouble: Option<String>,
}

/// CPU times at one moment.
#[derive(Clone, Copy, Debug)]
struct Moment {
    server_ns: Option<u64>,
    load_ns: Option<u64>,
    busy_ns: Option<u64>,
}

impl Moment {
    fn now(server: &Server) -> Self {
        Self {
            server_ns: server.process.and_then(machine::cpu_ns),
            load_ns: machine::own_cpu_ns(),
            busy_ns: machine::busy_ns(),
        }
    }
}

fn since(before: Option<u64>, after: Option<u64>) -> Option<u64> {
    Some(after?.saturating_sub(before?))
}

/// Which run this is, and whether it is the server's first. Memory that earlier readers left behind would hide that of
/// later ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Which {
    pub(super) via: Via,
    pub(super) round: usize,
    pub(super) is_fresh: bool,
}

/// Performs one run and shows its progress.
pub(super) async fn run(
    plan: &Plan,
    server: &Server,
    which: Which,
    progress: &Progress,
) -> anyhow::Result<Measured> {
    let run = Arc::new(new_run(plan, server, which)?);
    let mut tasks = JoinSet::new();
    open_outlets(plan, which.via, &run, &mut tasks).await?;

    let before = rest(server).await;
    let cpu_before = server.process.and_then(machine::cpu_ns);
    connect(plan, which.via, &run, &mut tasks, progress).await?;
    let after = rest(server).await;
    let connect_cpu_ns = since(cpu_before, server.process.and_then(machine::cpu_ns));
    let idle_bytes = since(before, after).filter(|_| which.is_fresh);

    let warm_up = PlanLength::Seconds(WARM_UP_TIME);
    let mut trouble = drive(plan, &run, warm_up, |_| {}).await.err();
    run.meter.begin();
    let begin = Moment::now(server);
    let began_ns = run.meter.now_ns();
    if trouble.is_none() {
        trouble = measure(plan, &run, progress).await.err();
    }
    let end = Moment::now(server);
    sleep(AFTERMATH).await;
    tasks.shutdown().await;

    let server_ns = since(begin.server_ns, end.server_ns);
    let load_ns = since(begin.load_ns, end.load_ns);
    let books = run.meter.books();
    let busy_ns = since(begin.busy_ns, end.busy_ns);
    let ours_ns = load_ns.unwrap_or_default() + server_ns.unwrap_or_default();
    Ok(Measured {
        via: which.via,
        round: which.round,
        connect: books.connect.clone(),
        connect_cpu_ns,
        idle_bytes,
        latency: books.latency.clone(),
        late: books.late.clone(),
        events: books.measured(),
        tally: books.tally,
        took: Duration::from_nanos(books.last_ns.saturating_sub(began_ns).max(1)),
        server_ns,
        load_ns,
        others_ns: busy_ns.map(|busy| busy.saturating_sub(ours_ns)),
        lost: books.expected() - books.received,
        twice: books.twice,
        reordered: books.reordered,
        gaps: books.gaps,
        trouble: trouble.map(|error| format!("{error:#}")),
    })
}

/// Prepares a run. Its channels have names of their own, so it reads no events of earlier runs.
fn new_run(plan: &Plan, server: &Server, which: Which) -> anyhow::Result<BenchRun> {
    let Plan {
        readers, channels, ..
    } = *plan;
    let tag = format!("{}-{}{}", plan.tag, which.via.name(), which.round);
    let name = |channel| format!("bench-{tag}-{channel}");
    let all = plan.publishers == Publishers::All;
    let post_outlets = post::CONNECTIONS_MAX.min(readers);
    let publishers: Vec<_> = match plan.publishers {
        Publishers::All => (0..readers)
            .map(|reader| PublisherMeter {
                outlet: if which.via == Via::Ws {
                    reader
                } else {
                    reader % post_outlets
                },
                channel: of_reader(reader, channels),
                rounds: false,
            })
            .collect(),
        Publishers::Some(count) => (0..count)
            .map(|member| PublisherMeter {
                outlet: member,
                channel: of_reader(member * channels / count, channels),
                rounds: true,
            })
            .collect(),
    };
    let shape = MeterShape {
        readers_of: (0..channels)
            .map(|channel| u32::try_from((readers - channel).div_ceil(channels)))
            .collect::<Result<_, _>>()?,
        outlets: publishers
            .iter()
            .map(|publisher| publisher.outlet + 1)
            .max()
            .unwrap_or(0),
        publishers,
        window: match plan.pace {
            PlanPace::Window(window) => Some(window),
            PlanPace::Rate(_) => None,
        },
    };
    Ok(BenchRun {
        meter: Meter::new(shape)?,
        target: Arc::clone(&server.target),
        channels: (0..channels)
            .map(|channel| BenchChannel {
                name: name(channel),
                expected: ExpectedEvent::new(&name(channel)),
            })
            .collect(),
        keys: Mutex::new(if all {
            vec![String::new(); readers]
        } else {
            Vec::new()
        }),
        payload: plan.payload,
    })
}

fn of_reader(reader: usize, channels: usize) -> u32 {
    u32::try_from(reader % channels).expect("channels are as many as u32")
}

/// Spawns a task. If the task fails, its error ends the run.
fn spawn(
    tasks: &mut JoinSet<()>,
    run: &Arc<BenchRun>,
    who: String,
    task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) {
    let run = Arc::clone(run);
    tasks.spawn(async move {
        if let Err(error) = task.await {
            run.meter.trouble(format!("{who}: {error:#}"));
        }
    });
}

/// Opens the outlets, unless the readers publish themselves.
async fn open_outlets(
    plan: &Plan,
    via: Via,
    run: &Arc<BenchRun>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let all = plan.publishers == Publishers::All;
    if all && via == Via::Ws {
        return Ok(());
    }
    let outlets = run.meter.books().outlets();
    for outlet in 0..outlets {
        let who = format!("publisher {outlet}");
        if all {
            spawn(tasks, run, who, post::outlet(Arc::clone(run), outlet));
        } else {
            let channel = format!("bench-{}-publisher{outlet}", plan.tag);
            spawn(
                tasks,
                run,
                who,
                ws::outlet(Arc::clone(run), outlet, channel),
            );
        }
    }
    reach(run, "publishers", outlets, |run| {
        run.meter.books().outlets_open
    })
    .await
}

/// Connects the readers, a limited number at a time.
async fn connect(
    plan: &Plan,
    via: Via,
    run: &Arc<BenchRun>,
    tasks: &mut JoinSet<()>,
    progress: &Progress,
) -> anyhow::Result<()> {
    let leave = Arc::new(Semaphore::new(plan.connecting));
    let all = plan.publishers == Publishers::All;
    for index in 0..plan.readers {
        let permit = timeout(CONNECT_STALL_LIMIT, Arc::clone(&leave).acquire_owned());
        let Ok(permit) = permit.await else { break };
        if run.meter.books().trouble.is_some() {
            break;
        }
        let reader = BenchReader {
            run: Arc::clone(run),
            index,
            channel: of_reader(index, plan.channels),
            outlet: (all && via == Via::Ws).then_some(index),
            seen: super::seen::Seen::default(),
            connecting: Some((run.meter.now_ns(), permit?)),
        };
        if index.is_multiple_of(PROGRESS_CONNECTIONS) {
            let share = index as f64 / plan.readers as f64;
            progress.at(share * CONNECTED_SHARE, format!("{index} connections"));
        }
        let who = format!("reader {index}");
        match via {
            Via::Ws => spawn(tasks, run, who, ws::read(reader)),
            Via::Sse => spawn(tasks, run, who, sse::read(reader)),
            Via::Poll => spawn(tasks, run, who, poll::read(reader)),
        }
    }
    reach(run, "readers", plan.readers, |run| {
        run.meter.books().connected
    })
    .await
}

/// Waits until the count reaches the goal. Fails if it does not grow for a while.
async fn reach(
    run: &BenchRun,
    what: &str,
    goal: usize,
    count: impl Fn(&BenchRun) -> usize,
) -> anyhow::Result<()> {
    while count(run) < goal {
        let before = count(run);
        let told = timeout(CONNECT_STALL_LIMIT, run.meter.reached.notified()).await;
        if let Some(trouble) = run.meter.books().trouble.clone() {
            bail!(trouble);
        }
        if told.is_err() && count(run) == before {
            bail!(
                "only {before} of {goal} {what} connected; no further one did within {CONNECT_STALL_LIMIT:?}"
            );
        }
    }
    Ok(())
}

/// Waits until the server uses hardly any CPU time and its memory does not change. Returns its resident memory, in
/// bytes.
async fn rest(server: &Server) -> Option<u64> {
    let process = server.process?;
    let look = || (machine::resident_bytes(process), machine::cpu_ns(process));
    let began = Instant::now();
    let (mut last, mut agreed) = (look(), 0);
    while agreed < REST_LOOKS && began.elapsed() < REST_LIMIT {
        sleep(REST_STEP).await;
        let now = look();
        let at_rest = since(last.1, now.1).is_none_or(|ns| ns < REST_CPU_NS);
        agreed = if at_rest && now.0 == last.0 {
            agreed + 1
        } else {
            0
        };
        last = now;
    }
    machine::resident_bytes(process)
}

async fn measure(plan: &Plan, run: &BenchRun, progress: &Progress) -> anyhow::Result<()> {
    let began = Instant::now();
    drive(plan, run, plan.length, |events| {
        let share = match plan.length {
            PlanLength::Events(all) => events as f64 / all as f64,
            PlanLength::Seconds(all) => began.elapsed().as_secs_f64() / all.as_secs_f64(),
        };
        let share = CONNECTED_SHARE + share.min(1.0) * (1.0 - CONNECTED_SHARE);
        progress.at(share, format!("{events} events"));
    })
    .await
}

/// Sends for a time or a number of events, then waits until everything is delivered.
async fn drive(
    plan: &Plan,
    run: &BenchRun,
    length: PlanLength,
    watch: impl FnMut(u64),
) -> anyhow::Result<()> {
    let (count, time) = match length {
        PlanLength::Events(count) => (count, None),
        PlanLength::Seconds(time) => (usize::MAX, Some(time)),
    };
    run.meter.send(count);
    let pacing = async {
        match plan.pace {
            PlanPace::Rate(rate) => pace::plan(run, rate).await,
            PlanPace::Window(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        outcome = delivered(run, time, watch) => outcome,
        outcome = pacing => outcome.and_then(|()| bail!("the schedule ended")),
    }
}

/// Waits until everything is sent and delivered. After `time`, nothing more is sent.
async fn delivered(
    run: &BenchRun,
    time: Option<Duration>,
    mut watch: impl FnMut(u64),
) -> anyhow::Result<()> {
    let began = Instant::now();
    let limit = time.map_or(RUN_LIMIT, |time| time + OVERTIME_LIMIT);
    let mut seen = (began, 0);
    while !run.meter.is_done() {
        let left = time.map(|time| time.saturating_sub(began.elapsed()));
        let step = left
            .filter(|left| !left.is_zero())
            .unwrap_or(STEP)
            .min(STEP);
        let _ = timeout(step, run.meter.reached.notified()).await;
        let now = Instant::now();
        if time.is_some_and(|time| now - began >= time) {
            run.meter.stop();
        }
        let books = run.meter.books();
        if let Some(trouble) = &books.trouble {
            return Err(anyhow!(trouble.clone()));
        }
        let missing = books.expected() - books.received;
        if books.received > seen.1 {
            seen = (now, books.received);
        } else if now - seen.0 > STALL_LIMIT && missing > 0 {
            bail!("nothing arrived for {STALL_LIMIT:?}; {missing} deliveries are missing");
        }
        if now - began > limit {
            bail!("the run did not end within {limit:?}; {missing} deliveries are missing");
        }
        watch(books.measured());
    }
    Ok(())
}
