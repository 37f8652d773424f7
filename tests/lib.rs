//! End-to-end tests: helpers that drive the real programs from outside.
