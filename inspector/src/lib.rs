//! The model, analysis and terminal program behind `nexus-inspect`.

#![forbid(unsafe_code)]

#[cfg(feature = "tui")]
pub mod app;
pub mod demo;
#[cfg(feature = "tui")]
pub mod event;
#[cfg(feature = "tui")]
pub mod keymap;
pub mod model;
pub mod source;
#[cfg(feature = "tui")]
pub mod terminal;
pub mod text;
#[cfg(feature = "tui")]
pub mod tui;
#[cfg(feature = "tui")]
pub mod ui;
