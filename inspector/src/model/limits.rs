//! How much the model keeps.

/// Bounds on the model's memory, for each runtime. The defaults come to at most about 250 MB for a runtime that
/// fills them all; a quiet one takes what its records take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records kept; older ones are forgotten, and with them the moments before.
    pub records: usize,
    /// Rows of either kind kept in one view. Tokens and tasks beyond are counted in the totals only.
    pub rows: usize,
    /// Ended tasks kept in one view.
    pub finished: usize,
    /// Gaps kept. Older ones are counted only.
    pub losses: usize,
    /// Changes of the freelist's occupancy kept; these reach back further than the records.
    pub occupancy: usize,
    /// Rows kept, all together, to reach any moment quickly.
    pub checkpoint_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            records: 1_000_000,
            rows: 16_384,
            finished: 256,
            losses: 4_096,
            occupancy: 262_144,
            checkpoint_rows: 262_144,
        }
    }
}
