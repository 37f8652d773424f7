//! What is said arrives as it was meant: see [`nexus_protocol_fuzz::round_trip`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nexus_protocol_fuzz::round_trip(bytes));
