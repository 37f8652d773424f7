//! The halves of a TCP stream, for a task that reads and another one that writes.

use super::TcpStream;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::ops::Deref;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The reading half of a borrowed stream.
#[derive(Clone, Copy, Debug)]
pub struct ReadHalf<'a>(pub(super) &'a TcpStream);

/// The writing half of a borrowed stream.
#[derive(Clone, Copy, Debug)]
pub struct WriteHalf<'a>(pub(super) &'a TcpStream);

/// The reading half of a stream that two halves own together.
#[derive(Debug)]
pub struct OwnedReadHalf(Rc<TcpStream>);

/// The writing half of a stream that two halves own together. Closes its direction when dropped.
#[derive(Debug)]
pub struct OwnedWriteHalf(Rc<TcpStream>);

pub(super) fn own(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Rc::new(stream);
    (OwnedReadHalf(stream.clone()), OwnedWriteHalf(stream))
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        // The peer may have closed the connection already.
        let _ = self.0.shutdown(Shutdown::Write);
    }
}

macro_rules! reading {
    ($half:ty) => {
        impl $half {
            /// See [`TcpStream::read`].
            ///
            /// # Errors
            ///
            /// As there.
            pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.read(buffer).await
            }

            /// See [`TcpStream::read_exact`].
            ///
            /// # Errors
            ///
            /// As there.
            pub async fn read_exact(&self, buffer: &mut [u8]) -> io::Result<()> {
                self.0.read_exact(buffer).await
            }

            /// See [`TcpStream::poll_read`].
            ///
            /// # Errors
            ///
            /// As there.
            pub fn poll_read(
                &self,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_read(cx, buffer)
            }

            /// See [`TcpStream::poll_peek`].
            ///
            /// # Errors
            ///
            /// As there.
            pub fn poll_peek(
                &self,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_peek(cx, buffer)
            }

            /// See [`TcpStream::poll_read_ready`].
            ///
            /// # Errors
            ///
            /// As there.
            pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll_read_ready(cx)
            }
        }

        impl AsRef<TcpStream> for $half {
            fn as_ref(&self) -> &TcpStream {
                self.0.deref()
            }
        }
    };
}

macro_rules! writing {
    ($half:ty) => {
        impl $half {
            /// See [`TcpStream::write`].
            ///
            /// # Errors
            ///
            /// As there.
            pub async fn write(&self, data: &[u8]) -> io::Result<usize> {
                self.0.write(data).await
            }

            /// See [`TcpStream::write_all`].
            ///
            /// # Errors
            ///
            /// As there.
            pub async fn write_all(&self, data: &[u8]) -> io::Result<()> {
                self.0.write_all(data).await
            }

            /// See [`TcpStream::poll_write`].
            ///
            /// # Errors
            ///
            /// As there.
            pub fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
                self.0.poll_write(cx, data)
            }

            /// See [`TcpStream::poll_write_vectored`].
            ///
            /// # Errors
            ///
            /// As there.
            pub fn poll_write_vectored(
                &self,
                cx: &mut Context<'_>,
                data: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_write_vectored(cx, data)
            }

            /// See [`TcpStream::poll_write_ready`].
            ///
            /// # Errors
            ///
            /// As there.
            pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll_write_ready(cx)
            }
        }

        impl AsRef<TcpStream> for $half {
            fn as_ref(&self) -> &TcpStream {
                self.0.deref()
            }
        }
    };
}

reading!(ReadHalf<'_>);
reading!(OwnedReadHalf);
writing!(WriteHalf<'_>);
writing!(OwnedWriteHalf);
