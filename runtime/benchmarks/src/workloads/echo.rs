//! Echo servers, and the clients that drive them.
//!
//! The server is the contestant, on the process's first thread; the client is a thread without any runtime. Messages
//! have 64 bytes; servers read into 1,024, so that a read tells that there is no more. All compare what comes back.

use crate::contestant::{Absent, Contestant, Figure, Outcome};
use crate::host;
use mio::{Events, Interest, Poll, Token};
use rustix::thread::Pid;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// What a message has.
pub(crate) const MESSAGE_BYTES: usize = 64;
/// What a server reads at most.
pub(crate) const BUFFER_BYTES: usize = 1_024;

/// Where servers listen: the kernel chooses the port.
pub(crate) const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

type Message = [u8; MESSAGE_BYTES];

fn message(number: u32) -> Message {
    let mut message = [0x5a; MESSAGE_BYTES];
    message[..4].copy_from_slice(&number.to_le_bytes());
    message
}

/// Runs a server against a client on this processor.
pub(crate) fn against<C: Contestant, T: Send + 'static>(
    cpu: usize,
    connections: u32,
    client: impl FnOnce(SocketAddr) -> io::Result<T> + Send + 'static,
) -> Result<T, Absent> {
    let (listening, address) = channel();
    let client = thread::Builder::new().name("client".to_owned()).spawn(move || {
        host::pin(cpu);
        // Without an address there is no server, and the reason is known on its thread.
        address.recv().ok().map(client)
    });
    let client = client.expect("a thread can be started");
    C::serve(listening, connections)?;
    let result = client.join().expect("the client does not panic");
    let result = result.expect("whoever serves tells where");
    result.map_err(|error| Absent(format!("the client failed: {error}")))
}

/// The median of the times from sending a message to having it back, in microseconds.
pub(crate) fn round_trip<C: Contestant>(client_cpu: usize, messages: u32) -> Outcome {
    let median_ns = against::<C, _>(client_cpu, 1, move |address| {
        let mut stream = connect(address)?;
        exchange(&mut stream, messages / 10)?;
        let mut took = exchange(&mut stream, messages)?;
        took.sort_by(f64::total_cmp);
        Ok(took[took.len() / 2])
    })?;
    Ok((median_ns / 1e3).into())
}

/// Connects, and sends nothing yet.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

/// Sends one message after the other. How long each took, in nanoseconds.
pub(crate) fn exchange(stream: &mut TcpStream, messages: u32) -> io::Result<Vec<f64>> {
    let mut took = Vec::with_capacity(messages as usize);
    for number in 0..messages {
        let sent = message(number);
        let mut received = [0; MESSAGE_BYTES];
        let start = Instant::now();
        stream.write_all(&sent)?;
        stream.read_exact(&mut received)?;
        took.push(start.elapsed().as_nanos() as f64);
        compare(&sent, &received)?;
    }
    Ok(took)
}

fn compare(sent: &Message, received: &Message) -> io::Result<()> {
    if sent == received {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "what came back is not what was sent"))
}

/// Whose processor time is that of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    /// That of all threads of the process, but for the client's.
    Process,
    /// That of the thread that serves.
    Thread,
}

/// The processor time that the server uses for one message, in microseconds, if each of many connections sends its next
/// message when it has the last one back.
pub(crate) fn load<C: Contestant>(
    client_cpu: usize,
    connections: u32,
    messages: u32,
    counted: Counted,
) -> Outcome {
    let server = host::thread_id();
    let per_message_ns = against::<C, _>(client_cpu, connections, move |address| {
        let mut load = Load::new(address, connections)?;
        load.run(messages / 10)?;
        let before = server_cpu_ns(server, counted)?;
        load.run(messages)?;
        Ok((server_cpu_ns(server, counted)? - before) / f64::from(messages))
    })?;
    Ok(Figure { value: per_message_ns / 1e3, note: String::new() })
}

