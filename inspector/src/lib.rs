//! The model, analysis and terminal program behind `nexus-inspect`.

#![forbid(unsafe_code)]

pub mod analysis;
#[cfg(feature = "tui")]
pub mod app;
pub mod cli;
pub mod command;
pub mod demo;
#[cfg(feature = "tui")]
pub mod event;
pub mod failure;
#[cfg(feature = "tui")]
pub mod keymap;
pub mod model;
pub mod options;
pub mod source;
pub mod target;
#[cfg(feature = "tui")]
pub mod terminal;
pub mod text;
#[cfg(feature = "tui")]
pub mod tui;
#[cfg(feature = "tui")]
pub mod ui;
