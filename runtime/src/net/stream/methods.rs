//! The methods of everything that reads and writes bytes, documented once.
//!
//! Each macro is a part of an `impl` block of a type that has a `stream()`, a [`ByteStream`](super::ByteStream): a
//! connection has all of them, a half those of its direction.

/// Methods of what reads.
macro_rules! reading {
    () => {
        /// Reads what there is, at most as much as fits; zero bytes mean that the peer has closed its side (or that
        /// `buffer` is empty).
        ///
        /// Dropped before it is done, it has read nothing.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub async fn read(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.stream().read(buffer).await
        }

        /// Reads into several buffers, one after the other, by one system call.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub async fn read_vectored(
            &self,
            buffers: &mut [std::io::IoSliceMut<'_>],
        ) -> std::io::Result<usize> {
            self.stream().read_vectored(buffers).await
        }

        /// Reads until the buffer is full.
        ///
        /// # Errors
        ///
        /// `UnexpectedEof` if the peer closes its side first, or what the kernel says. What was read by then is in the
        /// buffer.
        pub async fn read_exact(&self, buffer: &mut [u8]) -> std::io::Result<()> {
            self.stream().read_exact(buffer).await
        }

        /// Appends everything that comes until the peer closes its side, and returns how much that was.
        ///
        /// # Errors
        ///
        /// What the kernel says. What was read by then has been appended, as it has if the future is dropped.
        pub async fn read_to_end(&self, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
            self.stream().read_to_end(buffer).await
        }

        /// Reads as [`read`](Self::read) does, but leaves what it has read for the next read. Waits for the first byte.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub async fn peek(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.stream().peek(buffer).await
        }

        /// Reads without waiting, whatever is known of the readiness.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if there is nothing, or what the kernel says.
        pub fn try_read(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.stream().try_read(buffer)
        }

        /// Reads into several buffers without waiting.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if there is nothing, or what the kernel says.
        pub fn try_read_vectored(
            &self,
            buffers: &mut [std::io::IoSliceMut<'_>],
        ) -> std::io::Result<usize> {
            self.stream().try_read_vectored(buffers)
        }

        /// Peeks without waiting.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if there is nothing, or what the kernel says.
        pub fn try_peek(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.stream().try_peek(buffer)
        }

        /// Waits until a read is worth trying: there is something to read, the peer has closed its side, or the
        /// connection is in error.
        ///
        /// # Errors
        ///
        /// If the kernel refuses the registration.
        pub async fn readable(&self) -> std::io::Result<()> {
            self.stream().ready(crate::io::Interest::READABLE).await.map(drop)
        }

        /// Reads, or leaves the waker to be woken when that is worth trying again.
        ///
        /// Each direction remembers one waker of its `poll_*` methods, the last. Tasks that wait in [`read`](Self::read)
        /// and its like are woken besides.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn poll_read(
            &self,
            cx: &mut std::task::Context<'_>,
            buffer: &mut [u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            self.stream().poll_read(cx, buffer)
        }

        /// Reads into several buffers, or leaves the waker as [`poll_read`](Self::poll_read) does.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn poll_read_vectored(
            &self,
            cx: &mut std::task::Context<'_>,
            buffers: &mut [std::io::IoSliceMut<'_>],
        ) -> std::task::Poll<std::io::Result<usize>> {
            self.stream().poll_read_vectored(cx, buffers)
        }

        /// Peeks, or leaves the waker as [`poll_read`](Self::poll_read) does.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn poll_peek(
            &self,
            cx: &mut std::task::Context<'_>,
            buffer: &mut [u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            self.stream().poll_peek(cx, buffer)
        }

        /// Ready when a read is worth trying; else leaves the waker as [`poll_read`](Self::poll_read) does.
        ///
        /// # Errors
        ///
        /// If the kernel refuses the registration.
        pub fn poll_read_ready(
            &self,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            self.stream().poll_ready(cx, crate::io::Direction::Readable)
        }
    };
}

