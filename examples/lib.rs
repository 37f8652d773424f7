//! Programs a user copies from, one file each; and, shared by those that commit a sin on purpose, [`sins`].

#![forbid(unsafe_code)]

pub mod sins;
