//! Every row of the targets as a ratio to a floor: `cargo bench --bench ratios`. `docs/benchmarks.md` holds the
//! figures.
//!
//! The program starts the floor and triway in turn on one core, and lets `triway bench` load them from another. It
//! measures nothing itself.

#![allow(missing_docs, reason = "a program")]

mod floor;
mod ratio;
mod report;
mod rows;
mod run;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Parser;
use ratio::Spread;
use report::Line;
use rows::{Floor, Row, Workload};
use run::{Place, Programs, Side, once};

/// The document with the figures, relative to the package's folder.
const DOCUMENT: &str = "docs/benchmarks.md";
/// Default number of rounds of each workload: the smallest number with a middle value.
const ROUNDS: u32 = 3;
/// Default measuring time of one run, in seconds: thousands of events per run, and all rows in ten minutes.
const SECONDS: f64 = 2.0;
/// Default measuring time of one run with `--short`, in seconds.
const SHORT_SECONDS: f64 = 1.0;
/// Share of the machine's CPU time that other processes may use. Above it, the figures are doubtful.
const BUSY_SHARE: f64 = 0.05;
/// File descriptors of one process: 9,500 connections and a reserve.
const DESCRIPTORS: u64 = 10_500;

/// Measures triway against the floor, in turn, and prints the ratios.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench ratios --")]
struct Options {
    /// Only rows whose names contain these words
    #[arg(long, value_name = "WORDS")]
    row: Vec<String>,
    /// Number of runs of each workload on each side
    #[arg(long, default_value_t = ROUNDS)]
    rounds: u32,
    /// Seconds that one run is measured [default: 2, with --short 1]
    #[arg(long)]
    seconds: Option<f64>,
    /// Few rows with few readers; fails if one is worse than documented by more than the noise
    #[arg(long)]
    short: bool,
    /// Replace the tables in docs/benchmarks.md
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    programs: Programs,
    /// Extra noise that the short form allows on top of the documented noise, for a busy machine
    #[arg(long, default_value_t = 0.0, hide = true)]
    slack: f64,
    /// Set by `cargo bench`; without it nothing is measured, as in a test run over all targets
    #[arg(long, hide = true)]
    bench: bool,
    /// Serve as a floor instead
    #[arg(long, hide = true, value_name = "FLOOR")]
    serve_as: Option<String>,
}

impl Options {
    fn length(&self, usual: f64) -> String {
        format!("--seconds {}", self.seconds.unwrap_or(usual))
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let options = Options::parse();
    rlimit::increase_nofile_limit(rlimit::INFINITY).ok();
    if let Some(name) = &options.serve_as {
        return Ok(floor::run(name == Floor::Joined.name())?);
    }
    if !options.bench {
        println!("nothing is measured without `cargo bench`");
        return Ok(());
    }
    let place = Place::find(options.programs.clone())?;
    if !place.is_apart() {
        eprintln!("warning: one core only; the load takes turns with the server");
    }
    let descriptors = rlimit::Resource::NOFILE.get_soft()?;
    if descriptors < DESCRIPTORS {
        eprintln!("warning: {descriptors} descriptors; rows of 9,500 readers need {DESCRIPTORS}");
    }
    place.for_load()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure_all(&options, &place))
}

