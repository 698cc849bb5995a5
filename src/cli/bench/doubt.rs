//! Reasons to doubt the figures: too much load, processes on the same core, too few events, or rounds that differ too
//! much.
//!
//! This file knows figures and cores. It measures nothing.

use super::machine::{self, Machine};
use super::plan::{DEFAULT_HISTORY, Plan, PlanPace};
use super::report::Figures;
use super::server::Server;

/// Share of its core from which the load generator itself limits the result.
const LOAD_SHARE_MAX: f64 = 0.9;
/// Most that other processes may use of all cores.
const OTHERS_SHARE_MAX: f64 = 0.1;
/// Largest ratio between the rounds of one transport in CPU time per delivery.
const NOISE_MAX: f64 = 1.25;
/// Fewest events of one run for meaningful percentiles.
const EVENTS_MIN: u64 = 100;
/// Fewest deliveries of one run for a meaningful p99.9.
const DELIVERIES_MIN: u64 = 10_000;
/// Largest delay of the schedule at its 99th percentile, in µs.
const LATE_US_MAX: f64 = 1_000.0;
/// A range around the default publish rate of a session, in publishes per second. A result in this range is
/// suspicious.
const DEFAULT_PUBLISH_RATE: std::ops::Range<f64> = 95.0..105.0;

/// Returns the doubts that are known before a run.
pub(super) fn beforehand(plan: &Plan, machine: &Machine, server: &Server) -> Vec<String> {
    let mut doubts = Vec::new();
    if plan.url.is_some() && plan.history() > DEFAULT_HISTORY {
        doubts.push(format!(
            "more events are in flight than a hub keeps by default; start it with --history-events {}",
            plan.history()
        ));
    }
    if !machine.optimised {
        doubts.push("this is a debug build: measure with `cargo build --release`".to_owned());
    }
    if server.is_foreign() {
        let address = server.target.address;
        doubts.push(format!(
            "{address} is not this machine: the load goes over a network, and to somebody's host"
        ));
    }
    match server.process {
        None => doubts.push(
            "the server's process is unknown, so CPU time and memory are not measured; name it with --server-pid"
                .to_owned(),
        ),
        Some(process) => {
            let (load, hub) = (machine::cores_of(None), machine::cores_of(Some(process)));
            match (load, hub) {
                (Some(load), Some(hub)) if load == hub && load.len() == 1 => doubts.push(format!(
                    "server and load share core {}: each is measured while it waits for the other",
                    load[0]
                )),
                (Some(load), Some(hub)) if load.iter().any(|core| hub.contains(core)) => doubts.push(
                    "server and load are not pinned to different cores; use taskset for each, or let the bench start its own server"
                        .to_owned(),
                ),
                (Some(_), Some(_)) => {}
                _ => doubts.push("the cores of this system are unknown".to_owned()),
            }
        }
    }
    doubts
}

/// Returns the doubts that follow from the figures: the worst round of each transport counts.
pub(super) fn afterwards(plan: &Plan, figures: &[Figures]) -> Vec<String> {
    let mut doubts = Vec::new();
    let others = largest(figures.iter().filter_map(|one| one.others_cpu_share));
    if let Some(share) = others.filter(|share| *share > OTHERS_SHARE_MAX) {
        doubts.push(format!(
            "other processes used up to {} of this machine",
            percent(share)
        ));
    }
    for via in &plan.transports {
        let rounds = figures.iter().filter(|one| one.transport == via.name());
        let rounds: Vec<_> = rounds.collect();
        let of_via = of_transport(plan, &rounds);
        doubts.extend(
            of_via
                .into_iter()
                .map(|doubt| format!("{}: {doubt}", via.label())),
        );
    }
    doubts
}

fn of_transport(plan: &Plan, rounds: &[&Figures]) -> Vec<String> {
    let all =
        |figure: fn(&Figures) -> Option<f64>| rounds.iter().filter_map(move |one| figure(one));
    let mut doubts = Vec::new();
    let load = largest(all(|one| one.load_cpu_share));
    if let Some(share) = load.filter(|share| *share > LOAD_SHARE_MAX) {
        doubts.push(format!(
            "the load used {} of its core: the figures may show the load instead of the hub",
            percent(share)
        ));
    }
    let most = largest(all(|one| one.server_cpu_ns_per_delivery));
    let least = all(|one| one.server_cpu_ns_per_delivery).reduce(f64::min);
    if let (Some(most), Some(least)) = (most, least)
        && most / least > NOISE_MAX
    {
        doubts.push(format!(
            "rounds differ by {:.2} in CPU time per delivery; measure longer, or on a quieter machine",
            most / least
        ));
    }
    let few = rounds.iter().map(|one| (one.deliveries, one.events)).min();
    if let Some((deliveries, events)) = few
        && (events < EVENTS_MIN || deliveries < DELIVERIES_MIN)
    {
        doubts.push(format!(
            "{events} events and {deliveries} deliveries in a round are few for percentiles; measure longer"
        ));
    }
    let late = largest(all(|one| one.late_p99_us));
    if let Some(late) = late.filter(|late| *late > LATE_US_MAX) {
        doubts.push(format!(
            "one event in 100 was sent at least {:.1} ms late, which its latency includes",
            late / 1e3
        ));
    }
    doubts.extend(limited(
        plan,
        largest(all(|one| Some(one.events_per_second))),
    ));
    doubts
}

/// Returns a doubt if the members publish as fast as a hub permits by default, rather than as fast as it can.
fn limited(plan: &Plan, events_per_second: Option<f64>) -> Option<String> {
    let each = events_per_second? / plan.publisher_count() as f64;
    let is_limited = DEFAULT_PUBLISH_RATE.contains(&each);
    let at_most = plan.url.is_some() && matches!(plan.pace, PlanPace::Window(_));
    (is_limited && at_most).then(|| {
        "each publisher reached 100 events per second, the default limit of a hub; start it with --publish-rate 0"
            .to_owned()
    })
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn largest(figures: impl Iterator<Item = f64>) -> Option<f64> {
    figures.reduce(f64::max)
}
