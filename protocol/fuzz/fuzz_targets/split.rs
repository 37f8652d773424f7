//! The same bytes in any pieces: see [`nexus_protocol_fuzz::split`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nexus_protocol_fuzz::split(bytes));
