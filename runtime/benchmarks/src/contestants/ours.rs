//! Our runtime, with the recorder off and with all defaults; sleeping when there is nothing to do, and spinning first.

use crate::contestant::{Absent, Contestant};
use crate::workloads::echo::echo_server;
use crate::workloads::tasks::task_workloads;
use crate::workloads::timers::timer_workloads;
use crate::workloads::woken::woken_tasks;
use nexus_runtime::net::TcpListener;
use nexus_runtime::{Builder, spawn, time};
use std::marker::PhantomData;
use std::task::Waker;
use std::time::Duration;

/// Our runtime, set as `S` says.
pub(crate) struct Ours<S>(PhantomData<S>);

/// How it is set.
pub(crate) trait Setting: 'static {
    /// The settings.
    fn builder() -> Builder;
}

/// As most users have it: the recorder on, and the endpoint waiting for an inspector.
pub(crate) struct Default;

impl Setting for Default {
    fn builder() -> Builder {
        Builder::new()
    }
}

/// Nothing is recorded, and nobody can attach.
pub(crate) struct Off;

impl Setting for Off {
    fn builder() -> Builder {
        Builder::new().recorder(false).endpoint(false)
    }
}

/// The same, but it spins for a while before it sleeps: longer than anything here takes.
pub(crate) struct Spinning<S>(PhantomData<S>);

impl<S: Setting> Setting for Spinning<S> {
    fn builder() -> Builder {
        S::builder().spin(Duration::from_secs(1))
    }
}

fn run<S: Setting, F: Future>(future: F) -> Result<F::Output, Absent> {
    let runtime = S::builder().build().expect("the kernel grants the descriptors");
    Ok(runtime.block_on(future))
}

impl<S: Setting> Contestant for Ours<S> {
    type Poker = Waker;

    task_workloads! { run: run::<S, _>, spawn: spawn, value: Result::unwrap }
    timer_workloads! { run: run::<S, _>, spawn: spawn, value: Result::unwrap, sleep: time::sleep }
    woken_tasks! { run: run::<S, _>, spawn: spawn, value: Result::unwrap }
    echo_server! {
        run: run::<S, _>,
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
