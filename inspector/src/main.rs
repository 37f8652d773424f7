//! `nexus-inspect`: attach to a running nexus runtime.

fn main() {}
