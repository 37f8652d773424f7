//! Recordings of processes that are gone, or that nobody could attach to, read from their files.
//!
//! A runtime whose [`RecordingPlace`](crate::RecordingPlace) is a file leaves there what an inspector would have got from
//! it: [`Remains`] reads the file and says the same, as the same frames. What is read is a copy, of which nothing is taken
//! for granted: a file that was cut or is damaged is an error, or reads as other events than there were, and nothing
//! worse.
//!
//! ```no_run
//! use nexus_protocol::frame::ServerFrame;
//! use nexus_runtime::remains::Remains;
//!
//! let remains = Remains::open("/dev/shm/gateway.map".as_ref())?;
//! println!("recorded by process {}", remains.process().pid);
//! for frame in remains.frames() {
//!     if let ServerFrame::Events { records, .. } = frame {
//!         records.iter().for_each(|record| println!("{record:?}"));
//!     }
//! }
//! # Ok::<(), nexus_runtime::remains::RemainsError>(())
//! ```

pub use crate::endpoint::remains::{Frames, Remains, RemainsError};
