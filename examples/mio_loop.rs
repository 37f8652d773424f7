//! A TCP echo server with an event loop of its own, observed all the same: `cargo run --example mio-loop -- 127.0.0.1:7007`.
//!
//! Take away whatever begins with `observer` or `source`, and a plain mio program is left. With it, `nexus-inspect mio-loop`
//! shows its sockets, their readiness, and what each event of the kernel led to.

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use nexus_runtime::observe::{Observer, Source};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};

const LISTENER: Token = Token(0);

struct Connection {
    stream: TcpStream,
    source: Source,
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).and_then(|argument| argument.parse().ok());
    let address = address.ok_or_else(|| io::Error::other("usage: mio-loop ADDRESS:PORT"))?;
    let observer = Observer::new("mio-loop");
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(128));
    let mut listener = TcpListener::bind(address)?;
    let source = observer.register(poll.registry(), &mut listener, LISTENER, Interest::READABLE)?;
    println!("listening on {}", listener.local_addr()?);
    let (mut connections, mut last) = (HashMap::new(), LISTENER);
    loop {
        observer.turn(&mut poll, &mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                source.handle(|| {
                    while let Ok((mut stream, _)) = source.accept(listener.accept()) {
                        last.0 += 1;
                        let (registry, interest) = (poll.registry(), Interest::READABLE);
                        let source = observer.register(registry, &mut stream, last, interest)?;
                        connections.insert(last, Connection { stream, source });
                    }
                    io::Result::Ok(())
                })?;
            } else if let Some(Connection { stream, source }) = connections.get_mut(&event.token())
                && source.handle(|| echo(stream, source)).is_err()
            {
                connections.remove(&event.token());
            }
        }
    }
}

/// Sends back what there is. An error says that the connection is over. (A server that has to serve clients who don't read
/// would keep what it can't write now, and wait for writable.)
fn echo(stream: &mut TcpStream, source: &Source) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match source.read(stream.read(&mut buffer)) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(bytes) => source.write(stream.write(&buffer[..bytes])).map(drop)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