/// Methods of what writes.
macro_rules! writing {
    () => {
        /// Writes as much as the kernel takes.
        ///
        /// Dropped before it is done, it has written nothing.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub async fn write(&self, data: &[u8]) -> std::io::Result<usize> {
            self.stream().write(data).await
        }

        /// Writes from several buffers, one after the other, by one system call.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub async fn write_vectored(
            &self,
            data: &[std::io::IoSlice<'_>],
        ) -> std::io::Result<usize> {
            self.stream().write_vectored(data).await
        }

        /// Writes all of it.
        ///
        /// # Errors
        ///
        /// What the kernel says. How much was written by then is not known, nor is it if the future is dropped.
        pub async fn write_all(&self, data: &[u8]) -> std::io::Result<()> {
            self.stream().write_all(data).await
        }

        /// Writes without waiting, whatever is known of the readiness.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if the kernel takes nothing now, or what it says.
        pub fn try_write(&self, data: &[u8]) -> std::io::Result<usize> {
            self.stream().try_write(data)
        }

        /// Writes from several buffers without waiting.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if the kernel takes nothing now, or what it says.
        pub fn try_write_vectored(&self, data: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
            self.stream().try_write_vectored(data)
        }

        /// Waits until a write is worth trying. Subscribes to writable.
        ///
        /// # Errors
        ///
        /// If the kernel refuses the registration.
        pub async fn writable(&self) -> std::io::Result<()> {
            self.stream().ready(crate::io::Interest::WRITABLE).await.map(drop)
        }

        /// Writes, or leaves the waker to be woken when that is worth trying again.
        ///
        /// Each direction remembers one waker of its `poll_*` methods, the last. Tasks that wait in
        /// [`write`](Self::write) and its like are woken besides.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn poll_write(
            &self,
            cx: &mut std::task::Context<'_>,
            data: &[u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            self.stream().poll_write(cx, data)
        }

        /// Writes from several buffers, or leaves the waker as [`poll_write`](Self::poll_write) does.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn poll_write_vectored(
            &self,
            cx: &mut std::task::Context<'_>,
            data: &[std::io::IoSlice<'_>],
        ) -> std::task::Poll<std::io::Result<usize>> {
            self.stream().poll_write_vectored(cx, data)
        }

        /// Ready when a write is worth trying; else leaves the waker as [`poll_write`](Self::poll_write) does.
        /// Subscribes to writable.
        ///
        /// # Errors
        ///
        /// If the kernel refuses the registration.
        pub fn poll_write_ready(
            &self,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            self.stream().poll_ready(cx, crate::io::Direction::Writable)
        }
    };
}

/// Methods of connections and of both of their halves.
macro_rules! either {
    ($address:ty) => {
        /// Waits until something of an interest is worth trying, and says what.
        ///
        /// Closed and error bits are there for ever and are always said. Whether a direction is worth trying is what
        /// [`Readiness::is_ready`](crate::io::Readiness::is_ready) says.
        ///
        /// # Errors
        ///
        /// If the interest is empty, or the kernel refuses the registration.
        pub async fn ready(
            &self,
            interest: crate::io::Interest,
        ) -> std::io::Result<crate::io::Readiness> {
            Ok(self.stream().ready(interest).await?.readiness)
        }

        /// Its token, as the inspector shows it.
        #[must_use]
        pub fn token(&self) -> crate::io::Token {
            self.stream().token()
        }

        /// Our address.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn local_addr(&self) -> std::io::Result<$address> {
            self.stream().get().local_addr()
        }

        /// The peer's address.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn peer_addr(&self) -> std::io::Result<$address> {
            self.stream().get().peer_addr()
        }
    };
}

/// Methods of whole connections.
macro_rules! connection {
    ($halves:ident, $std:ty) => {
        /// Makes one attempt at I/O that this type does not know, on its descriptor.
        ///
        /// If it would block, the interest's directions are not ready before the next event; an attempt that returns
        /// `WouldBlock` for another reason makes its direction wait for something that may never come. It is recorded
        /// as a read or a write, by the interest's first direction, of an unknown number of bytes.
        ///
        /// # Errors
        ///
        /// What the attempt returns; or an empty interest.
        pub fn try_io<R>(
            &self,
            interest: crate::io::Interest,
            attempt: impl FnOnce() -> std::io::Result<R>,
        ) -> std::io::Result<R> {
            self.stream().try_io(interest, attempt)
        }

        /// Repeats such an attempt, see [`try_io`](Self::try_io), until it does something else than block.
        ///
        /// # Errors
        ///
        /// What the attempt returns; or an empty interest.
        pub async fn async_io<R>(
            &self,
            interest: crate::io::Interest,
            attempt: impl FnMut() -> std::io::Result<R>,
        ) -> std::io::Result<R> {
            self.stream().async_io(interest, attempt).await
        }

        /// Closes one direction, or both.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn shutdown(&self, how: std::net::Shutdown) -> std::io::Result<()> {
            self.stream().shutdown(how)
        }

        /// The error that the socket has kept for us, which is gone then.
        ///
        /// # Errors
        ///
        /// If the kernel can't be asked.
        pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
            self.stream().options().take_error()
        }

        /// Two halves that borrow the stream.
        #[must_use]
        pub fn split(&self) -> ($halves::ReadHalf<'_>, $halves::WriteHalf<'_>) {
            $halves::borrow(self)
        }

        /// Two halves that own the stream together, for two tasks. The stream is closed when both are dropped; dropping
        /// the writing half closes its direction.
        #[must_use]
        pub fn into_split(self) -> ($halves::OwnedReadHalf, $halves::OwnedWriteHalf) {
            $halves::own(self)
        }

        /// Deregisters it, for use without a runtime. It stays non-blocking.
        ///
        /// # Errors
        ///
        /// If the kernel would not deregister it.
        pub fn into_std(self) -> std::io::Result<$std> {
            let (stream, deregistered) = self.0.io.into_inner();
            deregistered.map(|()| stream.into())
        }
    };
}

pub(in crate::net) use {connection, either, reading, writing};
