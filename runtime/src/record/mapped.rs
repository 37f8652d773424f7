//! Recordings in files, which are there after the process is gone, however it went.
//!
//! A file is made under a temporary name, given its full size (reserved, so that the process is not killed for want of
//! room later), locked, mapped, described, and only then given its name: whoever sees it can read it. The lock lasts as
//! long as the mapping, so that a recording whose lock is free is one whose process is gone.
//!
//! Knows files and names; what lies where in them is [`layout`](super::layout)'s business.

use super::clock::Clock;
use super::header::{Header, Identity};
use super::layout::Layout;
use super::memory::Memory;
use super::texts::{TEXT_WORDS, Texts};
use crate::endpoint::identity;
use nexus_protocol::RuntimeId;
use nexus_protocol::ids::Stamp;
use rustix::fs::{FallocateFlags, FlockOperation, MemfdFlags, SealFlags, fallocate, flock};
use rustix::process::{Resource, getrlimit};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a runtime's recording lives: the ring with its recent past, and the board with its present.
///
/// In a file it can be read after the process has crashed, was killed, or has ended before anybody could attach:
/// `nexus-inspect snapshot FILE.map`, or [`Remains`](crate::remains::Remains) from a program. While the process lives,
/// inspectors attach to it as usual, whatever this says.
///
/// All of the file's size is reserved at once: 32 bytes a record of the ring, 448 a row of the board, and 1 MiB for
/// names; 12.5 MiB with [`Builder`](crate::Builder)'s defaults. It should be on a file system in memory, such as
/// `/dev/shm`: on a disk, the kernel writes back what changes, all the time, and may hold up the runtime's thread for
/// it. It must keep its size; the file has mode 0600, so that nobody else can cut it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordingPlace {
    /// In this process's memory, unless the environment has `NEXUS_INSPECT_MAP`, which names a directory as
    /// [`RecordingPlace::Directory`] does. If there is no room in it, the program runs on without.
    #[default]
    Process,
    /// In a memfd, which whoever has a descriptor of it can read: a supervisor that was sent
    /// [`Runtime::recording_fd`](crate::Runtime::recording_fd). Nobody can cut it.
    Memfd,
    /// In this file, in the place of one that has the name. It stays when the runtime ends.
    File(PathBuf),
    /// In a file in this directory, which must exist: `<pid>-<start time of the process>-<number of the runtime>.map`. It
    /// stays when the process ends, but files of runtimes that ended before the last four of a process are removed.
    Directory(PathBuf),
}

/// What a recording in a file has in addition.
pub(crate) struct Mapped {
    header: Header,
    /// The process's strings.
    pub(crate) texts: Arc<Texts>,
    /// The memfd, if it is one.
    pub(crate) memfd: Option<File>,
    /// The file's path, if it has one.
    pub(crate) path: Option<PathBuf>,
    /// Whether the file goes when nobody remembers the runtime.
    goes: bool,
}

/// Whose recording it is.
pub(crate) struct Owner<'a> {
    pub(crate) runtime: RuntimeId,
    pub(crate) name: &'a str,
    pub(crate) started: Stamp,
}

impl Mapped {
    /// Memory in a new file at this place.
    ///
    /// # Errors
    ///
    /// If the file cannot be made, reserved, locked, mapped or named.
    pub(crate) fn make(
        place: &RecordingPlace,
        owner: &Owner<'_>,
        records: usize,
        rows: usize,
    ) -> io::Result<(Arc<Memory>, Layout, Self)> {
        let layout = Layout::new(records, rows, TEXT_WORDS);
        let start_time = identity::start_time()?;
        let name = format!("{}-{start_time}", std::process::id());
        match place {
            RecordingPlace::Process | RecordingPlace::Memfd => {
                let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
                let file = File::from(rustix::fs::memfd_create("nexus-recording", flags)?);
                let memory = map(&file, &layout)?;
                rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
                let (header, texts) = describe(&memory, &layout, owner, start_time);
                let mapped = Self { header, texts, memfd: Some(file), path: None, goes: false };
                Ok((memory, layout, mapped))
            }
            RecordingPlace::File(path) => {
                let temporary = beside(path, &format!("{name}-{}", owner.runtime.0))?;
                let (memory, header, texts) = make_at(&temporary, &layout, owner, start_time)?;
                let named = fs::rename(&temporary, path);
                named.inspect_err(|_| _ = fs::remove_file(&temporary))?;
                let path = Some(path.clone());
                Ok((memory, layout, Self { header, texts, memfd: None, path, goes: false }))
            }
            RecordingPlace::Directory(directory) => {
                let name = format!("{name}-{}", owner.runtime.0);
                let temporary = directory.join(format!(".{name}.new"));
                let (memory, header, texts) = make_at(&temporary, &layout, owner, start_time)?;
                let linked = link_without_replacing(&temporary, directory, &name);
                let _ = fs::remove_file(&temporary);
                let path = Some(linked?);
                Ok((memory, layout, Self { header, texts, memfd: None, path, goes: true }))
            }
        }
    }

