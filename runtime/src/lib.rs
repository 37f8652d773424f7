//! A single-threaded async runtime on mio that can always answer "why did this task wake up?".
//!
//! A tokio user feels at home: build a [`Runtime`], call [`Runtime::block_on`], [`spawn`] tasks, use [`net`] and
//! [`time`]. Tasks need not be `Send`. What is new is that the runtime records what it does, from the kernel's event to
//! the result of each read, into memory that `nexus-inspect` can attach to at any time.
//!
//! ```
//! use nexus_runtime::net::{TcpListener, TcpStream};
//!
//! let runtime = nexus_runtime::Runtime::new()?;
//! runtime.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
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

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("nexus_runtime supports 64-bit Linux only");

mod builder;
mod context;
mod endpoint;
mod handle;
pub mod io;
pub mod net;
mod prefetch;
mod primitives;
mod record;
mod runtime;
mod scheduler;
pub mod task;
pub mod time;

pub use builder::Builder;
pub use handle::Handle;
pub use nexus_protocol::RuntimeId;
pub use runtime::Runtime;
pub use task::{JoinError, JoinHandle, spawn};
