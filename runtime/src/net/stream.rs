//! Byte streams: what TCP and Unix connections have in common.
//!
//! Knows how to transfer bytes and what a short transfer means, and nothing of addresses. The public types pass on what
//! is here through the macros of [`methods`].

#[cfg(any(feature = "futures-io", feature = "hyper"))]
mod foreign;
pub(super) mod methods;

use crate::io::source::{Attempt, Ready, Registered, Transfer};
use crate::io::{Direction, Interest, SourceKind, Token};
use nexus_protocol::event::{Operation, OperationResult};
use rustix::buffer::spare_capacity;
use rustix::net::RecvFlags;
use socket2::SockRef;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::Location;
use std::task::{Context, Poll};

/// How much room there is for a read to the end at least.
const SPARE_BYTES: usize = 32;
/// How much is made if there is less.
const GROWTH_BYTES: usize = 4096;

/// A registered byte stream.
pub(super) struct ByteStream<S> {
    pub(super) io: Registered<S>,
}

impl<S: AsRawFd> ByteStream<S> {
    /// Registers a stream.
    pub(super) fn new(
        stream: S,
        kind: SourceKind,
        interest: Interest,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        Ok(Self { io: Registered::new(stream, kind, interest, location)? })
    }
}

impl<S> ByteStream<S> {
    pub(super) fn get(&self) -> &S {
        self.io.get()
    }

    pub(super) fn token(&self) -> Token {
        self.io.token()
    }

    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.io.ready(interest).await
    }

    pub(super) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<()>> {
        self.io.poll_ready(cx, direction).map_ok(drop)
    }

    pub(super) fn try_io<R>(
        &self,
        interest: Interest,
        attempt: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        self.io.try_io(interest, Transfer::Bytes, attempt)
    }

    pub(super) async fn async_io<R>(
        &self,
        interest: Interest,
        attempt: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        self.io.async_io(interest, Transfer::Bytes, attempt).await
    }
}

/// Reading.
impl<S> ByteStream<S>
where
    S: AsFd,
    for<'a> &'a S: Read,
{
    pub(super) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.operate(Operation::Read, |stream| read(stream, buffer)).await
    }

    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.try_operate(Operation::Read, |stream| read(stream, buffer))
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.io.poll_operate(cx, Operation::Read, |stream| read(stream, buffer))
    }

    pub(super) async fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.io.operate(Operation::Read, |stream| read_vectored(stream, buffers)).await
    }

    pub(super) fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.io.try_operate(Operation::Read, |stream| read_vectored(stream, buffers))
    }

    pub(super) fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io.poll_operate(cx, Operation::Read, |stream| read_vectored(stream, buffers))
    }

    pub(super) async fn read_exact(&self, mut buffer: &mut [u8]) -> io::Result<()> {
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

    pub(super) async fn read_to_end(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let before = buffer.len();
        loop {
            if buffer.capacity() - buffer.len() < SPARE_BYTES {
                buffer.reserve(GROWTH_BYTES);
            }
            let append = |stream: &S| {
                let spare = buffer.capacity() - buffer.len();
                let bytes = rustix::io::read(stream, spare_capacity(buffer))?;
                Ok(received(bytes, spare))
            };
            if self.io.operate(Operation::Read, append).await? == 0 {
                return Ok(buffer.len() - before);
            }
        }
    }

    pub(super) async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.operate(Operation::Ready, |stream| peek(stream, buffer)).await
    }

    pub(super) fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.try_operate(Operation::Ready, |stream| peek(stream, buffer))
    }

    pub(super) fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.io.poll_operate(cx, Operation::Ready, |stream| peek(stream, buffer))
    }
}

/// Writing.
impl<S> ByteStream<S>
where
    for<'a> &'a S: Write,
{
    pub(super) async fn write(&self, data: &[u8]) -> io::Result<usize> {
        self.io.operate(Operation::Write, |stream| write(stream, data)).await
    }

    pub(super) fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        self.io.try_operate(Operation::Write, |stream| write(stream, data))
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.io.poll_operate(cx, Operation::Write, |stream| write(stream, data))
    }

    pub(super) async fn write_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.io.operate(Operation::Write, |stream| write_vectored(stream, data)).await
    }

    pub(super) fn try_write_vectored(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        self.io.try_operate(Operation::Write, |stream| write_vectored(stream, data))
    }

    pub(super) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io.poll_operate(cx, Operation::Write, |stream| write_vectored(stream, data))
    }

    pub(super) async fn write_all(&self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let bytes = self.write(data).await?;
            if bytes == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            data = &data[bytes..];
        }
        Ok(())
    }
}

/// What any stream socket can do.
impl<S: AsFd> ByteStream<S> {
    pub(super) fn options(&self) -> SockRef<'_> {
        SockRef::from(self.get())
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.options().shutdown(how)
    }
}

fn read<S>(mut stream: &S, buffer: &mut [u8]) -> io::Result<Attempt<usize>>
where
    for<'a> &'a S: Read,
{
    Ok(received(stream.read(buffer)?, buffer.len()))
}

fn read_vectored<S>(mut stream: &S, buffers: &mut [IoSliceMut<'_>]) -> io::Result<Attempt<usize>>
where
    for<'a> &'a S: Read,
{
    let bytes = stream.read_vectored(buffers)?;
    Ok(received(bytes, asked(buffers.iter().map(|buffer| buffer.len()))))
}

fn peek<S: AsFd>(stream: &S, buffer: &mut [u8]) -> io::Result<Attempt<usize>> {
    let (bytes, _) = rustix::net::recv(stream, buffer, RecvFlags::PEEK)?;
    // Not recorded as bytes: they are still to be read.
    Ok(Attempt { value: bytes, result: OperationResult::Done(0), short: false })
}

fn write<S>(mut stream: &S, data: &[u8]) -> io::Result<Attempt<usize>>
where
    for<'a> &'a S: Write,
{
    Ok(sent(stream.write(data)?, data.len()))
}

fn write_vectored<S>(mut stream: &S, data: &[IoSlice<'_>]) -> io::Result<Attempt<usize>>
where
    for<'a> &'a S: Write,
{
    let bytes = stream.write_vectored(data)?;
    Ok(sent(bytes, asked(data.iter().map(|data| data.len()))))
}

/// What a call with these buffers can transfer. The kernel takes so many in one call; less than all of them is no short
/// transfer.
fn asked(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.take(libc::UIO_MAXIOV as usize).sum()
}

fn received(bytes: usize, asked: usize) -> Attempt<usize> {
    let result = match bytes {
        0 if asked != 0 => OperationResult::EndOfFile,
        _ => OperationResult::Done(transferred(bytes)),
    };
    Attempt { value: bytes, result, short: bytes != 0 && bytes < asked }
}

fn sent(bytes: usize, asked: usize) -> Attempt<usize> {
    let result = OperationResult::Done(transferred(bytes));
    Attempt { value: bytes, result, short: bytes < asked }
}

/// Bytes as the recorder counts them.
pub(crate) fn transferred(bytes: usize) -> u32 {
    // One call transfers less than 2 GiB.
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
