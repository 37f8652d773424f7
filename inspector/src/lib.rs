//! The model, analysis and terminal program behind `nexus-inspect`.

#![forbid(unsafe_code)]

pub mod demo;
pub mod model;
pub mod source;
pub mod text;
