//! What must hold for any bytes at all: one function for each fuzz target.
//!
//! They panic where it does not hold. The targets in `fuzz_targets/` let libFuzzer look for such bytes; the test `corpus`
//! of the protocol, which includes this file, calls them with all that was kept of what it found. So nothing here knows
//! the fuzzer.

mod meant;
mod pipe;

use nexus_protocol::decode::{Decode, DecodeError, Decoder, Skipped};
use nexus_protocol::encode;
use nexus_protocol::frame::{ClientFrame, Process, ServerFrame, VERSION};
use nexus_protocol::session::{Client, Received, Server, SessionError};
use nexus_protocol::trace::{self, json, native};
use nexus_protocol::{Stamp, limits};
use pipe::Pipe;

/// What a client may say to a server. The session takes it or ends with a reason, which it tells the client if that is
/// still there; whatever it understood can be said again.
pub fn server_decoder(bytes: &[u8]) {
    let heard = Heard::<ClientFrame>::whole(bytes);
    assert_eq!(Heard::<ClientFrame>::whole(&client_bytes(&heard.frames)).frames, heard.frames);

    let mut server = Server::new(Pipe::new(bytes, usize::MAX));
    let (frames, error) = served(&mut server);
    assert!(heard.frames.starts_with(&frames), "a session takes what its decoder understands");
    let hello = matches!(frames.first(), None | Some(ClientFrame::Hello { .. }));
    assert!(hello, "a session begins with a hello");
    assert!(!server.is_open());
    assert!(matches!(server.receive(), Err(SessionError::Closed)), "what is over stays over");
    assert!(server.flush().unwrap());
    let answer = Heard::<ServerFrame>::whole(server.stream().output());
    match (error, &answer.frames[..]) {
        (SessionError::Closed, []) => assert_eq!(heard.error, None),
        (SessionError::Closed | SessionError::Io { .. }, other) => panic!("said {other:?}"),
        (_, [ServerFrame::Goodbye(_)]) => {}
        (error, other) => panic!("said {other:?} because of {error}"),
    }
}

/// What a server may say to a client. The session takes it or ends with a reason; whatever it understood can be said
/// again, and be recorded to a trace that can be read. A file with the same bytes is a trace, or is refused.
pub fn client_decoder(bytes: &[u8]) {
    let items: Vec<_> = trace::Reader::new(bytes).collect();
    assert!(items.iter().rev().skip(1).all(Result::is_ok), "an error ends a trace");
    let heard = Heard::<ServerFrame>::whole(bytes);
    assert_eq!(Heard::<ServerFrame>::whole(&server_bytes(&heard.frames)).frames, heard.frames);
    recorded(&heard.frames);

    let Ok(mut client) = Client::new(Pipe::new(bytes, usize::MAX)) else { return };
    let mut frames = vec![client.hello_frame()];
    let end = loop {
        match client.next() {
            Ok(Received::Frame(frame)) => frames.push(frame),
            Ok(Received::Idle) => {}
            end => break end,
        }
    };
    match (end, heard.error) {
        (Ok(Received::Closed), None) => {}
        (Err(SessionError::Decode(said)), Some(error)) => assert_eq!(said, error),
        other => panic!("{other:?}"),
    }
    assert_eq!((frames, client.skipped()), (heard.frames, heard.skipped));
}

/// What is said arrives as it was meant. The bytes choose what is said: frames of both sides with everything that can
/// be in them, records and rows from the words of a ring and a board, torn ones too.
pub fn round_trip(bytes: &[u8]) {
    let (server, client) = meant::conversation(bytes);
    let arrived = Heard::<ServerFrame>::whole(&server_bytes(&server));
    assert_eq!((arrived.frames, arrived.error, arrived.pending), (server, None, 0));
    let arrived = Heard::<ClientFrame>::whole(&client_bytes(&client));
    assert_eq!((arrived.frames, arrived.error, arrived.pending), (client, None, 0));
}

/// Bytes of which every prefix is tried; of longer inputs the rest is cut off.
const SPLIT_BYTES: usize = 512;

/// The same bytes in pieces: cut in two at every byte, in pieces of one byte, and through sessions that read them in
/// pieces of every small size.
pub fn split(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(SPLIT_BYTES)];
    split_frames::<ServerFrame>(bytes);
    split_frames::<ClientFrame>(bytes);

    let (whole, _) = served(&mut Server::new(Pipe::new(bytes, usize::MAX)));
    for piece in [1, 2, 3, 5, 7] {
        let (frames, _) = served(&mut Server::new(Pipe::new(bytes, piece)));
        assert_eq!(frames, whole, "in pieces of {piece}");
    }
}

