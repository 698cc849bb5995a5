//! Every row of the targets as a ratio to a floor: `cargo bench --bench ratios`. `docs/benchmarks.md` holds the
//! figures.
//!
//! Starts the floor and triway in turn on one core, and loads them from another: by `triway bench`, or by plain HTTP
//! clients. With `--before`, another build also has its turn, and this build must not be worse.

#![allow(missing_docs, reason = "a program")]

mod floor;
mod nchan;
mod ratio;
mod report;
mod rows;
mod run;
mod users;

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
/// The same if two builds are compared. By chance alone, each round of one build costs more than each round of the
/// other in one of 252 comparisons.
const GUARD_ROUNDS: u32 = 5;
/// How long one run is measured: thousands of events, and all rows in ten minutes.
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
    /// How often each workload runs on each side [default: 3, with --before 5]
    #[arg(long)]
    rounds: Option<u32>,
    /// Seconds that one run is measured [default: 2, with --short 1]
    #[arg(long)]
    seconds: Option<f64>,
    /// Few rows with few readers; with --before they fail where this build is worse than the one before
    #[arg(long)]
    short: bool,
    /// Replace the tables in docs/benchmarks.md
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    programs: Programs,
    /// `cargo bench` says so; without it nothing is measured, as when tests run all targets
    #[arg(long, hide = true)]
    bench: bool,
    /// Serve as a floor instead
    #[arg(long, hide = true, value_name = "FLOOR")]
    serve_as: Option<String>,
}

impl Options {
    fn length(&self, usual: f64) -> f64 {
        self.seconds.unwrap_or(usual)
    }

    fn rounds(&self) -> u32 {
        let usual = match self.programs.before {
            Some(_) => GUARD_ROUNDS,
            None => ROUNDS,
        };
        self.rounds.unwrap_or(usual)
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
    if options.write && (!options.row.is_empty() || options.short) {
        bail!("--write is for the whole table, not for --row or --short");
    }
    let began = Instant::now();
    let rows = if options.short {
        rows::short(options.length(SHORT_SECONDS))
    } else {
        rows::all(options.length(SECONDS))
    };
    let rows = chosen(rows, options)?;
    let lines = measure(rows.clone(), options, place).await;
    let machine = machine(&lines);
    println!("{machine}\n\n{}", report::table(&lines));
    if options.write {
        write(&[("machine", machine), ("targets", report::table(&lines))])?;
    }
    if options.programs.before.is_some() {
        println!("\n{}", report::guard_table(&lines));
        guard(&lines, rows, options, place).await?;
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

/// The results of one round: of the floor, of triway, and of the build before.
type Round = [Option<serde_json::Value>; 3];

/// Measures the rows. Rows of the same workload share its runs.
async fn measure(rows: Vec<Row>, options: &Options, place: &Place) -> Vec<Line> {
    let mut ran: Vec<(Workload, Vec<Round>)> = Vec::new();
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        let known = ran
            .iter()
            .position(|(workload, _)| *workload == row.workload);
        let index = match known {
            Some(index) => index,
            None => {
                eprintln!("{} …", row.name);
                let rounds = rounds_of(&row.workload, options, place).await;
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

/// Runs all sides in turn, so that other load on the machine affects each of them.
async fn rounds_of(workload: &Workload, options: &Options, place: &Place) -> Vec<Round> {
    let mut sides = vec![Side::Floor(workload.floor), Side::Triway];
    if options.programs.before.is_some() {
        sides.push(Side::Before);
    }
    let mut all = Vec::new();
    for _ in 0..options.rounds() {
        let mut round = Round::default();
        for (slot, side) in round.iter_mut().zip(&sides) {
            match once(*side, workload, place).await {
                Ok(result) => *slot = Some(result),
                Err(error) => eprintln!("warning: {side:?}: {error:#}"),
            }
        }
        all.push(round);
    }
    all
}

fn line(row: &Row, rounds: &[Round]) -> Line {
    let figures = |side: usize| -> Vec<Option<f64>> {
        let results = rounds.iter().map(|round| round[side].as_ref());
        results.map(|result| row.figure.of(result?)).collect()
    };
    let (floors, ours, before) = (figures(0), figures(1), figures(2));
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
        before: Spread::of(before.iter().copied().flatten()),
        ratio: Spread::of_ratios(&ours, &floors),
        others: row.others,
        busy_share: results.filter_map(busy).reduce(f64::max),
    }
}

/// Fails if a row got worse. Such a row is first measured once more, because the machine may have been busy.
async fn guard(
    lines: &[Line],
    mut rows: Vec<Row>,
    options: &Options,
    place: &Place,
) -> anyhow::Result<()> {
    let mut suspects = Vec::new();
    for line in lines {
        if is_worse(line)? {
            suspects.push(&line.name);
        }
    }
    rows.retain(|row| suspects.contains(&&row.name));
    for line in measure(rows, options, place).await {
        if is_worse(&line)? {
            bail!(
                "worse than the build before, twice\n{}",
                report::guard_table(&[line])
            );
        }
    }
    println!("\nno row is worse than before by more than this run's noise");
    Ok(())
}

fn is_worse(line: &Line) -> anyhow::Result<bool> {
    let (now, before) = line
        .ours
        .zip(line.before)
        .with_context(|| format!("a row could not be measured: {}", line.name))?;
    Ok(ratio::is_worse(now, before))
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
    let busy = Spread::of(lines.iter().filter_map(|line| line.busy_share));
    let busy = busy.map(|spread| spread.median);
    if busy.is_some_and(|busy| busy > BUSY_SHARE) {
        eprintln!("warning: this machine is busy with other things; repeat when it is not");
    }
    let others = busy.map_or_else(String::new, |busy| {
        format!("; other processes took {:.0} % of it", busy * 100.0)
    });
    format!(
        "{model}, {cores} cores, Linux {}, {rustc}{others}.",
        kernel.trim()
    )
}
