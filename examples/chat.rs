//! A chat server: `cargo run --release --example chat -- 127.0.0.1:7007`, then `nc 127.0.0.1 7007` from two terminals.
//!
//! The first line a client sends is its name; every further one goes to all others. Each client has two tasks: one reads
//! its lines, one writes what the others say, with a bounded channel in between. A client that reads too slowly is sent
//! away instead of filling the server's memory.

use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::sync::mpsc;
use nexus_runtime::{Builder, spawn};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::process::ExitCode;
use std::rc::Rc;

/// Messages that may wait for one client.
const BACKLOG_MAX: usize = 256;
/// The longest line, in bytes.
const LINE_BYTES_MAX: usize = 4096;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let Some(address) = argument.and_then(|argument| argument.parse().ok()) else {
        eprintln!(
            "usage: chat ADDRESS:PORT, such as 127.0.0.1:7007 (port 0 lets the system choose)"
        );
        return ExitCode::from(2);
    };
    match Builder::new().name("chat").build().and_then(|runtime| runtime.block_on(serve(address))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let room = Rc::new(Room::default());
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => drop(spawn(client(room.clone(), stream, peer))),
            Err(error) => eprintln!("accept: {error}"),
        }
    }
}

/// Who is there. One thread, so plain cells do: no task is interrupted between two awaits.
#[derive(Default)]
struct Room {
    members: RefCell<BTreeMap<SocketAddr, Member>>,
}

struct Member {
    name: String,
    stream: Rc<TcpStream>,
    messages: mpsc::Sender<Rc<str>>,
}

impl Room {
    fn enter(&self, address: SocketAddr, member: Member) {
        self.say(address, &format!("* {} is here", member.name));
        let mut members = self.members.borrow_mut();
        let mut others: Vec<_> = members.values().map(|member| &*member.name).collect();
        if others.is_empty() {
            others.push("nobody");
        }
        let greeting = format!("* with you here: {}\n", others.join(", "));
        // It is the first message of an empty channel.
        let _ = member.messages.try_send(greeting.into());
        members.insert(address, member);
    }

    /// Says something to everyone but `from`.
    fn say(&self, from: SocketAddr, message: &str) {
        let message: Rc<str> = format!("{message}\n").into();
        self.members.borrow_mut().retain(|&address, member| {
            let keeps_up = address == from || member.messages.try_send(message.clone()).is_ok();
            if !keeps_up {
                // Ends what both of its tasks are waiting for.
                let _ = member.stream.shutdown(Shutdown::Both);
            }
            keeps_up
        });
    }
}

async fn client(room: Rc<Room>, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    // Both tasks use the one stream: all of its operations take `&self`.
    let stream = Rc::new(stream);
    let mut lines = Lines::new(&stream);
    let Some(name) = lines.next().await? else { return Ok(()) };
    let (messages, receiver) = mpsc::channel(BACKLOG_MAX);
    drop(spawn(write(receiver, stream.clone())));
    room.enter(peer, Member { name: name.clone(), stream: stream.clone(), messages });
    let ended = chat(&room, &mut lines, peer, &name).await;
    room.members.borrow_mut().remove(&peer);
    room.say(peer, &format!("* {name} has left"));
    ended
}

async fn chat(room: &Room, lines: &mut Lines<'_>, peer: SocketAddr, name: &str) -> io::Result<()> {
    while let Some(line) = lines.next().await? {
        room.say(peer, &format!("{name}: {line}"));
    }
    Ok(())
}

/// Writes what the others say, until the room lets go of the channel's other end.
async fn write(mut messages: mpsc::Receiver<Rc<str>>, stream: Rc<TcpStream>) -> io::Result<()> {
    while let Some(message) = messages.recv().await {
        stream.write_all(message.as_bytes()).await?;
    }
    Ok(())
}

/// The lines of a connection, without their ends. Bytes that are not UTF-8 are replaced.
struct Lines<'a> {
    stream: &'a TcpStream,
    /// What has been read and not returned.
    buffer: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn new(stream: &'a TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    async fn next(&mut self) -> io::Result<Option<String>> {
        let mut searched = 0;
        loop {
            if let Some(found) = self.buffer[searched..].iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=searched + found).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            searched = self.buffer.len();
            if searched > LINE_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long"));
            }
            let mut chunk = [0; 1024];
            match self.stream.read(&mut chunk).await? {
                0 => return Ok(None),
                bytes => self.buffer.extend_from_slice(&chunk[..bytes]),
            }
        }
    }
}
