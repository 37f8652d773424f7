//! The wait of one asynchronous operation.

use crate::context;
use crate::io::{Token, TokenError};
use crate::runtime::Core;
use nexus_protocol::Direction;
use nexus_protocol::event::WaitOutcome;
use std::task::Waker;

/// See the [module](self). Leaves nothing behind that could still wake when it is dropped.
pub(super) struct Wait {
    token: Token,
    direction: Direction,
    key: Option<u64>,
}

impl Wait {
    pub(super) fn new(token: Token, direction: Direction) -> Self {
        Self { token, direction, key: None }
    }

    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// Makes sure that `waker` is fired when the direction becomes ready.
    pub(super) fn begin(&mut self, core: &Core, waker: &Waker) -> Result<(), TokenError> {
        match self.key {
            Some(key) => core.renew_wait(self.token, self.direction, key, waker),
            None => {
                let key = core.driver.next_wait();
                self.key = Some(key);
                core.begin_wait(self.token, self.direction, key, waker.clone())
            }
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        context::with_runtime(self.token.runtime, |core| {
            core.end_wait(self.token, self.direction, key, WaitOutcome::Dropped);
        });
    }
}
