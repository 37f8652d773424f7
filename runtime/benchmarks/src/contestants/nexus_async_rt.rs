//! nexus-async-rt, with boxed tasks, which are its default; parked when there is nothing to do, and busy.
//!
//! Its wakers serve its own thread only. What other threads have is a channel, so that is what wakes the tasks here.

use crate::contestant::{Absent, Contestant};
use crate::workloads::echo::echo_server;
use crate::workloads::tasks::{task_workloads, yield_now};
use crate::workloads::timers::timer_workloads;
use crate::workloads::woken::{Poke, Signal};
use nexus_async_rt::channel::mpsc;
use nexus_async_rt::{Runtime, TcpListener, sleep, spawn_boxed};
use nexus_rt::WorldBuilder;
use std::convert::identity;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// nexus-async-rt; busy or not.
pub(crate) struct NexusAsyncRt<const BUSY: bool>;

fn run<const BUSY: bool, F>(future: F) -> Result<F::Output, Absent>
where
    F: Future + 'static,
{
    let mut world = WorldBuilder::new().build();
    let mut runtime = Runtime::new(&mut world);
    Ok(if BUSY { runtime.block_on_busy(future) } else { runtime.block_on(future) })
}

impl<const BUSY: bool> Contestant for NexusAsyncRt<BUSY> {
    type Poker = mpsc::Sender<()>;

    task_workloads! { run: run::<BUSY, _>, spawn: spawn_boxed, value: identity }
    timer_workloads! { run: run::<BUSY, _>, spawn: spawn_boxed, value: identity, sleep: sleep }
    echo_server! {
        run: run::<BUSY, _>,
        spawn: spawn_boxed,
        value: identity,
        bind: async |address| {
            let listener = TcpListener::bind(address)?;
            let address = listener.local_addr()?;
            std::io::Result::Ok((listener, address))
        },
        accept: async |listener: &mut TcpListener| {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            std::io::Result::Ok(stream)
        },
    }

    fn woken(
        tasks: u32,
        keep_busy: bool,
        signal: Arc<Signal>,
        pokers: Sender<mpsc::Sender<()>>,
    ) -> Result<(), Absent> {
        run::<BUSY, _>(async move {
            let mut spawned = Vec::new();
            for _ in 0..tasks {
                let (poker, poked) = mpsc::channel(2);
                let signal = signal.clone();
                let pokers = pokers.clone();
                spawned.push(spawn_boxed(async move {
                    pokers.send(poker).expect("the other thread waits for it");
                    while poked.recv().await.is_ok() && !signal.is_over() {
                        signal.note_poll();
                    }
                }));
            }
            drop(pokers);
            if keep_busy {
                spawned.push(spawn_boxed(async move {
                    while !signal.is_over() {
                        yield_now().await;
                    }
                }));
            }
            for task in spawned {
                task.await;
            }
        })
    }
}

impl Poke for mpsc::Sender<()> {
    fn poke(&self) {
        self.try_send(()).expect("the task takes each message before the next is sent");
    }
}
