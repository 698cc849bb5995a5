//! `triway bench`: WebSocket, SSE and long polling measured on one hub, side by side.
//!
//! The order of things is here: start the hub, run each transport in turn, report. What a run is stands in `phase`.

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

/// Measures, reports, and fails where an event was lost, came twice or out of order.
pub(super) async fn run(options: PlanOptions) -> anyhow::Result<()> {
    let plan = Plan::new(&options)?;
    // Asked before this process is bound to one core.
    let machine = Machine::new();
    let mut signals = Signals::new()?;
    let mut progress = Progress::new(&plan, options.quiet);
    // What was begun ends as its owners are dropped: a child with its handle, readers with their tasks.
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

/// All rounds, and what is doubtful from the beginning.
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
                // A new one for each run: memory that other readers left behind would count for these.
                None => {
                    own = Server::start(cores, plan.history()).await?;
                    &own
                }
            };
            if figures.is_empty() {
                doubts = doubt::beforehand(plan, machine, server);
                if server.is_foreign() {
                    // Told before the first connection, too: whoever mistyped an address can still stop it.
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

/// Writes what was asked for, and tells people unless they want quiet.
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
