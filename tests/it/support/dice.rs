//! Repeatable randomness: the seed is printed, and `TRIWAY_SEED` repeats a run.

/// A small generator (SplitMix64). Its quality is more than enough for choosing faults.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Creates a generator with a seed from the environment, else from the clock. The seed is printed, so that a
    /// failure can be repeated.
    pub(crate) fn new() -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let seed = std::env::var("TRIWAY_SEED").map_or(now, |seed| seed.parse().unwrap());
        println!("TRIWAY_SEED={seed}");
        Self(seed)
    }

    /// Returns another generator. Its numbers do not change those of this one.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.throw())
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.throw() % end as u64) as usize
    }

    /// Returns one of these values.
    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
