//! A load client: many connections at once, on our own runtime, and every answer is checked.
//!
//! `load KIND ADDRESS:PORT CONNECTIONS MESSAGES [CERTIFICATE]`, where KIND is `http1`, `http2`, `websocket` or `tls`, for
//! the example of that name. Each connection sends so many messages of many lengths, up to some that fit into no single
//! packet, read or record, and compares what comes back. Exit code 1 if an answer is missing or wrong.

mod http;
mod tls;
mod websocket;

use nexus_runtime::net::TcpStream;
use nexus_runtime::time::timeout;
use nexus_runtime::{Builder, spawn};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// All connections together have to be done by then. Far longer than it ever takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// The wrong connections that are described.
const DESCRIBED_MAX: usize = 5;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What one run of the program does.
struct Plan {
    kind: Kind,
    address: SocketAddr,
    connections: u32,
    messages: u32,
}

enum Kind {
    Http1,
    Http2,
    WebSocket,
    Tls(tls::Connector),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let plan = match Plan::parse(&arguments) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("load: {error}");
            eprintln!(
                "usage: load http1|http2|websocket|tls ADDRESS:PORT CONNECTIONS MESSAGES [CERTIFICATE]"
            );
            return ExitCode::from(2);
        }
    };
    let runtime = Builder::new().name("load").build().expect("a runtime");
    if runtime.block_on(run(Rc::new(plan), &arguments[0])) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Plan {
    fn parse(arguments: &[String]) -> Outcome<Self> {
        let [kind, address, connections, messages, rest @ ..] = arguments else {
            return Err("too few arguments".into());
        };
        let kind = match (kind.as_str(), rest) {
            ("http1", []) => Kind::Http1,
            ("http2", []) => Kind::Http2,
            ("websocket", []) => Kind::WebSocket,
            ("tls", [certificate]) => Kind::Tls(tls::connector(&PathBuf::from(certificate))?),
            _ => return Err("not a kind that there is, with the arguments it takes".into()),
        };
        Ok(Self {
            kind,
            address: address.parse()?,
            connections: connections.parse()?,
            messages: messages.parse()?,
        })
    }

    /// A connection of its own for everything that is tested.
    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Sends all messages over one connection and returns how many were answered rightly.
    async fn talk(&self, connection: u32) -> Outcome<u32> {
        match &self.kind {
            Kind::Http1 => http::version_1(self, connection).await,
            Kind::Http2 => http::version_2(self, connection).await,
            Kind::WebSocket => websocket::talk(self, connection).await,
            Kind::Tls(connector) => tls::talk(self, connector, connection).await,
        }
    }
}

/// Whether all went well.
async fn run(plan: Rc<Plan>, kind: &str) -> bool {
    let start = Instant::now();
    let talks: Vec<_> = (0..plan.connections)
        .map(|connection| {
            let plan = plan.clone();
            // The error is described here: it may be of any type, and only its text is of use.
            spawn(async move { plan.talk(connection).await.map_err(|error| error.to_string()) })
        })
        .collect();
    let mut right = 0;
    let mut wrong = Vec::new();
    for (connection, talk) in talks.into_iter().enumerate() {
        match timeout(PATIENCE.saturating_sub(start.elapsed()), talk).await {
            Ok(Ok(Ok(answers))) => right += u64::from(answers),
            Ok(Ok(Err(error))) => wrong.push(format!("connection {connection}: {error}")),
            Ok(Err(error)) => wrong.push(format!("connection {connection}: {error}")),
            Err(_) => wrong.push(format!("connection {connection}: stuck")),
        }
    }
    let expected = u64::from(plan.connections) * u64::from(plan.messages);
    for error in wrong.iter().take(DESCRIBED_MAX) {
        eprintln!("load: {kind}: {error}");
    }
    println!(
        "{kind}: {right} of {expected} answers right, {} of {} connections failed, {:.1} s",
        wrong.len(),
        plan.connections,
        start.elapsed().as_secs_f64()
    );
    wrong.is_empty() && right == expected
}

/// A message that no other connection or round sends, of one of many lengths.
fn message(connection: u32, round: u32) -> Vec<u8> {
    const LENGTHS: [usize; 8] = [1, 100, 16_385, 10, 1000, 0, 70_000, 4096];
    let length = LENGTHS[(connection.wrapping_add(round) as usize) % LENGTHS.len()];
    let mut state = u64::from(connection) << 32 | u64::from(round) | 1;
    let mut message = Vec::with_capacity(length + 8);
    while message.len() < length {
        // Knuth's multiplier: all that matters is that a mixed-up answer is noticed.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        message.extend_from_slice(&state.to_be_bytes());
    }
    message.truncate(length);
    message
}

/// An error unless the answer is the message.
fn compare(answer: &[u8], message: &[u8], round: u32) -> Outcome<()> {
    if answer == message {
        return Ok(());
    }
    let (sent, received) = (message.len(), answer.len());
    Err(format!("message {round} of {sent} bytes came back wrong, with {received} bytes").into())
}