    /// What it says of itself.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Nobody remembers the runtime any more.
    pub(crate) fn forget(&self) {
        if let Some(path) = self.path.as_ref().filter(|_| self.goes) {
            // Somebody may have taken it away already.
            let _ = fs::remove_file(path);
        }
    }
}

/// A temporary name in the same directory.
fn beside(path: &Path, name: &str) -> io::Result<PathBuf> {
    let Some(file_name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
    };
    let file_name = file_name.to_string_lossy();
    Ok(path.with_file_name(format!(".{file_name}.{name}.new")))
}

/// Gives a file its name, and a number behind it if the name is taken: by what the process was before it called `exec`.
fn link_without_replacing(from: &Path, directory: &Path, name: &str) -> io::Result<PathBuf> {
    for again in 0..1000 {
        let suffix = if again == 0 { String::new() } else { format!("-{again}") };
        let path = directory.join(format!("{name}{suffix}.map"));
        match fs::hard_link(from, &path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn make_at(
    path: &Path,
    layout: &Layout,
    owner: &Owner<'_>,
    start_time: u64,
) -> io::Result<(Arc<Memory>, Header, Arc<Texts>)> {
    // Only a process with our number could have left it, in the middle of this.
    let _ = fs::remove_file(path);
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    let memory = map(&file, layout).inspect_err(|_| _ = fs::remove_file(path))?;
    let (header, texts) = describe(&memory, layout, owner, start_time);
    // The mapping keeps the file open, and so the lock.
    Ok((memory, header, texts))
}

fn map(file: &File, layout: &Layout) -> io::Result<Arc<Memory>> {
    reserve(file, layout.bytes() as u64)?;
    flock(file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(Arc::new(Memory::of_file(file, layout.bytes())?))
}

/// Gives a file its size, and all of the room it needs.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    // Beyond its limit, the kernel would kill the process.
    if getrlimit(Resource::Fsize).current.is_some_and(|limit| limit < bytes) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // Where there is not enough, the attempt would take for a moment all that is left to others. A file system without a
    // size of its own, as a memfd's, says zero.
    let system = rustix::fs::fstatvfs(file)?;
    if system.f_blocks > 0 && system.f_bavail.saturating_mul(system.f_frsize) < bytes {
        return Err(io::ErrorKind::StorageFull.into());
    }
    file.set_len(bytes)?;
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            // Not on every file system; zeros that are written are as good.
            Err(rustix::io::Errno::OPNOTSUPP) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let mut file = file;
    io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file)?;
    file.flush()
}

fn describe(
    memory: &Arc<Memory>,
    layout: &Layout,
    owner: &Owner<'_>,
    start_time: u64,
) -> (Header, Arc<Texts>) {
    let clock = Clock::of_process();
    let header = Header::within(memory);
    header.write(
        layout,
        &Identity {
            process: identity::describe(start_time),
            runtime: owner.runtime,
            name: owner.name.to_owned(),
            thread: rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs(),
            started: owner.started,
            clock,
            boot: boot_id(),
            first_anchor: clock.first_anchor(),
        },
    );
    // Making the file took a while, over which the clock's speed can be measured.
    header.set_anchor(clock.anchor());
    (header, Arc::new(Texts::within(memory, layout)))
}

/// Tells this start of the machine from others; zeros if it cannot be told.
pub(crate) fn boot_id() -> [u64; 2] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let id = u128::from_str_radix(&text.trim().replace('-', ""), 16).unwrap_or(0);
    [(id >> 64) as u64, id as u64]
}
