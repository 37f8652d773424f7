//! A TCP connection.

use super::addresses::{ToSocketAddrs, first_of};
use super::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::io::source::{Attempt, Registered};
use crate::io::{Direction, Interest, SourceKind, Token};
use nexus_protocol::event::{Operation, OperationResult};
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::panic::Location;
use std::task::{Context, Poll};

/// A TCP connection.
///
/// # Examples
///
/// ```no_run
/// use nexus_runtime::net::TcpStream;
///
/// # async fn ask() -> std::io::Result<()> {
/// let stream = TcpStream::connect("127.0.0.1:7007").await?;
/// stream.write_all(b"ping").await?;
/// let mut answer = [0; 4];
/// stream.read_exact(&mut answer).await?;
/// # Ok(())
/// # }
/// ```
pub struct TcpStream {
    io: Registered<mio::net::TcpStream>,
}

impl TcpStream {
    /// Connects to this address; if there are several, to the first one that answers.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as a refused connection; or no slot left.
    ///
    /// # Panics
    ///
    /// When polled outside of `Runtime::block_on`.
    #[track_caller]
    pub fn connect(addresses: impl ToSocketAddrs) -> impl Future<Output = io::Result<Self>> {
        let location = Location::caller();
        let addresses = addresses.addresses();
        first_of(addresses, async move |address| {
            Self::connecting(mio::net::TcpStream::connect(address)?, address, location).await
        })
    }

    /// Waits until a connection that has been begun is made.
    async fn connecting(
        stream: mio::net::TcpStream,
        peer: SocketAddr,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        // The kernel reports a connection that is made, or has failed, as writable.
        let io = Registered::new(stream, SourceKind::TcpStream, Interest::WRITABLE, location)?;
        io.note_addresses(None, Some(peer));
        let local = io.operate(Operation::Connect, try_connected).await?;
        io.note_addresses(Some(local), Some(peer));
        io.set_interest(Interest::READABLE)?;
        Ok(Self { io })
    }

    /// A connection that a listener on `listening` has accepted.
    pub(super) fn accepted(
        stream: mio::net::TcpStream,
        listening: SocketAddr,
        peer: SocketAddr,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        // Only a listener on all addresses has to ask which one the peer used.
        let local = if listening.ip().is_unspecified() {
            stream.local_addr().ok()
        } else {
            Some(listening)
        };
        let io = Registered::new(stream, SourceKind::TcpStream, Interest::READABLE, location)?;
        io.note_addresses(local, Some(peer));
        Ok(Self { io })
    }

