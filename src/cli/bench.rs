//! `triway bench`: WebSocket, SSE and long polling measured on one hub, side by side.
//!
//! The order of things is here: start the hub, run each transport in turn, report. What a run is stands in `phase`.

mod doubt;
mod frame;
mod link;
mod machine;
mod meter;
mod pace;
mod phase;
mod plan;
mod poll;
mod post;
mod reader;
mod report;
mod seen;
mod server;
mod sse;
mod ws;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};

use super::signals::Signals;
use machine::Machine;
use phase::Which;
pub(super) use plan::Options;
use plan::Plan;
use report::{Figures, Report};
use server::{Cores, Server};

/// Measures, reports, and fails where an event was lost, came twice or out of order.
pub(super) async fn run(options: Options) -> anyhow::Result<()> {
    let plan = Plan::new(&options)?;
    let machine = Machine::new();
    let mut signals = Signals::new()?;
    // What was begun ends as its owners are dropped: a child with its handle, readers with their tasks.
    let (figures, mut warnings) = tokio::select! {
        figures = rounds(&plan, &machine) => figures?,
        () = signals.next() => bail!("interrupted"),
    };
    warnings.extend(doubt::afterwards(&plan, &figures));
    let report = Report {
        machine,
        options: &plan,
        warnings,
        results: figures,
    };
    if let Some(path) = &options.json {
        write(path, &(serde_json::to_string_pretty(&report)? + "\n"))?;
    }
    let complaints: Vec<_> = report
        .results
        .iter()
        .filter_map(Figures::complaint)
        .collect();
    if complaints.is_empty() {
        return Ok(());
    }
    bail!(
        "not every event came exactly once and in order\n  {}",
        complaints.join("\n  ")
    )
}

async fn rounds(plan: &Plan, machine: &Machine) -> anyhow::Result<(Vec<Figures>, Vec<String>)> {
    let cores = if plan.url.is_none() {
        Cores::apart()
    } else {
        None
    };
    let running = match &plan.url {
        Some(url) => Some(Server::at(url, plan.token.as_deref(), plan.server_pid)?),
        None => None,
    };
    let (mut figures, mut doubts) = (Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        for via in &plan.transports {
            let own;
            let server = match &running {
                Some(server) => server,
                // A new one for each run: memory that other readers left behind would count for these.
                None => {
                    own = Server::start(cores).await?;
                    &own
                }
            };
            if figures.is_empty() {
                doubts = doubt::beforehand(machine, server);
            }
            let which = Which {
                via: *via,
                round,
                is_fresh: running.is_none() || figures.is_empty(),
            };
            let measured = phase::run(plan, server, which, |_, _| {}).await;
            let measured = measured.with_context(|| format!("{}, round {round}", via.name()))?;
            figures.push(Figures::new(plan, machine.cores, &measured));
        }
    }
    Ok((figures, doubts))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if path == Path::new("-") {
        return std::io::stdout()
            .write_all(text.as_bytes())
            .context("standard output");
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
