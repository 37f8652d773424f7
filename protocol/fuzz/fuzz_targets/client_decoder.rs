//! What a server may say to a client: see [`nexus_protocol_fuzz::client_decoder`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nexus_protocol_fuzz::client_decoder(bytes));
