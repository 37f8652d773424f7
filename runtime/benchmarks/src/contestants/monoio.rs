//! monoio, on epoll (its legacy driver) and on io_uring, with its default features.

use crate::contestant::{Absent, Contestant};
use crate::workloads::echo::{ANY_PORT, BUFFER_BYTES};
use crate::workloads::tasks::task_workloads;
use crate::workloads::timers::timer_workloads;
use crate::workloads::woken::Signal;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpListener;
use monoio::time::sleep;
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder, spawn};
use std::convert::identity;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::task::Waker;

/// monoio on this driver.
pub(crate) struct Monoio<D>(PhantomData<D>);

/// One of its drivers. A runtime has timers only if it is asked for them.
pub(crate) trait Driver: 'static {
    /// Builds a runtime and runs a future in it.
    fn run<F: Future>(future: F) -> Result<F::Output, Absent>;
    /// The same, with timers.
    fn run_with_timers<F: Future>(future: F) -> Result<F::Output, Absent>;
}

impl Driver for LegacyDriver {
    fn run<F: Future>(future: F) -> Result<F::Output, Absent> {
        let runtime = RuntimeBuilder::<LegacyDriver>::new().build();
        Ok(runtime.expect("the kernel grants the descriptors").block_on(future))
    }

    fn run_with_timers<F: Future>(future: F) -> Result<F::Output, Absent> {
        let runtime = RuntimeBuilder::<LegacyDriver>::new().enable_timer().build();
        Ok(runtime.expect("the kernel grants the descriptors").block_on(future))
    }
}

fn no_ring(error: std::io::Error) -> Absent {
    Absent(format!("io_uring: {error}"))
}

impl Driver for IoUringDriver {
    fn run<F: Future>(future: F) -> Result<F::Output, Absent> {
        let runtime = RuntimeBuilder::<IoUringDriver>::new().build();
        Ok(runtime.map_err(no_ring)?.block_on(future))
    }

    fn run_with_timers<F: Future>(future: F) -> Result<F::Output, Absent> {
        let runtime = RuntimeBuilder::<IoUringDriver>::new().enable_timer().build();
        Ok(runtime.map_err(no_ring)?.block_on(future))
    }
}

impl<D: Driver> Contestant for Monoio<D> {
    type Poker = Waker;

    task_workloads! { run: D::run, spawn: spawn, value: identity }
    timer_workloads! { run: D::run_with_timers, spawn: spawn, value: identity, sleep: sleep }

    fn serve(listening: Sender<SocketAddr>, connections: u32) -> Result<(), Absent> {
        D::run(async move {
            let listener = TcpListener::bind(ANY_PORT).expect("an address is free");
            let address = listener.local_addr().expect("it has one");
            listening.send(address).expect("the client waits for it");
            let mut serving = Vec::new();
            for _ in 0..connections {
                let (mut stream, _) = listener.accept().await.expect("the client connects");
                stream.set_nodelay(true).expect("a stream has that option");
                serving.push(spawn(async move {
                    // The buffer goes to the kernel with each operation, and comes back with its result.
                    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
                    loop {
                        let (read, filled) = stream.read(buffer).await;
                        if read.expect("the stream is open") == 0 {
                            return;
                        }
                        let (written, sent) = stream.write_all(filled).await;
                        written.expect("the stream is open");
                        buffer = sent;
                        buffer.clear();
                    }
                }));
            }
            for task in serving {
                task.await;
            }
        })
    }

    fn woken(_: u32, _: bool, _: Arc<Signal>, _: Sender<Waker>) -> Result<(), Absent> {
        Err("its wakers panic on other threads, unless its feature `sync` is on".into())
    }
}