/// A document that claims to be a trace. It is read up to its first error, if there is one, and what was read is a
/// trace again.
pub fn json_reader(bytes: &[u8]) {
    let mut reader = json::Reader::new(bytes);
    let mut items: Vec<_> = reader.by_ref().collect();
    let error = items.pop_if(|item| item.is_err());
    let frames: Vec<_> = items.into_iter().map(|item| item.expect("an error is last")).collect();
    let Some((hello, later)) = frames.split_first() else {
        assert!(error.is_some() || reader.truncated(), "a trace has a hello");
        return;
    };
    stays_the_same(hello, later);
}

/// Writes what a server has said to a trace, as a recording does it.
fn recorded(frames: &[ServerFrame]) {
    let process = Process {
        pid: 1,
        start_time: 1,
        program: String::new(),
        command_line: String::new(),
        started: Stamp::NEVER,
        wall_offset_ns: 0,
        clock: String::new(),
    };
    let hello = ServerFrame::Hello { version: VERSION, process, runtimes: Vec::new() };
    let later = frames.iter().filter(|frame| !matches!(frame, ServerFrame::Hello { .. }));
    stays_the_same(&hello, later.clone());

    let mut document = Vec::new();
    let mut writer = native::Writer::new(&mut document);
    let frames: Vec<_> = [&hello].into_iter().chain(later).collect();
    frames.iter().for_each(|frame| writer.frame(frame).unwrap());
    let summary = writer.finish().unwrap();
    let mut reader = native::Reader::new(&document[..]);
    let read: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
    assert!(read.iter().eq(frames) && !reader.truncated());
    assert_eq!(reader.summary(), Some(&summary));
}

/// A trace of these frames can be read, and what was read makes the same trace.
fn stays_the_same<'a>(hello: &'a ServerFrame, later: impl IntoIterator<Item = &'a ServerFrame>) {
    let document = document([hello].into_iter().chain(later));
    let mut reader = json::Reader::new(&document[..]);
    let frames: Result<Vec<_>, _> = reader.by_ref().collect();
    let frames = frames.unwrap_or_else(|error| panic!("{error}: {}", text(&document)));
    assert!(!reader.truncated());
    let again = self::document(&frames);
    assert_eq!(text(&again), text(&document));
}

fn document<'a>(frames: impl IntoIterator<Item = &'a ServerFrame>) -> Vec<u8> {
    let mut document = Vec::new();
    let mut writer = json::Writer::new(&mut document);
    frames.into_iter().for_each(|frame| writer.frame(frame).unwrap());
    writer.finish().unwrap();
    document
}

fn text(document: &[u8]) -> &str {
    std::str::from_utf8(document).expect("a trace is UTF-8")
}

/// What a decoder made of some bytes.
#[derive(Debug, PartialEq)]
struct Heard<F> {
    frames: Vec<F>,
    error: Option<DecodeError>,
    skipped: Skipped,
    position: u64,
    pending: usize,
}

impl<F: Decode> Heard<F> {
    fn whole(bytes: &[u8]) -> Self {
        Self::pieces([bytes])
    }

    fn pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut decoder = Decoder::<F>::new();
        let (mut frames, mut error) = (Vec::new(), None);
        for piece in pieces {
            decoder.feed(piece);
            loop {
                match decoder.next() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(found) => {
                        assert!(error.is_none_or(|before| before == found), "errors stay");
                        error = Some(found);
                        break;
                    }
                }
            }
            assert!(decoder.pending_bytes() <= encode::HEADER_BYTES + limits::MAX_FRAME);
        }
        let skipped = decoder.skipped();
        // What is left of a stream after an error does not matter, nor how much of it was fed.
        let position = if error.is_some() { 0 } else { decoder.position() };
        Self { frames, error, skipped, position, pending: decoder.pending_bytes() }
    }
}

fn split_frames<F: Decode + std::fmt::Debug + PartialEq>(bytes: &[u8]) {
    let whole = Heard::<F>::whole(bytes);
    assert_eq!(Heard::pieces(bytes.chunks(1)), whole, "byte by byte");
    for at in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(Heard::pieces([head, tail]), whole, "cut at byte {at}");
    }
}

/// All that a server's session hears, and how it ends.
fn served(server: &mut Server<Pipe<'_>>) -> (Vec<ClientFrame>, SessionError) {
    let mut frames = Vec::new();
    loop {
        match server.receive() {
            Ok(Some(frame)) => frames.push(frame),
            // A pipe says between two pieces that there is nothing yet.
            Ok(None) => {}
            Err(error) => return (frames, error),
        }
    }
}

fn server_bytes(frames: &[ServerFrame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| encode::server(frame, &mut bytes));
    bytes
}

fn client_bytes(frames: &[ClientFrame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| encode::client(frame, &mut bytes));
    bytes
}
