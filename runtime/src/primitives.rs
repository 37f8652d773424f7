//! Atomics and cells from `std`, or from loom when its models run (`--cfg loom`).
//!
//! Only what is shared between threads takes its primitives from here.

#[cfg(loom)]
pub(crate) use loom::sync::atomic;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic;
