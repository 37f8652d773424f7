//! A single-threaded async runtime on mio that can always answer "why did this task wake up?".
//!
//! A tokio user feels at home: build a [`Runtime`], call [`Runtime::block_on`], [`spawn`] tasks, use [`net`], [`time`] and
//! [`sync`]. Tasks need not be `Send`. What is new is that the runtime records what it does, from the kernel's event to
//! the result of each read, into memory that `nexus-inspect` can attach to at any time.
//!
//! ```
//! use nexus_runtime::net::{TcpListener, TcpStream};
//!
//! let runtime = nexus_runtime::Runtime::new()?;
//! runtime.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     let server = nexus_runtime::spawn(async move {
//!         let (stream, _) = listener.accept().await?;
//!         stream.write_all(b"hello").await
//!     });
//!     let client = TcpStream::connect(address).await?;
//!     let mut greeting = [0; 5];
//!     client.read_exact(&mut greeting).await?;
//!     assert_eq!(&greeting, b"hello");
//!     server.await.unwrap()
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # A tour
//!
//! 1. **A runtime** belongs to the thread that builds it; a process may have many, one a thread or several. [`Builder`]
//!    has the settings, among them staying awake before going to sleep ([`Builder::spin`]), which trades CPU for latency.
//!    A [`Handle`] spawns tasks from outside of `block_on`.
//! 2. **Tasks** run until they wait, in the order in which they were woken. [`spawn`] returns a [`JoinHandle`]; a
//!    [`JoinSet`](task::JoinSet) gathers many; [`task::Builder`] gives a task the name under which the inspector shows it.
//!    A panic is an error of the handle, and nothing more. A task that always finds something to do yields by itself
//!    ([`Builder::task_budget`]).
//! 3. **Sockets** ([`net`]) take `&self` for everything, so that any number of tasks can share one, and each is woken.
//!    [`io::AsyncFd`] makes any descriptor awaitable, and [`io::IoHandle`] is the raw way to the driver, for any
//!    [`mio::event::Source`].
//! 4. **Time** ([`time`]): sleeps, timeouts and intervals, never early and with the kernel's full resolution.
//! 5. **Between tasks and threads** ([`sync`]): channels, notifications, cancellation. Any future and waker of other
//!    libraries works as well; [`task::counted`] lets the recorder know what such a future achieves.
//! 6. **What blocks** goes to threads of its own: [`task::spawn_blocking`].
//! 7. **The end**: [`signal`] turns Ctrl-C into a future, and [`shutdown`] asks all tasks to end, gives them time, and
//!    reports who has not.
//! 8. **Other libraries**: with [cargo features](#cargo-features), hyper 1, async-tungstenite, futures-rustls and much else
//!    run on these sockets, unchanged.
//! 9. **Event loops of your own** ([`observe`]): a mio loop written by hand gets the same token table, readiness, freelist
//!    and timeline, without any of the above.
//!
//! # Coming from tokio
//!
//! | there | here |
//! | --- | --- |
//! | `#[tokio::main(flavor = "current_thread")]` | `Runtime::new()?.block_on(async { … })` |
//! | `tokio::task::spawn_local` in a `LocalSet` | [`spawn`], everywhere |
//! | `AsyncReadExt::read(&mut self)` | `read(&self)` is a method of the socket |
//! | `stream.into_split()` | the same; or share `Rc<TcpStream>` between tasks |
//! | `tokio::select!` | that of `futures`, or any other; the macro needs nothing of the runtime |
//! | `Handle::spawn` from another thread | a message over [`sync::mpsc`] to a task that spawns |
//! | `tokio::signal::ctrl_c()` | [`signal::ctrl_c`] |
//! | tokio-util's `CancellationToken`, `TaskTracker` | [`sync::CancellationToken`], [`shutdown::Shutdown`] |
//!
//! # What holds
//!
//! - No wake is lost, also between threads and after the runtime is gone. A waker that is fired while the loop is awake
//!   makes no system call.
//! - What is dropped leaves nothing behind: no timer that still fires, no waker that is still kept, no event that reaches
//!   a socket's successor.
//! - All that is `pub` and not `unsafe` is sound, whatever is done with it: handles, tokens and futures are numbers that
//!   are looked up, and say so when they come too late.
//! - Misuse of a token is an error that changes nothing, and is counted. A full table, a full kernel buffer and a process
//!   without descriptors are errors too, not endless loops.
//!
//! # Cargo features
//!
//! `recorder` is on by default: without it nothing is recorded, nobody can attach, and no code for either is in the program.
//!
//! The others are off by default. With them, libraries that do not care about their runtime run on this one:
//!
//! | feature | brings | for |
//! | --- | --- | --- |
//! | `futures-io` | `AsyncRead` and `AsyncWrite` of the `futures-io` crate for the byte streams of [`net`] and their halves | async-tungstenite, futures-rustls, `futures-util`'s combinators, and all that is written against these traits |
//! | `hyper` | hyper's `Read` and `Write` for the same streams; the module `hyper` with its `Executor` and `Timer` | hyper 1 and hyper-util, HTTP/1 and HTTP/2, clients and servers |
//!
//! | `tracing` | the module `layer`: a layer for `tracing-subscriber` that records an application's spans and events on the task that ran them | an application that uses `tracing` |
//!
//! A library that passes data between tasks by means of its own wakes them through wakers that the runtime knows nothing
//! of: such polls are recorded as *unattributed* unless they make progress, and never called spurious.

//! # Diagnostics
//!
//! The runtime reports its own troubles through [`tracing`](https://docs.rs/tracing), whatever the features, under two
//! targets. A program that runs well hears nothing at `warn` and above.
//!
//! | target | level | says |
//! | --- | --- | --- |
//! | `nexus::runtime` | error | the kernel cannot be asked for events, a timer cannot be set, another thread's wake cannot be delivered, a foreign waker panicked |
//! | | warn | there are fewer threads for blocking work than asked for |
//! | `nexus::endpoint` | error, warn | why inspectors cannot attach, or one of them was refused |
//! | | debug | where the socket is, that it is switched off, what was swept, that a client has left |

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("nexus_runtime supports 64-bit Linux only");

mod blocking;
mod builder;
mod context;
#[cfg_attr(
    not(feature = "recorder"),
    allow(dead_code, reason = "all behind the probes is left out")
)]
mod endpoint;
#[cfg(feature = "futures-io")]
mod futures_io;
mod handle;
#[cfg(feature = "hyper")]
pub mod hyper;
pub mod io;
#[cfg(feature = "tracing")]
pub mod layer;
pub mod net;
pub mod observe;
mod prefetch;
mod primitives;
#[cfg_attr(
    not(feature = "recorder"),
    allow(dead_code, reason = "all behind the probes is left out")
)]
mod record;
pub mod remains;
mod runtime;
mod scheduler;
pub mod shutdown;
pub mod signal;
pub mod sync;
pub mod task;
pub mod time;

pub use builder::Builder;
pub use handle::Handle;
pub use nexus_protocol::RuntimeId;
pub use record::RecordingPlace;
pub use runtime::Runtime;
pub use task::{JoinError, JoinHandle, spawn};
