//! What [hyper] asks of a runtime: an [`Executor`], a [`Timer`], and its `Read` and `Write` for our streams.
//!
//! With the cargo feature `hyper`. A server serves each connection in a task; nothing has to be `Send`:
//!
//! ```no_run
//! use http_body_util::Full;
//! use hyper::body::Bytes;
//! use hyper::server::conn::http1;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//! use nexus_runtime::hyper::Timer;
//! use nexus_runtime::net::TcpListener;
//! use nexus_runtime::spawn;
//! use std::convert::Infallible;
//!
//! async fn hello<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(Response::new(Full::from("hello\n")))
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! nexus_runtime::Runtime::new()?.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:8080").await?;
//!     loop {
//!         let (stream, peer) = listener.accept().await?;
//!         spawn(async move {
//!             let mut http = http1::Builder::new();
//!             http.timer(Timer::new());
//!             if let Err(error) = http.serve_connection(stream, service_fn(hello)).await {
//!                 eprintln!("{peer}: {error}");
//!             }
//!         });
//!     }
//! })
//! # }
//! ```
//!
//! HTTP/2 needs the executor as well: `http2::Builder::new(Executor::new())`, and so does the builder of `hyper-util`
//! that finds out which of the two a client speaks. A client is made the same way: `handshake` takes a
//! [`TcpStream`](crate::net::TcpStream) as it is, and the connection it returns is [spawned](crate::spawn).
//!
//! What hyper wants to be `Send` can't be had: `with_upgrades`, and the pooling client of `hyper-util`.

mod io;

use crate::time::alarm::Alarm;
use crate::{context, task};
use ::hyper::rt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Spawns hyper's tasks on the runtime that the thread is inside of.
///
/// The inspector shows them with the place where the executor was made, rather than with one inside of hyper.
#[derive(Clone, Copy, Debug)]
pub struct Executor {
    location: &'static Location<'static>,
}

impl Executor {
    /// An executor for any runtime.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        Self { location: Location::caller() }
    }
}

impl Default for Executor {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl<F> rt::Executor<F> for Executor
where
    F: Future + 'static,
{
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    fn execute(&self, future: F) {
        context::with(|core| drop(task::spawn_on(core, future, self.location, None)));
    }
}

/// Makes hyper's sleeps, in the runtime that the thread is inside of when they are polled.
///
/// hyper has no timeout, keep-alive interval or date of its own without a timer, and panics when one is set all the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer(());

impl Timer {
    /// A timer for any runtime.
    #[must_use]
    pub fn new() -> Self {
        Self(())
    }
}

impl rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep(Alarm::after(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep(Alarm::until(deadline)))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(ours) => ours.get_mut().0.reset(deadline),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

/// A sleep that is `Send` and `Sync`, as hyper has it.
struct Sleep(Alarm);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(cx)
    }
}

impl rt::Sleep for Sleep {}
