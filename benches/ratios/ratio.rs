//! The result for one row: the ratio of triway's figure to the floor's in each round, and whether it got worse.
//!
//! This module is pure. It knows neither processes nor documents.

/// Smallest noise, as a share of the median, even if the documented rounds were closer together: a quiet machine shows
/// this difference between two builds of the same source.
const NOISE_SHARE_MIN: f64 = 0.05;

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

    /// Returns the distance between the extreme rounds, and at least the difference between two quiet builds.
    pub(crate) fn noise(&self) -> f64 {
        (self.max - self.min).max(self.median * NOISE_SHARE_MIN)
    }
}

/// Returns true if `now` exceeds the documented value by more than the documented noise.
pub(crate) fn is_worse(now: f64, documented: f64, noise: f64) -> bool {
    now > documented + noise
}
