//! hyper's `Read` and `Write` for our byte streams.
//!
//! hyper reads into memory that nobody has initialized. The kernel initializes what it fills, so that nothing has to be
//! zeroed or copied here, at the price of two unsafe calls.

use crate::net::{TcpStream, UnixStream, tcp, unix};
use ::hyper::rt::{Read, ReadBufCursor, Write};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

macro_rules! reading {
    ($($type:ty, $this:ident => $stream:expr;)*) => {$(
        impl Read for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                mut buffer: ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                let $this = self.get_mut();
                // SAFETY: `poll_read_uninit` only writes to it.
                let free = unsafe { buffer.as_mut() };
                $stream.poll_read_uninit(cx, free).map_ok(|bytes| {
                    // SAFETY: it says that it has initialized so many.
                    unsafe { buffer.advance(bytes) };
                })
            }
        }
    )*};
}

macro_rules! writing {
    ($($type:ty, $this:ident => $stream:expr;)*) => {$(
        impl Write for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                let $this = self.get_mut();
                $stream.poll_write(cx, data)
            }

            fn is_write_vectored(&self) -> bool {
                true
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
            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
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
