//! The sin `stale-events`: `cargo run --release --example stale-events -- --for 3s`.
//!
//! **What it is.** A source gives its token back without being taken from the kernel: its own `deregister` does nothing. As
//! long as the descriptor is open, the kernel goes on reporting it, for a token that is gone.
//!
//! **Why people do it.** "Closing takes it away anyway", which is true of the last descriptor only, and not before it is
//! closed.
//!
//! **How it shows.** Stale events, and turns of the loop that bring nothing else.
//!
//! **How to repair it.** Deregister a source before its token goes, and close all duplicates of its descriptor.

use mio::event::Source;
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use nexus_examples::sins::{Mill, Plan};
use nexus_runtime::io::{Interest as Wanted, IoHandle, SourceKind};
use nexus_runtime::time::{Duration, sleep};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::panic::Location;
use std::task::Waker;

/// A stream that forgets to tell the kernel.
struct Forgetful(UnixStream);

impl Source for Forgetful {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.0.register(registry, token, interest)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.0.reregister(registry, token, interest)
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        Ok(())
    }
}

impl AsRawFd for Forgetful {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn main() -> io::Result<()> {
    let plan = Plan::from_args("stale-events");
    plan.runtime()?.block_on(async move {
        let (ours, theirs) = UnixStream::pair()?;
        let (source, subject, location) = forget(ours)?;
        let sins = speak(plan, source, theirs).await?;
        plan.confess(subject, location, sins);
        Ok(())
    })
}

/// Registers the stream, and releases its token again.
#[track_caller]
fn forget(stream: UnixStream) -> io::Result<(Forgetful, String, &'static Location<'static>)> {
    let (io, mut source) = (IoHandle::current(), Forgetful(stream));
    let kind = SourceKind::UnixStream;
    let token = io.register_fd(&mut source, kind, Wanted::READABLE, Waker::noop())?;
    io.deregister(token, &mut source)?;
    Ok((source, format!("token {token}"), Location::caller()))
}

/// Writes to the forgotten stream. How often: each is an event of its own, since the loop looks at the kernel in between.
async fn speak(mut plan: Plan, mut source: Forgetful, mut peer: UnixStream) -> io::Result<u64> {
    let (mut mill, mut sins) = (Mill::new(), 0);
    while !plan.is_over() {
        if plan.sins_now() {
            peer.write_all(&[1; 8])?;
            sleep(Duration::from_micros(100)).await;
            source.0.read_exact(&mut [0; 8])?;
            sins += 1;
        }
        mill.turn().await;
    }
    Ok(sins)
}
