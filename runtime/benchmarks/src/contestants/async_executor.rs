//! async-executor's `LocalExecutor`, driven by async-io: what smol consists of.

use crate::contestant::{Absent, Contestant};
use crate::workloads::echo::echo_server;
use crate::workloads::tasks::task_workloads;
use crate::workloads::timers::timer_workloads;
use crate::workloads::woken::woken_tasks;
use async_executor::{LocalExecutor, Task};
use async_io::{Async, Timer};
use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use std::convert::identity;
use std::net::{SocketAddr, TcpListener};
use std::task::Waker;

/// async-executor with async-io.
pub(crate) struct AsyncExecutor;

thread_local! {
    static EXECUTOR: LocalExecutor<'static> = const { LocalExecutor::new() };
}

fn run<F: Future>(future: F) -> Result<F::Output, Absent> {
    Ok(EXECUTOR.with(|executor| async_io::block_on(executor.run(future))))
}

fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + 'static,
{
    EXECUTOR.with(|executor| executor.spawn(future))
}

impl Contestant for AsyncExecutor {
    type Poker = Waker;

    task_workloads! { run: run, spawn: spawn, value: identity }
    timer_workloads! { run: run, spawn: spawn, value: identity, sleep: Timer::after }
    woken_tasks! { run: run, spawn: spawn, value: identity }
    echo_server! {
        run: run,
        spawn: spawn,
        value: identity,
        bind: async |address: SocketAddr| {
            let listener = Async::<TcpListener>::bind(address)?;
            let address = listener.get_ref().local_addr()?;
            std::io::Result::Ok((listener, address))
        },
        accept: async |listener: &mut Async<TcpListener>| {
            let (stream, _) = listener.accept().await?;
            stream.get_ref().set_nodelay(true)?;
            std::io::Result::Ok(stream)
        },
    }
}
