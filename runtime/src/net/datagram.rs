//! Datagrams: what UDP and Unix sockets have in common, documented once.
//!
//! A datagram that is shorter than the buffer says nothing of the next one, so only a would-block clears readiness.

use super::stream::transferred;
use crate::io::source::Attempt;
use nexus_protocol::event::OperationResult;
use rustix::net::RecvFlags;
use std::io;
use std::os::fd::AsFd;

/// What a transfer returns: its bytes, and perhaps from whom they are.
pub(super) trait Transferred {
    fn bytes(&self) -> usize;
}

impl Transferred for usize {
    fn bytes(&self) -> usize {
        *self
    }
}

impl<A> Transferred for (usize, A) {
    fn bytes(&self) -> usize {
        self.0
    }
}

/// A datagram that was transferred.
pub(super) fn datagram<T: Transferred>(done: T) -> Attempt<T> {
    let result = OperationResult::Done(transferred(done.bytes()));
    Attempt { value: done, result, short: false }
}

/// A datagram that is still to be received.
pub(super) fn peeked<T>(done: T) -> Attempt<T> {
    Attempt { value: done, result: OperationResult::Done(0), short: false }
}

pub(super) fn peek(socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(socket, buffer, RecvFlags::PEEK)?.1)
}

/// Methods of datagram sockets. A part of an `impl` block of a type whose `io` is a registered socket of std's.
macro_rules! datagrams {
    ($address:ty, $std:ty) => {
        /// Receives a datagram, from the connected peer if there is one. What does not fit is lost.
        ///
        /// Dropped before it is done, it has received nothing.
        ///
        /// # Errors
        ///
        /// What the kernel says; this may be about a datagram that was sent before.
        pub async fn recv(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.io.operate(Operation::Receive, |io| Ok(datagram(io.recv(buffer)?))).await
        }

        /// Receives a datagram, and says from whom.
        ///
        /// # Errors
        ///
        /// As for [`recv`](Self::recv).
        pub async fn recv_from(&self, buffer: &mut [u8]) -> std::io::Result<(usize, $address)> {
            self.io.operate(Operation::Receive, |io| Ok(datagram(io.recv_from(buffer)?))).await
        }

        /// Waits for a datagram and copies it, but leaves it to be received.
        ///
        /// # Errors
        ///
        /// As for [`recv`](Self::recv).
        pub async fn peek(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.io.operate(Operation::Ready, |io| Ok(peeked(peek(io, buffer)?))).await
        }

        /// Receives a datagram that is there.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if there is none, or what the kernel says.
        pub fn try_recv(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.io.try_operate(Operation::Receive, |io| Ok(datagram(io.recv(buffer)?)))
        }

        /// Receives a datagram that is there, and says from whom.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if there is none, or what the kernel says.
        pub fn try_recv_from(&self, buffer: &mut [u8]) -> std::io::Result<(usize, $address)> {
            self.io.try_operate(Operation::Receive, |io| Ok(datagram(io.recv_from(buffer)?)))
        }

        /// Receives a datagram, or leaves the waker to be woken when there is one.
        ///
        /// Each direction remembers one waker of its `poll_*` methods, the last. Tasks that wait in [`recv`](Self::recv)
        /// and its like are woken besides.
        ///
        /// # Errors
        ///
        /// As for [`recv`](Self::recv).
        pub fn poll_recv(
            &self,
            cx: &mut std::task::Context<'_>,
            buffer: &mut [u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            self.io.poll_operate(cx, Operation::Receive, |io| Ok(datagram(io.recv(buffer)?)))
        }

        /// Receives a datagram and says from whom, or leaves the waker as [`poll_recv`](Self::poll_recv) does.
        ///
        /// # Errors
        ///
        /// As for [`recv`](Self::recv).
        pub fn poll_recv_from(
            &self,
            cx: &mut std::task::Context<'_>,
            buffer: &mut [u8],
        ) -> std::task::Poll<std::io::Result<(usize, $address)>> {
            self.io.poll_operate(cx, Operation::Receive, |io| Ok(datagram(io.recv_from(buffer)?)))
        }

        /// Ready when receiving is worth trying; else leaves the waker as [`poll_recv`](Self::poll_recv) does.
        ///
        /// # Errors
        ///
        /// If the kernel refuses the registration.
        pub fn poll_recv_ready(
            &self,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            self.io.poll_ready(cx, Direction::Readable).map_ok(drop)
        }

        /// Sends a datagram to the peer it is connected to.
        ///
        /// # Errors
        ///
        /// What the kernel says; this may be about a datagram that was sent before.
        pub async fn send(&self, data: &[u8]) -> std::io::Result<usize> {
            self.io.operate(Operation::Send, |io| Ok(datagram(io.send(data)?))).await
        }

        /// Sends a datagram without waiting.
        ///
        /// # Errors
        ///
        /// `WouldBlock` if the kernel takes none now, or what it says.
        pub fn try_send(&self, data: &[u8]) -> std::io::Result<usize> {
            self.io.try_operate(Operation::Send, |io| Ok(datagram(io.send(data)?)))
        }

        /// Sends a datagram, or leaves the waker to be woken when that is worth trying again.
        ///
        /// # Errors
        ///
        /// As for [`send`](Self::send).
        pub fn poll_send(
            &self,
            cx: &mut std::task::Context<'_>,
            data: &[u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            self.io.poll_operate(cx, Operation::Send, |io| Ok(datagram(io.send(data)?)))
        }

        /// Ready when sending is worth trying; else leaves the waker as [`poll_send`](Self::poll_send) does. Subscribes
        /// to writable.
        ///
        /// # Errors
        ///
        /// If the kernel refuses the registration.
        pub fn poll_send_ready(
            &self,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            self.io.poll_ready(cx, Direction::Writable).map_ok(drop)
        }

        /// Waits until receiving is worth trying.
        ///
        /// # Errors
        ///
        /// If the kernel refuses the registration.
        pub async fn readable(&self) -> std::io::Result<()> {
            self.io.ready(Interest::READABLE).await.map(drop)
        }

        /// Waits until sending is worth trying. Subscribes to writable.
        ///
        /// # Errors
        ///
        /// If the kernel refuses the registration.
        pub async fn writable(&self) -> std::io::Result<()> {
            self.io.ready(Interest::WRITABLE).await.map(drop)
        }

        /// Waits until something of an interest is worth trying, and says what, with all that nothing clears.
        ///
        /// # Errors
        ///
        /// If the interest is empty, or the kernel refuses the registration.
        pub async fn ready(&self, interest: Interest) -> std::io::Result<crate::io::Readiness> {
            Ok(self.io.ready(interest).await?.readiness)
        }

        /// Makes one attempt at I/O that this type does not know, on its descriptor.
        ///
        /// If it would block, the interest's directions are not ready before the next event. It is recorded as a receive
        /// or a send, by the interest's first direction, of an unknown number of bytes.
        ///
        /// # Errors
        ///
        /// What the attempt returns; or an empty interest.
        pub fn try_io<R>(
            &self,
            interest: Interest,
            attempt: impl FnOnce() -> std::io::Result<R>,
        ) -> std::io::Result<R> {
            self.io.try_io(interest, Transfer::Datagrams, attempt)
        }

        /// Repeats such an attempt, see [`try_io`](Self::try_io), until it does something else than block.
        ///
        /// # Errors
        ///
        /// What the attempt returns; or an empty interest.
        pub async fn async_io<R>(
            &self,
            interest: Interest,
            attempt: impl FnMut() -> std::io::Result<R>,
        ) -> std::io::Result<R> {
            self.io.async_io(interest, Transfer::Datagrams, attempt).await
        }

        /// Our address.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn local_addr(&self) -> std::io::Result<$address> {
            self.io.get().local_addr()
        }

        /// The address of the peer it is connected to.
        ///
        /// # Errors
        ///
        /// What the kernel says, such as that there is none.
        pub fn peer_addr(&self) -> std::io::Result<$address> {
            self.io.get().peer_addr()
        }

        /// The error that the socket has kept for us, which is gone then.
        ///
        /// # Errors
        ///
        /// If the kernel can't be asked.
        pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
            self.io.get().take_error()
        }

        /// Its token, as the inspector shows it.
        #[must_use]
        pub fn token(&self) -> crate::io::Token {
            self.io.token()
        }

        /// Deregisters it, for use without a runtime. It stays non-blocking.
        ///
        /// # Errors
        ///
        /// If the kernel would not deregister it.
        pub fn into_std(self) -> std::io::Result<$std> {
            let (socket, deregistered) = self.io.into_inner();
            deregistered.map(|()| socket)
        }
    };
}

pub(super) use datagrams;
