//! `AsyncRead` and `AsyncWrite` of the `futures-io` crate, for our byte streams and their halves.
//!
//! This is what runtime-agnostic libraries ask of a stream. Each implementation is the stream's own `poll_*` method and
//! nothing else, so that the recorder sees the same operations either way. As there, each direction has one waker: the
//! last task that polled it.

use crate::net::{TcpStream, UnixStream, tcp, unix};
use ::futures_io::{AsyncRead, AsyncWrite};
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

macro_rules! reading {
    ($($type:ty, $this:ident => $stream:expr;)*) => {$(
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let $this = self.get_mut();
                $stream.poll_read(cx, buffer)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let $this = self.get_mut();
                $stream.poll_read_vectored(cx, buffers)
            }
        }
    )*};
}

macro_rules! writing {
    ($($type:ty, $this:ident => $stream:expr;)*) => {$(
        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                let $this = self.get_mut();
                $stream.poll_write(cx, data)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let $this = self.get_mut();
                $stream.poll_write_vectored(cx, data)
            }

            /// Ready at once: nothing is held back here.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Closes the writing direction. A connection that is closed already is no error.
            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $this = self.get_mut();
                Poll::Ready($stream.close_writing())
            }
        }
    )*};
}

reading! {
    TcpStream, stream => stream;
    &TcpStream, stream => stream;
    tcp::ReadHalf<'_>, half => half.as_ref();
    tcp::OwnedReadHalf, half => half.as_ref();
    UnixStream, stream => stream;
    &UnixStream, stream => stream;
    unix::ReadHalf<'_>, half => half.as_ref();
    unix::OwnedReadHalf, half => half.as_ref();
}

writing! {
    TcpStream, stream => stream;
    &TcpStream, stream => stream;
    tcp::WriteHalf<'_>, half => half.as_ref();
    tcp::OwnedWriteHalf, half => half.as_ref();
    UnixStream, stream => stream;
    &UnixStream, stream => stream;
    unix::WriteHalf<'_>, half => half.as_ref();
    unix::OwnedWriteHalf, half => half.as_ref();
}
