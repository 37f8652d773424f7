//! Floors for what waits in the kernel: a hand-written loop on mio, mio's own timeout, and a timerfd in mio's epoll.

use crate::contestant::{Absent, Contestant};
use crate::host::now_ns;
use crate::workloads::echo::{ANY_PORT, BUFFER_BYTES};
use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::mpsc::Sender;
use std::task::Waker;
use std::time::Duration;

const LISTENER: Token = Token(usize::MAX);

/// A loop without tasks.
pub(crate) struct Mio;

impl Contestant for Mio {
    type Poker = Waker;

    fn sleeps(duration: Duration, times: u32) -> Result<Vec<f64>, Absent> {
        let mut poll = Poll::new().expect("the kernel grants the descriptors");
        let mut events = Events::with_capacity(16);
        let took = (0..times).map(|_| {
            let start = now_ns();
            poll.poll(&mut events, Some(duration)).expect("no signal comes");
            now_ns() - start
        });
        Ok(took.collect())
    }

    fn serve(listening: Sender<SocketAddr>, connections: u32) -> Result<(), Absent> {
        let mut poll = Poll::new().expect("the kernel grants the descriptors");
        let mut listener = TcpListener::bind(ANY_PORT).expect("an address is free");
        let registry = poll.registry();
        registry
            .register(&mut listener, LISTENER, Interest::READABLE)
            .expect("epoll takes sockets");
        listening
            .send(listener.local_addr().expect("it has one"))
            .expect("the client waits for it");

        let mut streams: Vec<TcpStream> = Vec::new();
        let mut open = connections;
        let mut events = Events::with_capacity(1_024);
        while open > 0 {
            poll.poll(&mut events, None).expect("no signal comes");
            for event in &events {
                if event.token() == LISTENER {
                    accept_all(&poll, &listener, &mut streams);
                } else if !echo(&mut streams[event.token().0], event.is_read_closed()) {
                    open -= 1;
                }
            }
        }
        Ok(())
    }
}

fn accept_all(poll: &Poll, listener: &TcpListener, streams: &mut Vec<TcpStream>) {
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => {
                stream.set_nodelay(true).expect("a stream has that option");
                let token = Token(streams.len());
                let registered = poll.registry().register(&mut stream, token, Interest::READABLE);
                registered.expect("epoll takes sockets");
                streams.push(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("the client connects: {error}"),
        }
    }
}

/// Sends back what has come. Whether the stream is still open. An event can tell of data and of the end together; then a
/// short read does not mean that there is no more to read.
fn echo(stream: &mut TcpStream, closed: bool) -> bool {
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        let bytes = match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(error) => panic!("the stream is open: {error}"),
        };
        // One message a connection is on its way at most, so there is always room.
        stream.write_all(&buffer[..bytes]).expect("there is room");
        if bytes < buffer.len() && !closed {
            return true;
        }
    }
}

/// A timerfd in mio's epoll.
pub(crate) struct Timerfd;

impl Contestant for Timerfd {
    type Poker = Waker;

    fn sleeps(duration: Duration, times: u32) -> Result<Vec<f64>, Absent> {
        let mut poll = Poll::new().expect("the kernel grants the descriptors");
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).expect("one more descriptor");
        let mut source = SourceFd(&timer.as_raw_fd());
        poll.registry()
            .register(&mut source, Token(0), Interest::READABLE)
            .expect("epoll takes timers");
        let mut events = Events::with_capacity(16);
        let value = Timespec {
            tv_sec: duration.as_secs() as i64,
            tv_nsec: i64::from(duration.subsec_nanos()),
        };
        let setting =
            Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        let took = (0..times).map(|_| {
            let start = now_ns();
            timerfd_settime(&timer, TimerfdTimerFlags::empty(), &setting).expect("a valid time");
            poll.poll(&mut events, None).expect("no signal comes");
            now_ns() - start
        });
        Ok(took.collect())
    }
}
