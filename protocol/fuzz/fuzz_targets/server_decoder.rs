//! What a client may say to a server: see [`nexus_protocol_fuzz::server_decoder`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nexus_protocol_fuzz::server_decoder(bytes));
