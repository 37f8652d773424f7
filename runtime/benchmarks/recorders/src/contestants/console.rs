//! console-subscriber on tokio's current-thread runtime.
//!
//! Switched on as its README does, by the subscriber that `Builder::init` installs for the process, with all its
//! defaults but the port, which the kernel chooses. Switched off: no subscriber. Its thread runs on the other processor.
//! A client is a process that asks for updates, as `tokio-console` does.

use super::tokio::{all_of, run as run_tokio, tokio_workloads};
use crate::client::{Client, Watched};
use crate::contestant::Absent;
use crate::place;
use console_subscriber::ConsoleLayer;
use std::net::{Ipv4Addr, TcpListener as Port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::spawn;

/// tokio with console-subscriber, and a client if `ATTACHED`.
pub(crate) struct Console<const ATTACHED: bool>;

fn run<const ATTACHED: bool, F: Future>(future: F) -> Result<F::Output, Absent> {
    // There is no way to learn what port it got; so nobody had this one a moment ago.
    let port = Port::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|port| port.local_addr());
    let address = port.map_err(|error| Absent(format!("no port is free: {error}")))?;
    place::elsewhere(|| ConsoleLayer::builder().server_addr(address).init());
    let client = ATTACHED
        .then(|| Client::attach(Watched::Console, &format!("http://{address}")))
        .transpose()?;
    let result = run_tokio(future);
    client.map(Client::end).transpose()?;
    result
}

tokio_workloads! { Console<false>, run: run::<false, _>, spawn: spawn }
tokio_workloads! { Console<true>, run: run::<true, _>, spawn: spawn }
