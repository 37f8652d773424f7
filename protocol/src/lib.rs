//! What a nexus runtime records, and how it travels.
//!
//! This crate is the one place that says what an event is. The runtime packs [`event::Event`]s into its ring with
//! [`record`], the endpoint puts them on a socket ([`encode`], [`session::Server`]), the inspector reads them back
//! ([`decode`], [`session::Client`]), and traces hold them ([`trace`]): all with the types below. SPEC.md states every byte.
//!
//! It knows no clock, no thread and no I/O beyond `Read` and `Write`, and has no unsafe code.

#![forbid(unsafe_code)]

pub mod board;
pub mod clock;
mod context;
pub mod decode;
pub mod encode;
pub mod event;
pub mod fragment;
pub mod frame;
pub mod ids;
pub mod limits;
pub mod readiness;
pub mod record;
pub mod session;
pub mod strings;
pub mod trace;
mod varint;

pub use event::{Event, Record};
pub use ids::{PrimitiveId, RuntimeId, Seq, SpanId, Stamp, StringId, TaskId, TimerId, TokenId};
pub use readiness::{Direction, Interest, Readiness};
