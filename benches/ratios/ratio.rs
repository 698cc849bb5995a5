//! The result for one row: the ratio of triway's figure to the floor's in each round, and whether it got worse.
//!
//! Pure. Knows no process.

/// A change that no run can detect, as a share of the median: the difference between two builds of the same source on a
/// quiet machine.
const CHANGE_SHARE_MIN: f64 = 0.05;

/// Minimum, median and maximum over several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Returns the spread of the finite figures, or `None` if there are none.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().filter(|one| one.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[half]
        } else {
            f64::midpoint(sorted[half - 1], sorted[half])
        };
        Some(Self { min, median, max })
    }

    /// Returns the spread of the ratios. Each ratio is from one round, because the two runs of a round share the same
    /// load on the machine.
    pub(crate) fn of_ratios(ours: &[Option<f64>], floor: &[Option<f64>]) -> Option<Self> {
        let both = ours.iter().zip(floor);
        Self::of(both.filter_map(|(ours, floor)| {
            let floor = (*floor)?;
            (floor > 0.0).then_some((*ours)? / floor)
        }))
    }
}

/// Returns whether a figure got worse by more than the noise of this run: the cheapest round now costs more than the
/// most expensive one before, and by more than two builds of the same source differ.
pub(crate) fn is_worse(now: Spread, before: Spread) -> bool {
    now.min > before.max && now.median > before.median * (1.0 + CHANGE_SHARE_MIN)
}
