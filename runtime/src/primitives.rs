//! Atomics, memory and thread-local values from `std`, or from loom when its models run (`--cfg loom`).
//!
//! Only what is shared between threads takes its primitives from here, and what tells threads apart.

#[cfg(loom)]
pub(crate) use loom::{alloc, sync::atomic};
#[cfg(not(loom))]
pub(crate) use std::{alloc, sync::atomic};

/// Stands beside plain memory that several threads use, one after another. In models loom is told of each use, and
/// complains of those that race; otherwise it is nothing.
#[derive(Default)]
pub(crate) struct Watched(#[cfg(loom)] loom::cell::UnsafeCell<()>);

impl Watched {
    /// The memory is used, exclusively.
    #[inline(always)]
    pub(crate) fn touch(&self) {
        #[cfg(loom)]
        self.0.with_mut(|_| ());
    }
}

/// Declares thread-local values with constants for a start. Loom runs all threads of a model on one of the system's, so
/// that `std`'s would be shared between them.
macro_rules! per_thread {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = const { $first:expr };)*) => {
        #[cfg(loom)]
        loom::thread_local! { $($(#[$attribute])* static $name: $type = $first;)* }
        #[cfg(not(loom))]
        std::thread_local! { $($(#[$attribute])* static $name: $type = const { $first };)* }
    };
}

pub(crate) use per_thread;
