//! The progress of the bench as one line on a terminal.
//!
//! The load thread draws it when it reads the clock, which is rare. A second thread would take time from the core of
//! the hub or of the load.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::plan::Plan;
use crate::cli::subscribe::Via;

/// Steps of one run on the bar.
const STEPS: u64 = 1_000;
/// Most draws per second.
const DRAWS_HZ: u8 = 5;
/// Layout of the line.
const TEMPLATE: &str = "{bar:24} {prefix} · {wide_msg}";

/// The progress bar. It is hidden if standard error is not a terminal.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    runs: u64,
}

impl Progress {
    pub(super) fn new(plan: &Plan, quiet: bool) -> Self {
        let runs = plan.rounds * plan.transports.len();
        let bar = ProgressBar::new(STEPS * runs as u64);
        let shown = !quiet && std::io::stderr().is_terminal();
        bar.set_draw_target(if shown {
            ProgressDrawTarget::stderr_with_hz(DRAWS_HZ)
        } else {
            ProgressDrawTarget::hidden()
        });
        let style = ProgressStyle::with_template(TEMPLATE);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, runs: 0 }
    }

    /// Begins the next run.
    pub(super) fn begin(&mut self, via: Via, round: usize, rounds: usize) {
        self.bar.set_position(self.runs * STEPS);
        self.bar
            .set_prefix(format!("{} {round}/{rounds}", via.label()));
        self.runs += 1;
    }

    /// Shows the current activity, and its position in the run as a share from 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a few steps"
    )]
    pub(super) fn at(&self, share: f64, what: String) {
        let within = (share.clamp(0.0, 1.0) * STEPS as f64) as u64;
        self.bar
            .set_position(self.runs.saturating_sub(1) * STEPS + within);
        self.bar.set_message(what);
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
