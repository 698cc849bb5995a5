//! Reasons to doubt the figures: what was too busy, too close, too few or too different.
//!
//! Knows figures and cores; measures nothing itself.

use super::machine::{self, Machine};
use super::plan::{Pace, Plan, Publishers};
use super::report::Figures;
use super::server::Server;

/// Share of its core from which on the load is what is measured.
const LOAD_SHARE_MAX: f64 = 0.9;
/// Share of all cores that other processes may take.
const OTHERS_SHARE_MAX: f64 = 0.1;
/// How far the rounds of one transport may differ in CPU time per delivery, largest to smallest.
const NOISE_MAX: f64 = 1.25;
/// Events of one run, for percentiles that mean something.
const EVENTS_MIN: u64 = 100;
/// Deliveries of one run, for a p99.9 that means something.
const DELIVERIES_MIN: u64 = 10_000;
/// How late the schedule may be, at its 99th percentile, in µs.
const LATE_US_MAX: f64 = 1_000.0;
/// What a hub lets a session publish in a second unless told otherwise, and how near to it is suspicious.
const DEFAULT_PUBLISH_RATE: std::ops::Range<f64> = 95.0..105.0;

/// What is known before a run.
pub(super) fn beforehand(machine: &Machine, server: &Server) -> Vec<String> {
    let mut doubts = Vec::new();
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
            "the server's process is not known, so neither its CPU time nor its memory; name it with --server-pid"
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
                    "server and load are not pinned apart; use taskset for each, or let the bench start its own server"
                        .to_owned(),
                ),
                (Some(_), Some(_)) => {}
                _ => doubts.push("nothing is known about cores on this system".to_owned()),
            }
        }
    }
    doubts
}

/// What the figures themselves say.
pub(super) fn afterwards(plan: &Plan, figures: &[Figures]) -> Vec<String> {
    let mut doubts: Vec<_> = figures.iter().flat_map(|one| of_run(plan, one)).collect();
    for via in &plan.transports {
        let of_via = figures.iter().filter(|one| one.transport == via.name());
        let costs: Vec<_> = of_via
            .filter_map(|one| one.server_cpu_ns_per_delivery)
            .collect();
        let most = costs.iter().copied().fold(f64::MIN, f64::max);
        let least = costs.iter().copied().fold(f64::MAX, f64::min);
        if costs.len() > 1 && most / least > NOISE_MAX {
            doubts.push(format!(
                "{}: rounds differ by {:.2} in CPU time per delivery; measure longer, or on a quieter machine",
                via.name(),
                most / least
            ));
        }
    }
    doubts
}

fn of_run(plan: &Plan, one: &Figures) -> Vec<String> {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let mut doubts = Vec::new();
    if let Some(share) = one.load_cpu_share.filter(|share| *share > LOAD_SHARE_MAX) {
        doubts.push(format!(
            "the load took {} of its core: what is measured may be the load",
            percent(share)
        ));
    }
    if let Some(share) = one
        .others_cpu_share
        .filter(|share| *share > OTHERS_SHARE_MAX)
    {
        doubts.push(format!(
            "other processes took {} of this machine",
            percent(share)
        ));
    }
    if one.events < EVENTS_MIN || one.deliveries < DELIVERIES_MIN {
        doubts.push(format!(
            "{} events with {} deliveries are few for percentiles; measure longer",
            one.events, one.deliveries
        ));
    }
    if let Some(late) = one.late_p99_us.filter(|late| *late > LATE_US_MAX) {
        doubts.push(format!(
            "one in 100 events was sent {late:.0} µs late or more, which its latency holds"
        ));
    }
    let members = plan.publisher_count() as f64;
    let is_limited = DEFAULT_PUBLISH_RATE.contains(&(one.events_per_second / members));
    if is_limited && plan.url.is_some() && matches!(plan.pace, Pace::Window(_)) {
        let whose = if plan.publishers == Publishers::All {
            "each reader"
        } else {
            "a member"
        };
        doubts.push(format!(
            "{whose} published 100 events per second, which is a hub's limit; start it with --publish-rate 0"
        ));
    }
    let place = format!("{}, round {}: ", one.transport, one.round);
    doubts
        .into_iter()
        .map(|doubt| place.clone() + &doubt)
        .collect()
}
