//! Our runtime: with neither recorder nor endpoint, with both as by default, and with a client that takes everything.
//!
//! Switched on and off by `Builder`. The endpoint runs on the other processor, and so does the client, a process that
//! asks for the history and all events and decodes them, and throws them away.

use crate::client::{self, Client, Watched};
use crate::contestant::{Absent, Contestant, Outcome};
use crate::place;
use crate::recorded::{Recorded, note, set_records};
use crate::workloads::echo::echo_server;
use crate::workloads::storm::{Storm, storm_future};
use crate::workloads::tasks::task_workloads;
use crate::workloads::wakes::waking_tasks;
use nexus_runtime::net::TcpListener;
use nexus_runtime::{Builder, Runtime, spawn, time};
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::Waker;

/// Our runtime, set as `S` says.
pub(crate) struct Ours<S>(PhantomData<S>);

/// How it is set.
pub(crate) trait Setting: 'static {
    /// Whether it records, and can be asked for it.
    const RECORDS: bool = true;
    /// Whether somebody asks all the time.
    const ATTACHED: bool = false;
}

/// Nothing is recorded, and nobody can attach.
pub(crate) struct Off;

impl Setting for Off {
    const RECORDS: bool = false;
}

/// As most users have it: the recorder on, and the endpoint waiting for an inspector.
pub(crate) struct On;

impl Setting for On {}

/// The same, with a client.
pub(crate) struct Attached;

impl Setting for Attached {
    const ATTACHED: bool = true;
}

/// Builds a runtime, runs a future in it, and asks the runtime something afterwards.
fn run_and_ask<S: Setting, F: Future, T>(
    future: F,
    ask: impl FnOnce(F::Output) -> Result<T, Absent>,
) -> Result<T, Absent> {
    let builder = Builder::new().recorder(S::RECORDS).endpoint(S::RECORDS);
    let builder = builder.endpoint_cpus([place::other()]);
    let runtime: Runtime = builder.build().expect("the kernel grants the descriptors");
    // The endpoint starts with the first future.
    runtime.block_on(async {});
    let client =
        S::ATTACHED.then(|| Client::attach(Watched::Ours, &client::socket()?)).transpose()?;
    let result = runtime.block_on(future);
    client.map(Client::end).transpose()?;
    ask(result)
}

fn run<S: Setting, F: Future>(future: F) -> Result<F::Output, Absent> {
    run_and_ask::<S, _, _>(future, |result| {
        let records = if S::RECORDS { client::recorded()? } else { 0 };
        set_records(records);
        note(format!("{records} records"));
        Ok(result)
    })
}

storm_future! { spawn: spawn, value: Result::unwrap, sleep_until: time::sleep_until }

impl<S: Setting> Contestant for Ours<S> {
    type Poker = Waker;

    task_workloads! { run: run::<S, _>, spawn: spawn, value: Result::unwrap }
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

impl<S: Setting> Recorded for Ours<S> {
    waking_tasks! { run: run::<S, _>, spawn: spawn, value: Result::unwrap }

    fn storm(storm: Arc<Storm>) -> Result<(), Absent> {
        run::<S, _>(all_of(storm))
    }

    fn history(storm: Arc<Storm>) -> Outcome {
        if !S::RECORDS {
            return Err("it records nothing".into());
        }
        let history = run_and_ask::<S, _, _>(all_of(storm), |()| client::history())?;
        note(format!(
            "the others made {:.0} records a second, the storm {:.0}, the loop {:.0}",
            history.of_others_a_second, history.of_the_storm_a_second, history.of_the_loop_a_second
        ));
        Ok(history.seconds.into())
    }
}
