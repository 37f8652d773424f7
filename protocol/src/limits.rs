//! Bounds on everything that travels. A peer that exceeds one is told so and dropped.

/// Bytes of one frame's payload.
pub const MAX_FRAME: usize = 1 << 20;

/// Bytes of one string; longer ones are cut at a character boundary by whoever interns them.
pub const MAX_STRING: usize = 1024;

/// Entries of a process's string table. The last one reads `<overflow>` and stands for all that did not fit.
pub const MAX_STRINGS: usize = 1 << 16;

/// Records in one batch of events.
pub const MAX_BATCH: usize = 8192;

/// Rows of either kind in one frame of a snapshot.
pub const MAX_ROWS: usize = 2048;

/// Runtimes in a hello.
pub const MAX_RUNTIMES: usize = 64;
