//! The halves of a connection, for a task that reads and another one that writes.

/// Defines the halves of a connection.
macro_rules! halves {
    ($stream:ident, $source:ty, $address:ty) => {
        use crate::net::stream::ByteStream;
        use crate::net::stream::methods::{either, reading, writing};
        use std::error::Error;
        use std::fmt;
        use std::net::Shutdown;
        use std::rc::Rc;

        /// The reading half of a borrowed stream.
        #[derive(Clone, Copy, Debug)]
        pub struct ReadHalf<'a>(&'a $stream);

        /// The writing half of a borrowed stream.
        #[derive(Clone, Copy, Debug)]
        pub struct WriteHalf<'a>(&'a $stream);

        /// The reading half of a stream that two halves own together.
        #[derive(Debug)]
        pub struct OwnedReadHalf(Rc<$stream>);

        /// The writing half of a stream that two halves own together. Closes its direction when dropped.
        #[derive(Debug)]
        pub struct OwnedWriteHalf {
            stream: Rc<$stream>,
            closes: bool,
        }

        /// Two halves are not of the same stream. Here they are again.
        #[derive(Debug)]
        pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

        impl fmt::Display for ReuniteError {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the halves are not of the same stream")
            }
        }

        impl Error for ReuniteError {}

        pub(super) fn borrow(stream: &$stream) -> (ReadHalf<'_>, WriteHalf<'_>) {
            (ReadHalf(stream), WriteHalf(stream))
        }

        pub(super) fn own(stream: $stream) -> (OwnedReadHalf, OwnedWriteHalf) {
            let stream = Rc::new(stream);
            (OwnedReadHalf(stream.clone()), OwnedWriteHalf { stream, closes: true })
        }

        fn reunite(
            reader: OwnedReadHalf,
            mut writer: OwnedWriteHalf,
        ) -> Result<$stream, ReuniteError> {
            if !Rc::ptr_eq(&reader.0, &writer.stream) {
                return Err(ReuniteError(reader, writer));
            }
            writer.closes = false;
            drop(writer);
            Ok(Rc::into_inner(reader.0).expect("a stream has two halves"))
        }

        impl ReadHalf<'_> {
            fn stream(&self) -> &ByteStream<$source> {
                &self.0.0
            }

            reading!();
            either!($address);
        }

        impl WriteHalf<'_> {
            fn stream(&self) -> &ByteStream<$source> {
                &self.0.0
            }

            writing!();
            either!($address);
        }

        impl OwnedReadHalf {
            fn stream(&self) -> &ByteStream<$source> {
                &self.0.0
            }

            reading!();
            either!($address);

            /// Makes one stream of its two halves again.
            ///
            /// # Errors
            ///
            /// If they are of different streams.
            pub fn reunite(self, writer: OwnedWriteHalf) -> Result<$stream, ReuniteError> {
                reunite(self, writer)
            }
        }

        impl OwnedWriteHalf {
            fn stream(&self) -> &ByteStream<$source> {
                &self.stream.0
            }

            writing!();
            either!($address);

            /// Makes one stream of its two halves again.
            ///
            /// # Errors
            ///
            /// If they are of different streams.
            pub fn reunite(self, reader: OwnedReadHalf) -> Result<$stream, ReuniteError> {
                reunite(reader, self)
            }

            /// Drops the half without closing its direction, which is open as long as the reading half lives.
            pub fn forget(mut self) {
                self.closes = false;
            }
        }

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if self.closes {
                    // The peer may have closed the connection already.
                    let _ = self.stream.shutdown(Shutdown::Write);
                }
            }
        }

        impl AsRef<$stream> for ReadHalf<'_> {
            fn as_ref(&self) -> &$stream {
                self.0
            }
        }

        impl AsRef<$stream> for WriteHalf<'_> {
            fn as_ref(&self) -> &$stream {
                self.0
            }
        }

        impl AsRef<$stream> for OwnedReadHalf {
            fn as_ref(&self) -> &$stream {
                &self.0
            }
        }

        impl AsRef<$stream> for OwnedWriteHalf {
            fn as_ref(&self) -> &$stream {
                &self.stream
            }
        }
    };
}

pub(super) use halves;
