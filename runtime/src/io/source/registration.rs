//! A token that is given back when it goes out of scope.

use crate::context;
use crate::io::driver::Description;
use crate::io::{Token, runtime_gone};
use crate::runtime::Core;
use mio::unix::SourceFd;
use nexus_protocol::Interest;
use nexus_protocol::event::SourceKind;
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::os::fd::RawFd;
use std::panic::Location;

/// The registration of a descriptor that somebody else owns. To be dropped before the descriptor is closed.
pub(super) struct Registration {
    token: Token,
    fd: RawFd,
    /// Its runtime is found through the thread.
    not_send: PhantomData<*const ()>,
}

impl Registration {
    /// Registers with the runtime this thread is inside of.
    #[track_caller]
    pub(super) fn new(
        fd: RawFd,
        kind: SourceKind,
        interest: Interest,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        let description = Description { kind, fd, location };
        let token = context::with(|core| core.register(&mut SourceFd(&fd), interest, description))?;
        Ok(Self { token, fd, not_send: PhantomData })
    }

    pub(super) fn token(&self) -> Token {
        self.token
    }

    #[inline]
    pub(super) fn core<R>(&self, body: impl FnOnce(&Core) -> R) -> io::Result<R> {
        context::with_runtime(self.token.runtime, body).ok_or_else(runtime_gone)
    }

    /// Registers for exactly this interest.
    pub(super) fn set_interest(&self, core: &Core, interest: Interest) -> io::Result<()> {
        if core.interest(self.token)? == interest {
            return Ok(());
        }
        core.reregister(self.token, &mut SourceFd(&self.fd), interest)
    }

    /// Registers for this as well. The kernel says then what is ready.
    pub(super) fn widen(&self, core: &Core, more: Interest) -> io::Result<()> {
        let interest = core.interest(self.token)?;
        if interest.contains(more) {
            return Ok(());
        }
        core.reregister(self.token, &mut SourceFd(&self.fd), interest | more)
    }

    /// Deregisters, and says if the kernel refuses. The token is given back all the same.
    pub(super) fn end(self) -> io::Result<()> {
        ManuallyDrop::new(self).deregister()
    }

    fn deregister(&self) -> io::Result<()> {
        // Without a runtime there is nothing to give back: the kernel forgets the descriptor when it is closed.
        context::with_runtime(self.token.runtime, |core| {
            core.deregister(self.token, &mut SourceFd(&self.fd))
        })
        .unwrap_or(Ok(()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // A failure is recorded.
        let _ = self.deregister();
    }
}
