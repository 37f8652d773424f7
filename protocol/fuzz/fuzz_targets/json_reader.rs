//! Documents that claim to be traces: see [`nexus_protocol_fuzz::json_reader`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nexus_protocol_fuzz::json_reader(bytes));
