//! Between tasks, threads and runtimes.

pub(crate) mod probe;
