//! What is said about one row: the ratio of triway's figure to the floor's in each round, and whether it got worse.
//!
//! Pure. Knows neither processes nor documents.

/// Noise that is granted even where the documented rounds agreed better, as a share of the median: what a quiet
/// machine shows between two builds of the same source.
const NOISE_SHARE_MIN: f64 = 0.05;

/// Figures of several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of the rounds that could be measured; none where none could.
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

    /// Of the ratios, round by round, since a round's two runs had the same neighbours.
    pub(crate) fn of_ratios(ours: &[Option<f64>], floor: &[Option<f64>]) -> Option<Self> {
        let both = ours.iter().zip(floor);
        Self::of(both.filter_map(|(ours, floor)| {
            let floor = (*floor)?;
            (floor > 0.0).then_some((*ours)? / floor)
        }))
    }

    /// How far the rounds lay apart, at least what two quiet builds differ by.
    pub(crate) fn noise(&self) -> f64 {
        (self.max - self.min).max(self.median * NOISE_SHARE_MIN)
    }
}

/// Whether `now` is worse than what is documented by more than the noise documented there.
pub(crate) fn is_worse(now: f64, documented: f64, noise: f64) -> bool {
    now > documented + noise
}
