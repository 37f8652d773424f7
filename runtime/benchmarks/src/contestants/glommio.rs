//! glommio: one executor on this thread, unbound, since the thread is pinned like everybody's.

use crate::contestant::{Absent, Contestant};
use crate::workloads::echo::echo_server;
use crate::workloads::tasks::task_workloads;
use crate::workloads::timers::timer_workloads;
use crate::workloads::woken::woken_tasks;
use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use glommio::net::TcpListener;
use glommio::timer::sleep;
use glommio::{LocalExecutorBuilder, Placement, spawn_local};
use std::convert::identity;
use std::net::SocketAddr;
use std::task::Waker;

/// glommio.
pub(crate) struct Glommio;

fn run<F: Future>(future: F) -> Result<F::Output, Absent> {
    let executor = LocalExecutorBuilder::new(Placement::Unbound).make();
    let executor = executor.map_err(|error| Absent(format!("no executor: {error}")))?;
    Ok(executor.run(future))
}

impl Contestant for Glommio {
    type Poker = Waker;

    task_workloads! { run: run, spawn: spawn_local, value: identity }
    timer_workloads! { run: run, spawn: spawn_local, value: identity, sleep: sleep }
    woken_tasks! { run: run, spawn: spawn_local, value: identity }
    echo_server! {
        run: run,
        spawn: spawn_local,
        value: identity,
        bind: async |address: SocketAddr| {
            let listener = TcpListener::bind(address)?;
            let address = listener.local_addr()?;
            Result::<_, glommio::GlommioError<()>>::Ok((listener, address))
        },
        accept: async |listener: &mut TcpListener| {
            let stream = listener.accept().await?;
            stream.set_nodelay(true)?;
            Result::<_, glommio::GlommioError<()>>::Ok(stream)
        },
    }
}
