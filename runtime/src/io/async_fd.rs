//! Any descriptor, waited for.

use super::source::{Ready, Registered, Transfer};
use super::{Direction, Interest, Readiness, SourceKind, Token};
use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::Location;
use std::task::{Context, Poll, ready};

/// A descriptor that the runtime waits for and knows nothing else of: a pipe, an eventfd, an inotify instance, a library's
/// socket.
///
/// The descriptor must be non-blocking, one that epoll knows (a regular file is not), and `T` must stand for the same one
/// as long as it is in here. Readiness is kept until I/O says that there is none left: tell so through the guard that
/// [`readable`](Self::readable) and [`writable`](Self::writable) give.
///
/// # Examples
///
/// ```
/// use nexus_runtime::io::AsyncFd;
/// use std::io::{self, Read, Write};
///
/// # nexus_runtime::Runtime::new()?.block_on(async {
/// let (reader, mut writer) = io::pipe()?;
/// rustix::io::ioctl_fionbio(&reader, true)?;
/// let reader = AsyncFd::new(reader)?;
/// writer.write_all(b"hello")?;
/// let mut buffer = [0; 16];
/// let bytes = loop {
///     let mut guard = reader.readable().await?;
///     if let Ok(read) = guard.try_io(|reader| reader.get_ref().read(&mut buffer)) {
///         break read?;
///     }
/// };
/// assert_eq!(&buffer[..bytes], b"hello");
/// # Ok::<(), io::Error>(())
/// # })?;
/// # Ok::<(), io::Error>(())
/// ```
pub struct AsyncFd<T: AsRawFd> {
    io: Registered<T>,
}

/// Says that a descriptor was ready, and takes note when it is not any more.
pub struct AsyncFdReadyGuard<'a, T: AsRawFd> {
    fd: &'a AsyncFd<T>,
    interest: Interest,
    ready: Ready,
}

/// The I/O would have blocked: the descriptor was not ready after all.
#[derive(Debug)]
pub struct TryIoError(());

impl<T: AsRawFd> AsyncFd<T> {
    /// Registers a descriptor, for reading at first.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as `EPERM` for a regular file; or no slot left. The descriptor is dropped then.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[track_caller]
    pub fn new(inner: T) -> io::Result<Self> {
        Self::with_interest(inner, Interest::READABLE)
    }

    /// Registers a descriptor for this interest. It is widened when something else is waited for.
    ///
    /// # Errors
    ///
    /// As for [`AsyncFd::new`]; or if the interest is empty.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[track_caller]
    pub fn with_interest(inner: T, interest: Interest) -> io::Result<Self> {
        let location = Location::caller();
        Ok(Self { io: Registered::new(inner, SourceKind::Other, interest, location)? })
    }

    /// Waits until a read is worth trying.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the registration.
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::READABLE).await
    }

    /// Waits until a write is worth trying.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the registration.
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// Waits until something of this interest is worth trying.
    ///
    /// # Errors
    ///
    /// If the interest is empty, or the kernel refuses the registration.
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let ready = self.io.ready(interest).await?;
        Ok(AsyncFdReadyGuard { fd: self, interest, ready })
    }

    /// Ready when a read is worth trying; else leaves the waker to be woken then: the last one of those that polled.
    /// Tasks that wait in [`readable`](Self::readable) are woken besides.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the registration.
    pub fn poll_read_ready(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        self.poll_ready(cx, Direction::Readable)
    }

    /// Ready when a write is worth trying; else leaves the waker as [`poll_read_ready`](Self::poll_read_ready) does.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the registration.
    pub fn poll_write_ready(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        self.poll_ready(cx, Direction::Writable)
    }

    fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        let ready = ready!(self.io.poll_ready(cx, direction))?;
        Poll::Ready(Ok(AsyncFdReadyGuard { fd: self, interest: direction.into(), ready }))
    }

    /// Makes one attempt at I/O, whatever the readiness. If it would block, nothing of the interest is ready before the
    /// next event.
    ///
    /// # Errors
    ///
    /// What the attempt returns; or an empty interest.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        attempt: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.io.try_io(interest, Transfer::Bytes, || attempt(self.get_ref()))
    }

    /// Repeats an attempt whenever something of the interest is ready, until it does something else than block.
    ///
    /// # Errors
    ///
    /// What the attempt returns; or an empty interest.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut attempt: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.io.async_io(interest, Transfer::Bytes, || attempt(self.get_ref())).await
    }

    /// What was put in.
    pub fn get_ref(&self) -> &T {
        self.io.get()
    }

    /// What was put in. It must go on to stand for the same descriptor.
    pub fn get_mut(&mut self) -> &mut T {
        self.io.get_mut()
    }

    /// Deregisters the descriptor and gives back what was put in.
    pub fn into_inner(self) -> T {
        self.io.into_inner().0
    }

    /// Its token, as the inspector shows it.
    #[must_use]
    pub fn token(&self) -> Token {
        self.io.token()
    }
}

impl<'a, T: AsRawFd> AsyncFdReadyGuard<'a, T> {
    /// Does I/O. If it would block, the descriptor is not ready before the next event.
    ///
    /// # Errors
    ///
    /// `TryIoError` if it would block: wait again. What else the I/O returns is within.
    pub fn try_io<R>(
        &mut self,
        attempt: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        let fd = self.fd;
        match fd.io.try_io(self.interest, Transfer::Bytes, || attempt(fd)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(TryIoError(())),
            done => Ok(done),
        }
    }

    /// Says that the descriptor is not ready any more, in the directions that were waited for. What the kernel has
    /// reported since the guard was given is kept, and so is what nothing clears: closed and error bits.
    pub fn clear_ready(&mut self) {
        self.fd.io.clear(self.interest, self.ready);
    }

    /// What was ready, with all that nothing clears.
    #[must_use]
    pub fn ready(&self) -> Readiness {
        self.ready.readiness
    }

    /// The descriptor.
    #[must_use]
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.fd
    }

    /// What was put into it.
    #[must_use]
    pub fn get_inner(&self) -> &'a T {
        self.fd.get_ref()
    }
}

impl<T: AsRawFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.get_ref().as_raw_fd()
    }
}

impl<T: AsRawFd + AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd")
            .field("token", &self.token())
            .field("inner", self.get_ref())
            .finish()
    }
}

impl<T: AsRawFd + fmt::Debug> fmt::Debug for AsyncFdReadyGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFdReadyGuard")
            .field("fd", self.fd)
            .field("ready", &self.ready())
            .finish()
    }
}

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the I/O would block")
    }
}

impl Error for TryIoError {}
