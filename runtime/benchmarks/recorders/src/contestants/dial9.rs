//! dial9 on tokio's current-thread runtime.
//!
//! Switched on as its README does: a recorder is built, the runtime attached to it with task tracking, and all is spawned
//! through `dial9::spawn` and `dial9::block_on`, which record wakes too. Its features that sample the processor or the
//! memory are not compiled in. Switched off: plain tokio, without a recorder.
//!
//! In memory it gets twice what our ring has, since that is what its own benchmark gives it; to disk a budget that no
//! cell reaches. Its threads run on the other processor.

use super::tokio::tokio_workloads;
use crate::contestant::Absent;
use crate::place;
use crate::recorded::{note, set_records};
use crate::workloads::storm::storm_future;
use dial9::format::Decoder;
use dial9::{
    Dial9HandleTokioExt, DiskBuffer, MemoryBuffer, Recorder, TokioAttachOptions, block_on, spawn,
};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep_until;

const MEMORY_BYTES: u64 = 16 << 20;
const DISK_BYTES: u64 = 1 << 30;

/// dial9, with its buffer as `B` says.
pub(crate) struct Dial9<B>(PhantomData<B>);

/// Where it keeps what it recorded.
pub(crate) trait Buffer: 'static {
    /// Starts recording. `directory` does not exist yet.
    fn recorder(directory: &Path) -> io::Result<Recorder>;
}

/// In memory.
pub(crate) struct InMemory;

impl Buffer for InMemory {
    fn recorder(_directory: &Path) -> io::Result<Recorder> {
        Ok(dial9::recorder(MemoryBuffer::new(MEMORY_BYTES)?).build())
    }
}

/// In files, which it compresses when they are full.
pub(crate) struct ToDisk;

impl Buffer for ToDisk {
    fn recorder(directory: &Path) -> io::Result<Recorder> {
        let buffer =
            DiskBuffer::builder().base_path(directory).max_total_size(DISK_BYTES).build()?;
        Ok(dial9::recorder(buffer).build())
    }
}

fn run<B: Buffer, F>(future: F) -> Result<F::Output, Absent>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let failed = |error: io::Error| Absent(format!("dial9 does not start: {error}"));
    let directory = Directory::new();
    let recorder = place::elsewhere(|| B::recorder(&directory.0)).map_err(failed)?;
    if !recorder.handle().is_enabled() {
        return Err("dial9 does not record".into());
    }
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all();
    let options = TokioAttachOptions::builder().task_tracking_enabled(true).build();
    let runtime = recorder.handle().attach_tokio_runtime(builder, options).map_err(failed)?;
    let result = block_on(&runtime, future);
    drop(runtime);
    drop(recorder);
    directory.tell();
    Ok(result)
}

/// A directory for its files, gone with this value.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("nexus-benchmarks-dial9-{}", std::process::id())))
    }

    /// Says how much has been recorded, if it was to disk and all is still there as it was written.
    fn tell(&self) {
        let Ok(files) = fs::read_dir(&self.0) else { return };
        let (mut bytes, mut events) = (0, 0_u64);
        for file in files.flatten().map(|file| file.path()) {
            match file.extension().and_then(OsStr::to_str) {
                Some("bin") => {}
                Some("gz") => return note("compressed already"),
                _ => continue,
            }
            let Ok(data) = fs::read(&file) else { return note("its files are gone") };
            let read = Decoder::new(&data).map(|mut all| all.for_each_event(|_| events += 1));
            if !matches!(read, Some(Ok(()))) {
                return note("its files cannot be read");
            }
            bytes += data.len();
        }
        note(format!("{events} events, {:.1} bytes each", bytes as f64 / events as f64));
        set_records(events);
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

storm_future! {
    spawn: spawn,
    value: Result::unwrap,
    sleep_until: |due: std::time::Instant| sleep_until(due.into()),
}

tokio_workloads! { Dial9<InMemory>, run: run::<InMemory, _>, spawn: spawn }
tokio_workloads! { Dial9<ToDisk>, run: run::<ToDisk, _>, spawn: spawn }