fn server_cpu_ns(server: Pid, counted: Counted) -> io::Result<f64> {
    // A thread's time is exact when it sleeps; all messages are answered, so the server soon will.
    thread::sleep(Duration::from_millis(2));
    match counted {
        Counted::Process => host::cpu_of_all_but_ns(host::thread_id()),
        Counted::Thread => host::cpu_of_ns(server),
    }
}

/// A client with many connections.
struct Load {
    poll: Poll,
    connections: Vec<Connection>,
}

struct Connection {
    stream: mio::net::TcpStream,
    sent: Message,
    received: Message,
    received_bytes: usize,
}

impl Load {
    fn new(address: SocketAddr, connections: u32) -> io::Result<Self> {
        let poll = Poll::new()?;
        let connections = (0..connections).map(|number| {
            let stream = connect(address)?;
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(number as usize), Interest::READABLE)?;
            Ok(Connection {
                stream,
                sent: message(0),
                received: [0; MESSAGE_BYTES],
                received_bytes: 0,
            })
        });
        let connections = connections.collect::<io::Result<_>>()?;
        Ok(Self { poll, connections })
    }

    /// Sends this many messages in all and takes their echoes.
    fn run(&mut self, messages: u32) -> io::Result<()> {
        let (mut sent, mut answered) = (0, 0);
        for connection in self.connections.iter_mut().take(messages as usize) {
            connection.send(sent)?;
            sent += 1;
        }
        let mut events = Events::with_capacity(self.connections.len());
        while answered < messages {
            self.poll.poll(&mut events, Some(Duration::from_secs(10)))?;
            if events.is_empty() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            for event in &events {
                let connection = &mut self.connections[event.token().0];
                if !connection.receive()? {
                    continue;
                }
                answered += 1;
                if sent < messages {
                    connection.send(sent)?;
                    sent += 1;
                }
            }
        }
        Ok(())
    }
}

impl Connection {
    fn send(&mut self, number: u32) -> io::Result<()> {
        self.sent = message(number);
        self.received_bytes = 0;
        // One message is on its way at most, so there is always room.
        self.stream.write_all(&self.sent)
    }

    /// Whether the echo is complete.
    fn receive(&mut self) -> io::Result<bool> {
        // A read that fills what is expected leaves nothing behind, since nothing else is on its way.
        while self.received_bytes < MESSAGE_BYTES {
            match self.stream.read(&mut self.received[self.received_bytes..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => self.received_bytes += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        compare(&self.sent, &self.received)?;
        Ok(true)
    }
}

/// [`Contestant::serve`] for runtimes whose streams read into a borrowed buffer. `bind` is to yield a listener and its
/// address, `accept` a stream with `TCP_NODELAY`; the streams' `read` and `write_all` have to be in scope.
macro_rules! echo_server {
    (
        run: $run:expr, spawn: $spawn:expr, value: $value:expr, bind: $bind:expr, accept: $accept:expr $(,)?
    ) => {
        fn serve(
            listening: std::sync::mpsc::Sender<std::net::SocketAddr>,
            connections: u32,
        ) -> Result<(), $crate::contestant::Absent> {
            use $crate::workloads::echo::{ANY_PORT, BUFFER_BYTES};
            $run(async move {
                let (mut listener, address) = $bind(ANY_PORT).await.expect("an address is free");
                listening.send(address).expect("the client waits for it");
                let mut serving = Vec::new();
                for _ in 0..connections {
                    #[allow(unused_mut, reason = "some read through a shared reference")]
                    let mut stream = $accept(&mut listener).await.expect("the client connects");
                    serving.push($spawn(async move {
                        let mut buffer = [0; BUFFER_BYTES];
                        loop {
                            let bytes = stream.read(&mut buffer).await.expect("the stream is open");
                            if bytes == 0 {
                                return;
                            }
                            stream.write_all(&buffer[..bytes]).await.expect("the stream is open");
                        }
                    }));
                }
                for task in serving {
                    $value(task.await);
                }
            })
        }
    };
}
pub(crate) use echo_server;
