//! Channels, notifications and cancellation tokens: what they promise, what a dropped wait leaves behind, and that they
//! work between threads and runtimes.

mod cancellation;
mod counted;
mod mpsc;
mod notify;
mod oneshot;
mod vocabulary;