    /// Reads what there is, at most as much as fits; zero bytes mean that the peer has closed its side (or that `buffer`
    /// is empty).
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.operate(Operation::Read, |stream| read_once(stream, buffer)).await
    }

    /// Reads without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is nothing, or what the kernel says.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.try_operate(Operation::Read, |stream| read_once(stream, buffer))
    }

    /// Reads until the buffer is full.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the peer closes its side first, or what the kernel says. What was read by then is in the
    /// buffer.
    pub async fn read_exact(&self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let bytes = self.read(buffer).await?;
            if bytes == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the peer closed the connection early",
                ));
            }
            buffer = &mut buffer[bytes..];
        }
        Ok(())
    }

    /// Writes as much as the kernel takes.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub async fn write(&self, data: &[u8]) -> io::Result<usize> {
        self.io.operate(Operation::Write, |stream| write_once(stream, data)).await
    }

    /// Writes without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the kernel takes nothing now, or what it says.
    pub fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        self.io.try_operate(Operation::Write, |stream| write_once(stream, data))
    }

    /// Reads, or leaves the waker to be woken when that is worth trying again.
    ///
    /// A direction remembers one waker of all its `poll_*` methods: the last. Tasks that wait in `read` and the other
    /// asynchronous methods are woken besides.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.io.poll_operate(cx, Operation::Read, |stream| read_once(stream, buffer))
    }

    /// Looks at what a read would return, without taking it; or leaves the waker as [`TcpStream::poll_read`] does.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.io.poll_operate(cx, Operation::Ready, |stream| peek_once(stream, buffer))
    }

    /// Ready when a read is worth trying; else leaves the waker as [`TcpStream::poll_read`] does.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the registration.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_ready(cx, Direction::Readable)
    }

    /// Writes, or leaves the waker to be woken when that is worth trying again: one for the direction, the last.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.io.poll_operate(cx, Operation::Write, |stream| write_once(stream, data))
    }

    /// Writes from several buffers, in one system call, or leaves the waker as [`TcpStream::poll_write`] does.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io.poll_operate(cx, Operation::Write, |stream| write_vectored_once(stream, data))
    }

    /// Ready when a write is worth trying; else leaves the waker as [`TcpStream::poll_write`] does. Subscribes to
    /// writable.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the registration.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_ready(cx, Direction::Writable)
    }

    /// Writes all of it.
    ///
    /// # Errors
    ///
    /// What the kernel says. How much was written by then is not known.
    pub async fn write_all(&self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let bytes = self.write(data).await?;
            if bytes == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            data = &data[bytes..];
        }
        Ok(())
    }

    /// Waits until a read is worth trying.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the registration.
    pub async fn readable(&self) -> io::Result<()> {
        self.io.ready(Direction::Readable).await
    }

    /// Waits until a write is worth trying. Subscribes to writable.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the registration.
    pub async fn writable(&self) -> io::Result<()> {
        self.io.ready(Direction::Writable).await
    }

    /// Closes one direction, or both.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get().shutdown(how)
    }

    /// Whether small writes go out at once, instead of being gathered.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.get().set_nodelay(nodelay)
    }

    /// Our address.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    /// The peer's address.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().peer_addr()
    }

    /// Its token, as the inspector shows it.
    #[must_use]
    pub fn token(&self) -> Token {
        self.io.token()
    }

    /// Two halves that borrow the stream.
    #[must_use]
    pub fn split(&self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// Two halves that own the stream together, for two tasks. The stream is closed when both are dropped; dropping the
    /// writing half closes its direction.
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split::own(self)
    }
}

/// Whether a connection attempt has ended, and how: our address if it is made.
fn try_connected(stream: &mio::net::TcpStream) -> io::Result<Attempt<SocketAddr>> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(Attempt {
            value: stream.local_addr()?,
            result: OperationResult::Done(0),
            short: false,
        }),
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        Err(error) => Err(error),
    }
}

fn read_once(mut stream: &mio::net::TcpStream, buffer: &mut [u8]) -> io::Result<Attempt<usize>> {
    let bytes = stream.read(buffer)?;
    let result = if bytes == 0 && !buffer.is_empty() {
        OperationResult::EndOfFile
    } else {
        OperationResult::Done(transferred(bytes))
    };
    Ok(Attempt { value: bytes, result, short: bytes != 0 && bytes < buffer.len() })
}

fn peek_once(stream: &mio::net::TcpStream, buffer: &mut [u8]) -> io::Result<Attempt<usize>> {
    // Not recorded as bytes: they are still to be read.
    Ok(Attempt { value: stream.peek(buffer)?, result: OperationResult::Done(0), short: false })
}

fn write_once(mut stream: &mio::net::TcpStream, data: &[u8]) -> io::Result<Attempt<usize>> {
    let bytes = stream.write(data)?;
    Ok(written(bytes, data.len()))
}

fn write_vectored_once(
    mut stream: &mio::net::TcpStream,
    data: &[IoSlice<'_>],
) -> io::Result<Attempt<usize>> {
    let bytes = stream.write_vectored(data)?;
    // Only the first buffers count if there are more than the kernel takes in one call, which is not a short write.
    let asked = data.iter().take(libc::UIO_MAXIOV as usize).map(|slice| slice.len()).sum();
    Ok(written(bytes, asked))
}

fn written(bytes: usize, asked: usize) -> Attempt<usize> {
    let result = OperationResult::Done(transferred(bytes));
    Attempt { value: bytes, result, short: bytes < asked }
}

fn transferred(bytes: usize) -> u32 {
    // One call transfers less than 2 GiB.
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("token", &self.token())
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish()
    }
}
