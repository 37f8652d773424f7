//! Pieces that panes are made of. Each is a pure function of what it is given.

pub mod axis;
pub mod line;
pub mod table;
