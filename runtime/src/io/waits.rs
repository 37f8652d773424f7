//! Who sleeps on a token, and until when.
//!
//! Each direction has one waker that is set by hand or by `poll_*`, and a list of those of asynchronous operations. The
//! driver fires them all at the next event; what is here begins a wait, and ends one that nobody needs any more.
//!
//! A waker may be foreign code that comes back here when it is cloned or dropped, so no slot is borrowed then.

use super::slots::Waiter;
use super::token::{Token, TokenError};
use crate::runtime::Core;
use nexus_protocol::Direction;
use nexus_protocol::event::{WaitFor, WaitOutcome};
use std::task::Waker;

impl Core {
    /// Sets the one waker that a direction of a token has for the raw handle and for `poll_*`.
    pub(crate) fn set_waker(
        &self,
        token: Token,
        direction: Direction,
        waker: &Waker,
    ) -> Result<(), TokenError> {
        let waits = self.with_slot(token, |slot| {
            slot.raw(direction).as_ref().is_some_and(|waiter| waiter.waker.will_wake(waker))
        })?;
        if waits {
            return Ok(());
        }
        let waker = waker.clone();
        self.clear_waker(token, direction, WaitOutcome::Dropped)?;
        let wait = self.recorder.wait_begin(WaitFor::Token(token.id, direction));
        let waiter = Waiter { waker, wait };
        let raced = self.with_slot(token, |slot| slot.raw(direction).replace(waiter))?;
        self.end_waiter(token, direction, raced, WaitOutcome::Dropped);
        Ok(())
    }

    /// Takes out the waker that [`Core::set_waker`] has set, if it was not fired.
    pub(crate) fn clear_waker(
        &self,
        token: Token,
        direction: Direction,
        outcome: WaitOutcome,
    ) -> Result<(), TokenError> {
        let waiter = self.with_slot(token, |slot| slot.raw(direction).take())?;
        self.end_waiter(token, direction, waiter, outcome);
        Ok(())
    }

    /// Begins a wait under a key that is not in use.
    pub(crate) fn begin_wait(
        &self,
        token: Token,
        direction: Direction,
        key: u64,
        waker: Waker,
    ) -> Result<(), TokenError> {
        let target = WaitFor::Token(token.id, direction);
        let wait = self.recorder.wait_begin(target);
        let waiter = Waiter { waker, wait };
        self.with_slot(token, |slot| slot.add_keyed(direction, key, waiter)).inspect_err(|_| {
            self.recorder.wait_end(wait, target, WaitOutcome::Dropped);
        })
    }

    /// Makes sure that the wait with this key wakes `waker`. Begins a new one if it has ended.
    pub(crate) fn renew_wait(
        &self,
        token: Token,
        direction: Direction,
        key: u64,
        waker: &Waker,
    ) -> Result<(), TokenError> {
        let waits = self.with_slot(token, |slot| {
            slot.keyed(direction, key).map(|waiter| waiter.waker.will_wake(waker))
        })?;
        if waits == Some(true) {
            return Ok(());
        }
        let waker = waker.clone();
        let renewed = self.with_slot(token, |slot| match slot.keyed(direction, key) {
            Some(waiter) => Ok(std::mem::replace(&mut waiter.waker, waker)),
            None => Err(waker),
        })?;
        match renewed {
            Ok(_replaced) => Ok(()),
            Err(waker) => self.begin_wait(token, direction, key, waker),
        }
    }

    /// Ends a wait whose future is dropped, or has what it wanted.
    pub(crate) fn end_wait(
        &self,
        token: Token,
        direction: Direction,
        key: u64,
        outcome: WaitOutcome,
    ) {
        if let Ok(waiter) = self.with_slot(token, |slot| slot.remove_keyed(direction, key)) {
            self.end_waiter(token, direction, waiter, outcome);
        }
    }

    fn end_waiter(
        &self,
        token: Token,
        direction: Direction,
        waiter: Option<Waiter>,
        outcome: WaitOutcome,
    ) {
        if let Some(waiter) = waiter {
            self.recorder.wait_end(waiter.wait, WaitFor::Token(token.id, direction), outcome);
        }
    }
}
