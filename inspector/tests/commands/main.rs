//! The command line from outside: the real binary against processes that are made up, so that each can misbehave in
//! its own way.

mod fake;
mod inspector;

mod closed_pipe;
mod diagnose;
mod errors;
mod export;
mod list;
mod record;
mod remains;
mod snapshot;
mod started_program;
mod unrecorded;
