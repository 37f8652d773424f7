//! The memory that ring and board lie in: zeroed pages that belong to this process, or to a file that outlives it.
//!
//! Whoever wants a piece of it asks by offset and gets a [`Part`], which keeps the whole alive. All of a recording's size
//! is asked of the kernel at once; pages come into being when they are first touched, so that a large recording that is
//! hardly used costs hardly any memory. Pages of a file are reserved beforehand: touching one for which there is no room
//! would kill the process.
//!
//! Knows bytes and [`Plain`] values, not what they mean. All unsafe code of ring, board and mapping is here.
//!
//! **Fork.** A child inherits mapped files, and would write into its parent's recording when it lets go of the runtimes
//! that it has inherited. A fork handler gives it pages of its own in their place, of zeros, which is all that nobody's
//! recording has to be.
//!
//! Loom's atomics are no plain bytes: in its models each part is an allocation of its own.

#[cfg(loom)]
mod modelled;

#[cfg(loom)]
pub(crate) use self::modelled::{Memory, Part};

use crate::primitives::atomic::AtomicU64;
#[cfg(not(loom))]
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
#[cfg(not(loom))]
use std::{
    ffi::c_void,
    io,
    ops::{Deref, Range},
    os::fd::AsFd,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
    sync::{Arc, OnceLock},
};

/// Bytes in the pages that offsets are rounded to. The kernel's may be larger, which does no harm.
pub(crate) const PAGE: usize = 4096;

/// A value that any bytes are one of, and that is changed through `&` only.
///
/// # Safety
///
/// Every pattern of bits must be a valid value, zeros among them; the type must consist of atomics alone, so that
/// several threads, and a process with the same file, may read and write it; it must not need to be dropped; and its
/// alignment must not exceed [`PAGE`].
pub(crate) unsafe trait Plain: Sized {
    /// A value of zeros.
    #[cfg(loom)]
    fn zeroed() -> Self;
}

// SAFETY: it has the representation of a `u64`, of which all patterns are valid, and is an atomic.
unsafe impl Plain for AtomicU64 {
    #[cfg(loom)]
    fn zeroed() -> Self {
        Self::new(0)
    }
}

/// Zeroed memory of fixed size and address.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct Memory {
    start: NonNull<c_void>,
    bytes: usize,
    /// Its place in the list for the fork handler, if it is a file's.
    shared: Option<usize>,
}

// SAFETY: the pages belong to no thread. They are reached through `Part`s of types that may be shared.
#[cfg(not(loom))]
unsafe impl Send for Memory {}
// SAFETY: as above.
#[cfg(not(loom))]
unsafe impl Sync for Memory {}

#[cfg(not(loom))]
impl Memory {
    /// Memory of this process alone. Costs address space; pages are taken as they are touched.
    ///
    /// # Errors
    ///
    /// If the process may not have that much address space.
    pub(crate) fn private(bytes: usize) -> io::Result<Self> {
        // Not to be counted before it is used, where the kernel leaves that choice.
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let bytes = bytes.max(1).next_multiple_of(PAGE);
        // SAFETY: with a null address and without `FIXED` the kernel chooses pages that nobody uses.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), bytes, READ_WRITE, flags)? };
        Ok(Self { start: mapped(start), bytes, shared: None })
    }

    /// The first `bytes` of a file, which must have them and keep them: reading or writing pages that the file has lost
    /// kills the process. The memory does not need the descriptor any more.
    ///
    /// # Errors
    ///
    /// If the file cannot be mapped, or too many are, or the fork handler cannot be installed.
    pub(crate) fn of_file(file: impl AsFd, bytes: usize) -> io::Result<Self> {
        static HANDLER: OnceLock<bool> = OnceLock::new();
        let installed = HANDLER.get_or_init(|| {
            // SAFETY: the function is this program's and does nothing but what a signal handler may.
            unsafe { libc::pthread_atfork(None, None, Some(replace_in_child)) == 0 }
        });
        if !installed {
            return Err(io::Error::other("there is no room for another fork handler"));
        }
        let bytes = bytes.max(1).next_multiple_of(PAGE);
        let shared = SHARED.iter().position(Entry::take);
        let shared = shared.ok_or_else(|| io::Error::other("too many recordings are mapped"))?;
        // SAFETY: as above. What others do to the file is done to atomics; that it keeps its size is asked of the caller.
        let start =
            unsafe { mmap(ptr::null_mut(), bytes, READ_WRITE, MapFlags::SHARED, file.as_fd(), 0) };
        let start = start.inspect_err(|_| SHARED[shared].give_back())?;
        SHARED[shared].fill(start, bytes);
        Ok(Self { start: mapped(start), bytes, shared: Some(shared) })
    }

