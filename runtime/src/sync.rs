//! Between tasks, threads and runtimes: [`mpsc`] and [`oneshot`] channels, [`Notify`], [`CancellationToken`].
//!
//! They have the names, shapes and semantics of tokio's, whose well-tried algorithms work inside, without a runtime of
//! tokio's. All of them may be used from any thread, and by tasks of several runtimes at once, as far as the values that
//! pass through them are `Send`.
//!
//! What these wrappers add is that the recorder knows of them. Each of them is a *primitive* with a number. A task that
//! waits is seen to wait for that primitive; the wake says through which primitive it came, and which task or thread has
//! used it; and what was received or sent counts as progress. So a wake that brings nothing is found out, where a wake
//! through a foreign channel can't be judged.
//!
//! Futures that are dropped while they wait leave nothing behind that could still wake their task.
//!
//! For futures of other crates there is [`counted`], which makes the recorder count their readiness.

mod cancellation;
mod counted;
pub mod mpsc;
mod notify;
pub mod oneshot;
pub(crate) mod probe;
mod wait;

pub use cancellation::{CancellationToken, Cancelled, DropGuard};
pub use counted::{Counted, counted};
pub use notify::{Notified, Notify};

use crate::context;

/// Blocking for something would stop all tasks of this thread, among them whoever it waits for.
#[track_caller]
fn assert_may_block(function: &str) {
    assert!(
        !context::is_entered(),
        "{function} called inside Runtime::block_on: it blocks the thread that all tasks run on"
    );
}
