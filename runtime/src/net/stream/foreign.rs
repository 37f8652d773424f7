//! What the traits of other libraries ask of a byte stream, beyond its own methods.
//!
//! Knows no library: the traits themselves are implemented in `futures_io.rs` and `hyper/io.rs`.

use super::ByteStream;
use crate::net::{TcpStream, UnixStream};
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;

impl<S: AsFd> ByteStream<S> {
    fn close_writing(&self) -> io::Result<()> {
        match self.shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }
}

macro_rules! closing {
    ($($stream:ty),*) => {$(
        impl $stream {
            /// Closes the writing direction. One that is closed already, by whichever side, is no error.
            pub(crate) fn close_writing(&self) -> io::Result<()> {
                self.0.close_writing()
            }
        }
    )*};
}

closing!(TcpStream, UnixStream);

#[cfg(feature = "hyper")]
mod uninit {
    use super::super::{ByteStream, received};
    use crate::net::{TcpStream, UnixStream};
    use nexus_protocol::event::Operation;
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::AsFd;
    use std::task::{Context, Poll};

    impl<S: AsFd> ByteStream<S> {
        fn poll_read_uninit(
            &self,
            cx: &mut Context<'_>,
            buffer: &mut [MaybeUninit<u8>],
        ) -> Poll<io::Result<usize>> {
            self.io.poll_operate(cx, Operation::Read, |stream| {
                let (filled, free) = rustix::io::read(stream, &mut *buffer)?;
                Ok(received(filled.len(), filled.len() + free.len()))
            })
        }
    }

    macro_rules! reading {
        ($($stream:ty),*) => {$(
            impl $stream {
                /// Reads into memory that nobody has initialized. The first bytes are, as many as it says, when it has
                /// read.
                pub(crate) fn poll_read_uninit(
                    &self,
                    cx: &mut Context<'_>,
                    buffer: &mut [MaybeUninit<u8>],
                ) -> Poll<io::Result<usize>> {
                    self.0.poll_read_uninit(cx, buffer)
                }
            }
        )*};
    }

    reading!(TcpStream, UnixStream);
}