    /// Private memory whose first `bytes` are filled by `fill` before anybody else sees them.
    ///
    /// # Errors
    ///
    /// As [`Memory::private`], and what `fill` says.
    pub(crate) fn filled<E: From<io::Error>>(
        bytes: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let memory = Self::private(bytes)?;
        // SAFETY: the pages are there, zeroed, and nobody else knows of them: `memory` was made here, and is not given
        // away while the slice lives.
        let slice =
            unsafe { std::slice::from_raw_parts_mut(memory.start.cast::<u8>().as_ptr(), bytes) };
        fill(slice)?;
        Ok(memory)
    }

    /// The value at this offset.
    ///
    /// # Panics
    ///
    /// If it would not lie within the memory, or not be aligned.
    pub(crate) fn part<T: Plain>(self: &Arc<Self>, offset: usize) -> Part<T> {
        let at = self.check::<T>(offset, 1);
        Part { at, _memory: Arc::clone(self) }
    }

    /// The `len` values from this offset on.
    ///
    /// # Panics
    ///
    /// As [`Memory::part`].
    pub(crate) fn slice<T: Plain>(self: &Arc<Self>, offset: usize, len: usize) -> Part<[T]> {
        let at = NonNull::slice_from_raw_parts(self.check::<T>(offset, len), len);
        Part { at, _memory: Arc::clone(self) }
    }

    fn check<T>(&self, offset: usize, len: usize) -> NonNull<T> {
        let end = len.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(offset));
        assert!(end.is_some_and(|end| end <= self.bytes), "the part ends beyond its memory");
        assert!(offset.is_multiple_of(align_of::<T>()) && align_of::<T>() <= PAGE, "misaligned");
        // SAFETY: the offset lies within the mapping, or at its end if there are no values.
        unsafe { self.start.byte_add(offset).cast() }
    }

    /// Asks for pages of ordinary size in this range, of which only the beginning may ever be used. A wish: the kernel
    /// may not know it.
    pub(crate) fn keep_small(&self, range: Range<usize>) {
        let range = range.start.next_multiple_of(PAGE)..range.end.min(self.bytes);
        if range.is_empty() {
            return;
        }
        // SAFETY: the range lies within the mapping, and the advice changes nothing of what is in it.
        let _ = unsafe {
            let start = self.start.byte_add(range.start);
            madvise(start.as_ptr(), range.len(), Advice::LinuxNoHugepage)
        };
    }
}

#[cfg(not(loom))]
impl Drop for Memory {
    fn drop(&mut self) {
        // Before the pages go: afterwards their addresses may be somebody else's.
        if let Some(shared) = self.shared {
            SHARED[shared].give_back();
        }
        // SAFETY: the mapping was made by us with this size, and each `Part` of it would have kept it alive.
        let _ = unsafe { munmap(self.start.as_ptr(), self.bytes) };
    }
}

#[cfg(not(loom))]
const READ_WRITE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

#[cfg(not(loom))]
fn mapped(start: *mut c_void) -> NonNull<c_void> {
    NonNull::new(start).expect("the kernel maps nothing at address zero unasked")
}

/// One or several values in a [`Memory`], which lives at least as long.
#[cfg(not(loom))]
pub(crate) struct Part<T: ?Sized> {
    at: NonNull<T>,
    _memory: Arc<Memory>,
}

// SAFETY: it is a `&T` that keeps what it points to alive.
#[cfg(not(loom))]
unsafe impl<T: ?Sized + Sync> Send for Part<T> {}
// SAFETY: as above.
#[cfg(not(loom))]
unsafe impl<T: ?Sized + Sync> Sync for Part<T> {}

#[cfg(not(loom))]
impl<T: ?Sized> Clone for Part<T> {
    fn clone(&self) -> Self {
        Self { at: self.at, _memory: Arc::clone(&self._memory) }
    }
}

#[cfg(not(loom))]
impl<T: ?Sized> Deref for Part<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `Memory::check` has made sure that the values lie within the mapping, aligned; `T` is `Plain`, so that
        // whatever the bytes are, they are a value, and may change at any time; the mapping lives as long as `_memory`.
        unsafe { self.at.as_ref() }
    }
}

/// Mapped files of this process, for the fork handler.
#[cfg(not(loom))]
static SHARED: [Entry; 256] = [const { Entry::new() }; 256];

/// A place in the list: null if it is free, dangling if it is taken and not filled yet.
#[cfg(not(loom))]
struct Entry {
    start: AtomicPtr<c_void>,
    bytes: AtomicUsize,
}

