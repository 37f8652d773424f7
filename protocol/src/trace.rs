//! Traces: what a server said, kept in a file.
//!
//! A trace is a sequence of [`ServerFrame`](crate::frame::ServerFrame)s that begins with the hello, whatever the format:
//! replaying one is the same as being attached.

pub mod json;
