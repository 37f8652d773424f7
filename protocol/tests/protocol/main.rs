//! The protocol from outside: what goes in comes out, in whatever pieces it travels, and nonsense is refused.

mod arbitrary;
mod corpus;
mod golden;
mod json;
mod native;
mod sample;
mod schema;
mod session;
mod spec;
mod wire;
mod words;
