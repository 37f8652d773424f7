//! Writes what fuzzing begins with into a directory of corpora: the golden conversations, and a real one.
//!
//! `cargo run --bin seeds DIRECTORY [SOCKET]`; the socket is that of an observed process, as `nexus-inspect list` prints it.

use nexus_protocol::encode;
use nexus_protocol::frame::{ClientFrame, KindFilter, Subscribe, VERSION};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

/// How much of a real conversation is kept, and for how long it is listened to.
const REAL_BYTES: usize = 16 * 1024;
const REAL_TIME: Duration = Duration::from_secs(2);

/// No seed is longer: short ones are changed faster.
const SEED_BYTES: usize = 4096;

fn main() -> io::Result<()> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let usage = || io::Error::other("usage: seeds DIRECTORY [SOCKET]");
    let corpora = arguments.next().ok_or_else(usage)?;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");

    let client = hex(&fs::read_to_string(golden.join("client.hex"))?);
    let mut server = hex(&fs::read_to_string(golden.join("server.hex"))?);
    server.extend(hex(&fs::read_to_string(golden.join("goodbyes.hex"))?));
    if let Some(socket) = arguments.next() {
        server.extend(real(&socket)?);
    }
    let trace = fs::read(golden.join("trace.json"))?;

    keep(&corpora.join("server_decoder"), [&client[..]].into_iter().chain(frames(&client)))?;
    keep(&corpora.join("client_decoder"), frames(&server))?;
    keep(&corpora.join("client_decoder"), [&server[..server.len().min(SEED_BYTES)]])?;
    keep(&corpora.join("split"), frames(&client).chain(frames(&server)))?;
    // Every byte is a choice there, so anything that is not all the same will do.
    keep(&corpora.join("round_trip"), server.chunks(512).take(32))?;
    keep(&corpora.join("json_reader"), [&trace[..]])
}

/// Writes each seed under a name that follows from its content, so that none is there twice.
fn keep<'a>(corpus: &Path, seeds: impl IntoIterator<Item = &'a [u8]>) -> io::Result<()> {
    fs::create_dir_all(corpus)?;
    for seed in seeds {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        fs::write(corpus.join(format!("{:016x}", hasher.finish())), seed)?;
    }
    Ok(())
}

/// The bytes of a golden file.
fn hex(text: &str) -> Vec<u8> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let bytes = lines.flat_map(str::split_ascii_whitespace);
    bytes.map(|byte| u8::from_str_radix(byte, 16).expect("golden files are hexadecimal")).collect()
}

/// The whole frames of a conversation, one by one, as far as they are short enough.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
        let (frame, rest) = bytes.split_at_checked(encode::HEADER_BYTES + length)?;
        bytes = rest;
        Some(frame)
    })
    .filter(|frame| frame.len() <= SEED_BYTES)
}

/// What a process says in its first seconds.
fn real(socket: &Path) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(REAL_TIME))?;
    let subscribe = Subscribe { history: false, kinds: KindFilter::ALL, snapshot_every_ms: 500 };
    let mut hello = Vec::new();
    encode::client(&ClientFrame::Hello { version: VERSION }, &mut hello);
    encode::client(&ClientFrame::Subscribe(subscribe), &mut hello);
    stream.write_all(&hello)?;
    let (end, mut bytes, mut buffer) = (Instant::now() + REAL_TIME, Vec::new(), [0; 4096]);
    while Instant::now() < end && bytes.len() < REAL_BYTES {
        match stream.read(&mut buffer)? {
            0 => break,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(bytes)
}