#[cfg(not(loom))]
impl Entry {
    const fn new() -> Self {
        Self { start: AtomicPtr::new(ptr::null_mut()), bytes: AtomicUsize::new(0) }
    }

    fn take(&self) -> bool {
        let taken = ptr::dangling_mut();
        self.start
            .compare_exchange(ptr::null_mut(), taken, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    fn fill(&self, start: *mut c_void, bytes: usize) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.start.store(start, Ordering::Release);
    }

    fn give_back(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        self.start.store(ptr::null_mut(), Ordering::Release);
    }
}

/// Puts private pages in the place of the child's mapped files.
#[cfg(not(loom))]
extern "C" fn replace_in_child() {
    for entry in &SHARED {
        let start = entry.start.load(Ordering::Acquire);
        let bytes = entry.bytes.load(Ordering::Relaxed);
        if start.is_null() || bytes == 0 {
            continue;
        }
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        // SAFETY: in the child there is one thread, this one, and it is in `fork`. The range is one of our mappings, of
        // which there are `Part`s at most: they find zeros from now on, which are as valid as what was there.
        let _ = unsafe { mmap_anonymous(start, bytes, READ_WRITE, flags) };
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zeroed_shared_by_its_parts_and_outlives_its_handle() {
        let memory = Arc::new(Memory::private(100).unwrap());
        let words = memory.slice::<AtomicU64>(8, 4);
        let third = memory.part::<AtomicU64>(24);
        drop(memory);
        assert!(words.iter().all(|word| word.load(Ordering::Relaxed) == 0));
        third.store(7, Ordering::Relaxed);
        assert_eq!(words[2].load(Ordering::Relaxed), 7);
        assert_eq!(words.clone()[2].load(Ordering::Relaxed), 7);
    }

    #[test]
    fn parts_beyond_the_end_or_askew_are_refused() {
        let memory = Arc::new(Memory::private(PAGE).unwrap());
        assert_eq!(memory.slice::<AtomicU64>(PAGE, 0).len(), 0);
        let refused: [(usize, usize); 4] =
            [(PAGE, 1), (PAGE - 8, 2), (4, 1), (8, usize::MAX / 8 + 1)];
        for (offset, len) in refused {
            let memory = Arc::clone(&memory);
            let asked = std::panic::catch_unwind(move || memory.slice::<AtomicU64>(offset, len));
            assert!(asked.is_err(), "{len} words at {offset}");
        }
    }

    #[test]
    fn a_file_sees_what_is_written_to_its_memory() {
        use std::os::unix::fs::FileExt;
        let file = tempfile::tempfile().unwrap();
        file.set_len(2 * PAGE as u64).unwrap();
        let memory = Arc::new(Memory::of_file(&file, 2 * PAGE).unwrap());
        memory.part::<AtomicU64>(PAGE).store(0x0102_0304, Ordering::Release);
        drop(memory);
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, PAGE as u64).unwrap();
        assert_eq!(u64::from_ne_bytes(bytes), 0x0102_0304);
    }

    #[test]
    fn a_forked_child_writes_to_pages_of_its_own() {
        use std::os::unix::fs::FileExt;
        let file = tempfile::tempfile().unwrap();
        file.set_len(PAGE as u64).unwrap();
        let memory = Arc::new(Memory::of_file(&file, PAGE).unwrap());
        let word = memory.part::<AtomicU64>(0);
        word.store(1, Ordering::Release);
        // SAFETY: the child stores one word and leaves at once.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let inherited = word.load(Ordering::Acquire);
            word.store(2, Ordering::Release);
            // SAFETY: nothing is run on the way out that the parent's threads could have left in disorder.
            unsafe { libc::_exit(inherited as i32) };
        }
        let mut status = 0;
        // SAFETY: the status is ours to write to.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0, "the child saw zeros, and ended in good order");
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!((u64::from_ne_bytes(bytes), word.load(Ordering::Acquire)), (1, 1));
    }

    #[test]
    fn memory_can_be_filled_before_it_is_shared() {
        let memory = Memory::filled(16, |bytes| {
            bytes[8] = 9;
            Ok::<_, io::Error>(())
        });
        let memory = Arc::new(memory.unwrap());
        let words = memory.slice::<AtomicU64>(0, 2);
        assert_eq!(words[1].load(Ordering::Relaxed).to_ne_bytes()[0], 9);
        let failed = Memory::filled(16, |_| Err(io::Error::other("no")));
        assert!(failed.is_err());
    }
}
