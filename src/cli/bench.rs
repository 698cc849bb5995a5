//! `triway bench`: measures WebSocket, SSE and long polling on one hub.
//!
//! Starts the hub, runs each transport in turn, and reports. `phase` describes one run.

mod doubt;
mod frame;
mod link;
mod machine;
mod meter;
mod pace;
mod page;
mod phase;
mod plan;
mod poll;
mod post;
mod progress;
mod reader;
mod report;
mod seen;
mod server;
mod sse;
mod table;
mod ws;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::outlet::{self, reader_gone};
use super::signals::Signals;
use machine::Machine;
use phase::Which;
use plan::Plan;
pub(super) use plan::PlanOptions;
use progress::Progress;
use report::{Figures, Report};
use server::{Cores, Server};

/// Measures and reports. Fails if an event was lost, arrived twice or arrived out of order.
pub(super) async fn run(options: PlanOptions) -> anyhow::Result<()> {
    let plan = Plan::new(&options)?;
    // Read the machine before this process is pinned to one core.
    let machine = Machine::new();
    let mut signals = Signals::new()?;
    let mut progress = Progress::new(&plan, options.quiet);
    // If the run is cancelled, its values are dropped. That kills the child process and aborts the tasks of the
    // readers.
    let (results, mut warnings) = tokio::select! {
        outcome = rounds(&plan, &machine, &mut progress) => outcome?,
        () = signals.next() => bail!("interrupted: nothing is reported"),
        () = reader_gone() => return Ok(()),
    };
    progress.end();
    warnings.extend(doubt::afterwards(&plan, &results));
    let report = Report {
        machine,
        options: &plan,
        warnings,
        results,
    };
    tell(&options, &report)?;
    let complaints: Vec<_> = report
        .results
        .iter()
        .filter_map(Figures::complaint)
        .collect();
    if complaints.is_empty() {
        return Ok(());
    }
    bail!(
        "not every event arrived exactly once and in order\n  {}",
        complaints.join("\n  ")
    )
}

/// Runs all rounds. Returns their figures, and the doubts that were known before the first run.
async fn rounds(
    plan: &Plan,
    machine: &Machine,
    progress: &mut Progress,
) -> anyhow::Result<(Vec<Figures>, Vec<String>)> {
    let running = match &plan.url {
        Some(url) => Some(Server::at(url, plan.token.as_deref(), plan.server_pid)?),
        None => None,
    };
    let cores = running.is_none().then(Cores::apart).flatten();
    let (mut figures, mut doubts) = (Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        for via in &plan.transports {
            let own;
            let server = match &running {
                Some(server) => server,
                // Each run gets a new hub. Memory that earlier readers left behind would be counted for these.
                None => {
                    own = Server::start(cores, plan.history()).await?;
                    &own
                }
            };
            if figures.is_empty() {
                doubts = doubt::beforehand(plan, machine, server);
                if server.is_foreign() {
                    // Warn before the first connection, so that a mistyped address can still be corrected.
                    outlet::tell(format_args!(
                        "{} is not this machine; its host gets the load",
                        server.target.address
                    ));
                }
            }
            let which = Which {
                via: *via,
                round,
                is_fresh: running.is_none() || figures.is_empty(),
            };
            progress.begin(*via, round, plan.rounds);
            let measured = phase::run(plan, server, which, progress).await;
            let measured = measured.with_context(|| format!("{}, round {round}", via.name()))?;
            figures.push(Figures::new(plan, machine.cores, &measured));
        }
    }
    Ok((figures, doubts))
}

/// Writes the requested reports. Prints the table and the warnings unless `--quiet` is set.
fn tell(options: &PlanOptions, report: &Report<'_>) -> anyhow::Result<()> {
    if let Some(path) = &options.json {
        write(path, &(serde_json::to_string_pretty(report)? + "\n"))?;
    }
    if let Some(path) = &options.html {
        write(path, &page::page(report)?)?;
    }
    if options.quiet {
        return Ok(());
    }
    let to_stdout = |path: &Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
    let table = table::table(report);
    if to_stdout(&options.json) || to_stdout(&options.html) {
        let _ = std::io::stderr().write_all(table.as_bytes());
    } else {
        write(Path::new("-"), &table)?;
    }
    for warning in &report.warnings {
        outlet::tell(format_args!("warning: {warning}"));
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if path == Path::new("-") {
        return outlet::print(text);
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