async fn measure_all(options: &Options, place: &Place) -> anyhow::Result<()> {
    if options.write && !options.row.is_empty() {
        bail!("--write is for the whole table, not for --row");
    }
    let began = Instant::now();
    if options.short {
        let rows = rows::short(&options.length(SHORT_SECONDS));
        let lines = measure(chosen(rows, options)?, options, place).await;
        println!("{}", report::guard_table(&lines));
        if options.write {
            return write(&[("guard", report::guard_table(&lines))]);
        }
        return guard(&lines, options, place).await;
    }
    let rows = rows::all(&options.length(SECONDS));
    let lines = measure(chosen(rows, options)?, options, place).await;
    let machine = machine(&lines);
    println!("{machine}\n\n{}", report::table(&lines));
    if options.write {
        let rows = rows::short(&options.length(SHORT_SECONDS));
        let short = measure(rows, options, place).await;
        write(&[
            ("machine", machine),
            ("targets", report::table(&lines)),
            ("guard", report::guard_table(&short)),
        ])?;
    }
    println!("\n{:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

fn chosen(mut rows: Vec<Row>, options: &Options) -> anyhow::Result<Vec<Row>> {
    let is_asked = |row: &Row| {
        let mut asked = options.row.iter();
        options.row.is_empty() || asked.any(|words| row.name.contains(words.as_str()))
    };
    rows.retain(is_asked);
    if rows.is_empty() {
        bail!("no row has such a name");
    }
    Ok(rows)
}

/// Measures all rows. Rows of the same workload share its runs.
async fn measure(rows: Vec<Row>, options: &Options, place: &Place) -> Vec<Line> {
    let mut ran: Vec<(Workload, Vec<[Option<serde_json::Value>; 2]>)> = Vec::new();
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        let known = ran
            .iter()
            .position(|(workload, _)| *workload == row.workload);
        let index = match known {
            Some(index) => index,
            None => {
                eprintln!("{} …", row.name);
                let rounds = rounds_of(&row.workload, options.rounds, place).await;
                ran.push((row.workload.clone(), rounds));
                ran.len() - 1
            }
        };
        let line = line(&row, &ran[index].1);
        eprintln!("{}", line.of_table());
        lines.push(line);
    }
    lines
}

/// Runs the floor and triway in turn, so that other load on the machine affects both.
async fn rounds_of(
    workload: &Workload,
    rounds: u32,
    place: &Place,
) -> Vec<[Option<serde_json::Value>; 2]> {
    let mut all = Vec::new();
    for _ in 0..rounds {
        let mut pair = [None, None];
        for (slot, side) in pair
            .iter_mut()
            .zip([Side::Floor(workload.floor), Side::Triway])
        {
            match once(side, workload, place).await {
                Ok(result) => *slot = Some(result),
                Err(error) => eprintln!("warning: {side:?}: {error:#}"),
            }
        }
        all.push(pair);
    }
    all
}

fn line(row: &Row, rounds: &[[Option<serde_json::Value>; 2]]) -> Line {
    let figures = |side: usize| -> Vec<Option<f64>> {
        let results = rounds.iter().map(|pair| pair[side].as_ref());
        results.map(|result| row.figure.of(result?)).collect()
    };
    let (floors, ours) = (figures(0), figures(1));
    let results = rounds.iter().flatten().flatten();
    let busy = |result: &serde_json::Value| result["others_cpu_share"].as_f64();
    Line {
        name: row.name.clone(),
        floor: row.workload.floor.name(),
        target: row.target,
        is_absolute: row.figure.is_absolute(),
        unit: row.figure.unit(),
        ours: Spread::of(ours.iter().copied().flatten()),
        floors: Spread::of(floors.iter().copied().flatten()),
        ratio: Spread::of_ratios(&ours, &floors),
        others: row.others,
        busy_share: results.filter_map(busy).fold(0.0, f64::max),
    }
}

/// Fails if a row is worse than documented. Such a row is first measured once more, because the machine may have been
/// busy.
async fn guard(lines: &[Line], options: &Options, place: &Place) -> anyhow::Result<()> {
    let document = std::fs::read_to_string(document())?;
    let is_worse = |line: &Line| -> anyhow::Result<bool> {
        let (was, noise) = report::documented(&document, &line.name)
            .with_context(|| format!("{DOCUMENT} has no figure for: {}", line.name))?;
        let now = line.ratio.context("a row could not be measured")?;
        Ok(ratio::is_worse(now.median, was, noise + options.slack))
    };
    let mut suspects = Vec::new();
    for line in lines {
        if is_worse(line)? {
            suspects.push(line.name.clone());
        }
    }
    let mut rows = rows::short(&options.length(SHORT_SECONDS));
    rows.retain(|row| suspects.contains(&row.name));
    for line in measure(rows, options, place).await {
        if is_worse(&line)? {
            bail!(
                "worse than documented, twice: {}. Renew with --short --write only where that is meant",
                line.name
            );
        }
    }
    println!("no row is worse than documented by more than its noise");
    Ok(())
}

fn document() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT)
}

fn write(parts: &[(&str, String)]) -> anyhow::Result<()> {
    let mut text = std::fs::read_to_string(document())?;
    for (marker, part) in parts {
        text = report::replaced(&text, marker, part)
            .with_context(|| format!("{DOCUMENT} has no markers of {marker}"))?;
    }
    std::fs::write(document(), text)?;
    println!("renewed {DOCUMENT}");
    Ok(())
}

/// Describes the machine, and the median share of its CPU time that other processes used.
fn machine(lines: &[Line]) -> String {
    let told = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = told("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown CPU", |(_, model)| model);
    let cores = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let kernel = told("/proc/sys/kernel/osrelease");
    let rustc = std::process::Command::new("rustc")
        .arg("--version")
        .output();
    let rustc = rustc.map_or_else(
        |_| "unknown rustc".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    let busy = Spread::of(lines.iter().map(|line| line.busy_share));
    let busy = busy.map_or(0.0, |spread| spread.median);
    if busy > BUSY_SHARE {
        eprintln!("warning: this machine is busy with other things; repeat when it is not");
    }
    format!(
        "{model}, {cores} cores, Linux {}, {rustc}; other processes took {:.0} % of it.",
        kernel.trim(),
        busy * 100.0
    )
}
