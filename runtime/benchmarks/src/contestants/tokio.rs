//! tokio's current-thread runtime, as its users have it: all drivers, and plain `spawn`.

use crate::contestant::{Absent, Contestant};
use crate::workloads::echo::echo_server;
use crate::workloads::tasks::task_workloads;
use crate::workloads::timers::timer_workloads;
use crate::workloads::woken::woken_tasks;
use std::task::Waker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::spawn;

/// tokio's current-thread runtime.
pub(crate) struct Tokio;

fn run<F: Future>(future: F) -> Result<F::Output, Absent> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the kernel grants the descriptors");
    Ok(runtime.block_on(future))
}

impl Contestant for Tokio {
    type Poker = Waker;

    task_workloads! { run: run, spawn: spawn, value: Result::unwrap }
    timer_workloads! { run: run, spawn: spawn, value: Result::unwrap, sleep: tokio::time::sleep }
    woken_tasks! { run: run, spawn: spawn, value: Result::unwrap }
    echo_server! {
        run: run,
        spawn: spawn,
        value: Result::unwrap,
        bind: async |address| {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            std::io::Result::Ok((listener, address))
        },
        accept: async |listener: &mut TcpListener| {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            std::io::Result::Ok(stream)
        },
    }
}
