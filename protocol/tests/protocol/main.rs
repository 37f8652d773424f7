//! The protocol from outside: what goes in comes out, in whatever pieces it travels, and nonsense is refused.

mod arbitrary;
mod json;
mod session;
mod wire;
mod words;
