//! The slot table: one entry a token, reused through an intrusive freelist.
//!
//! Claiming and releasing are O(1) and last in, first out, so that the warmest slot is used next. A generation a slot
//! tells its owners apart: what a token of an earlier one asks for is refused, whatever it is.
//!
//! Knows no kernel and no recorder.

use crate::record::WaitProbe;
use nexus_protocol::event::RefusalReason;
use nexus_protocol::{Direction, Interest, Readiness, TokenId};
use std::task::Waker;

/// See the [module](self).
pub(crate) struct Slots {
    slots: Vec<Slot>,
    /// The head of the freelist.
    free: Option<u32>,
    live: u32,
    limit: u32,
}

/// What one token has.
pub(crate) struct Slot {
    generation: u32,
    use_: Use,
    pub(crate) readiness: Readiness,
    pub(crate) interest: Interest,
    /// How often the kernel has reported something of this token.
    pub(crate) reports: u32,
    readable: Side,
    writable: Side,
}

/// What an operation in one direction has to know of its token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    /// An attempt may succeed: the kernel has said so, and none has found the opposite since.
    pub(crate) ready: bool,
    /// The kernel will say when that changes.
    pub(crate) subscribed: bool,
    /// A waker is set that is not of an asynchronous operation's wait.
    pub(crate) polled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Live,
    Free { next: Option<u32> },
}

/// One direction of a token.
#[derive(Default)]
struct Side {
    /// An attempt would have blocked, and no event has come since. Needed beside the readiness, since bits that nothing
    /// clears (closed, error) call a direction ready that may block all the same.
    blocked: bool,
    /// The waiter of the raw handle and of `poll_*` methods, of which there is one a direction.
    raw: Option<Waiter>,
    /// Those of asynchronous operations, each with the key of its wait.
    keyed: Vec<(u64, Waiter)>,
}

/// A task asleep on a direction of a token.
pub(crate) struct Waiter {
    pub(crate) waker: Waker,
    pub(crate) wait: WaitProbe,
}

/// All slots are in use, and there may be no more.
#[derive(Debug, thiserror::Error)]
#[error("all {limit} slots are in use: raise Builder::max_slots, or find out who keeps them")]
pub(crate) struct Exhausted {
    limit: u32,
}

impl Slots {
    /// A table with `initial` free slots that grows up to `limit`.
    pub(crate) fn new(initial: u32, limit: u32) -> Self {
        let mut slots = Self { slots: Vec::new(), free: None, live: 0, limit };
        slots.grow_to(initial.min(limit));
        slots
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.slots.len() as u32
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// Adds free slots, so that the lowest of them is claimed first.
    fn grow_to(&mut self, capacity: u32) {
        let first = self.capacity();
        let old_free = self.free;
        self.slots.extend((first..capacity).map(|index| Slot {
            generation: 0,
            use_: Use::Free { next: if index + 1 < capacity { Some(index + 1) } else { old_free } },
            readiness: Readiness::EMPTY,
            interest: Interest::EMPTY,
            reports: 0,
            readable: Side::default(),
            writable: Side::default(),
        }));
        if first < capacity {
            self.free = Some(first);
        }
    }

    /// Takes a slot. The table doubles if there is none; whether it did is the second part of the result.
    pub(crate) fn claim(&mut self) -> Result<(TokenId, bool), Exhausted> {
        let grown = self.free.is_none();
        if grown {
            let capacity = self.capacity();
            self.grow_to(capacity.saturating_mul(2).max(4).min(self.limit));
        }
        let index = self.free.ok_or(Exhausted { limit: self.limit })?;
        let slot = &mut self.slots[index as usize];
        let Use::Free { next } = slot.use_ else {
            unreachable!("the freelist holds free slots only")
        };
        self.free = next;
        self.live += 1;
        slot.use_ = Use::Live;
        slot.generation = slot.generation.wrapping_add(1);
        debug_assert!(slot.readiness.is_empty() && slot.interest.is_empty(), "reset on release");
        Ok((TokenId { slot: index, generation: slot.generation }, grown))
    }

    /// Gives a slot back, and with it everything that was known of its token.
    pub(crate) fn release(&mut self, token: TokenId) -> Result<Released, RefusalReason> {
        let free = self.free;
        let slot = self.get_mut(token)?;
        slot.use_ = Use::Free { next: free };
        let readiness = std::mem::take(&mut slot.readiness);
        let mut waiters = Vec::new();
        for direction in Direction::BOTH {
            waiters.extend(slot.take_waiters(direction).map(|waiter| (direction, waiter)));
            slot.side(direction).blocked = false;
        }
        let released = Released { readiness, waiters };
        slot.interest = Interest::EMPTY;
        self.free = Some(token.slot);
        self.live -= 1;
        Ok(released)
    }

    /// The slot of a token, if the token is live.
    pub(crate) fn get_mut(&mut self, token: TokenId) -> Result<&mut Slot, RefusalReason> {
        let slot = self.slots.get_mut(token.slot as usize).ok_or(RefusalReason::Unknown)?;
        slot.check(token)?;
        Ok(slot)
    }

    /// The generation a slot has now; zero if it was never used.
    pub(crate) fn generation(&self, slot: u32) -> u32 {
        self.slots.get(slot as usize).map_or(0, |slot| slot.generation)
    }
}

/// What a released token leaves behind.
pub(crate) struct Released {
    pub(crate) readiness: Readiness,
    /// Waits that nobody will end any more.
    pub(crate) waiters: Vec<(Direction, Waiter)>,
}

impl Slot {
    fn check(&self, token: TokenId) -> Result<(), RefusalReason> {
        if self.generation == token.generation && self.use_ == Use::Live {
            Ok(())
        } else {
            Err(RefusalReason::Stale)
        }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Readable => &mut self.readable,
            Direction::Writable => &mut self.writable,
        }
    }

    /// See [`State`].
    pub(crate) fn state(&mut self, direction: Direction) -> State {
        let (ready, subscribed) =
            (self.readiness.is_ready(direction), self.interest.contains(direction.into()));
        let side = self.side(direction);
        State { ready: ready && !side.blocked, subscribed, polled: side.raw.is_some() }
    }

    /// What is ready of an interest, with all that nothing clears.
    pub(crate) fn ready(&mut self, interest: Interest) -> Readiness {
        let mut ready = Readiness::EMPTY;
        for direction in directions(interest) {
            if self.state(direction).ready {
                ready |= self.readiness & (Readiness::STICKY | own_bits(direction));
            }
        }
        ready
    }

    /// Takes in what the kernel says. The readiness before and after.
    pub(crate) fn report(&mut self, reported: Readiness) -> (Readiness, Readiness) {
        for direction in Direction::BOTH {
            if reported.is_ready(direction) {
                self.side(direction).blocked = false;
            }
        }
        self.reports = self.reports.wrapping_add(1);
        let before = self.readiness;
        self.readiness |= reported;
        (before, self.readiness)
    }

    /// Takes away what an operation may consume. The readiness before and after.
    pub(crate) fn consume(&mut self, direction: Direction) -> (Readiness, Readiness) {
        let before = self.readiness;
        self.readiness = before.without(own_bits(direction));
        (before, self.readiness)
    }

    /// Notes that an attempt would have blocked.
    pub(crate) fn block(&mut self, direction: Direction) {
        self.side(direction).blocked = true;
    }

    /// Takes all who wait for this direction.
    pub(crate) fn take_waiters(&mut self, direction: Direction) -> impl Iterator<Item = Waiter> {
        let side = self.side(direction);
        side.raw.take().into_iter().chain(side.keyed.drain(..).map(|(_, waiter)| waiter))
    }

    /// The waiter of the raw handle and of `poll_*`.
    pub(crate) fn raw(&mut self, direction: Direction) -> &mut Option<Waiter> {
        &mut self.side(direction).raw
    }

    /// The waiter with this key, if it still waits.
    pub(crate) fn keyed(&mut self, direction: Direction, key: u64) -> Option<&mut Waiter> {
        self.side(direction)
            .keyed
            .iter_mut()
            .find(|(other, _)| *other == key)
            .map(|(_, waiter)| waiter)
    }

    /// Adds a waiter under a key that is not in use.
    pub(crate) fn add_keyed(&mut self, direction: Direction, key: u64, waiter: Waiter) {
        self.side(direction).keyed.push((key, waiter));
    }

    /// Takes the waiter with this key out, if it still waits.
    pub(crate) fn remove_keyed(&mut self, direction: Direction, key: u64) -> Option<Waiter> {
        let keyed = &mut self.side(direction).keyed;
        let index = keyed.iter().position(|(other, _)| *other == key)?;
        // Not `swap_remove`: waiters are woken in the order in which they came.
        Some(keyed.remove(index).1)
    }
}

/// The bits that an operation in this direction consumes.
pub(crate) fn own_bits(direction: Direction) -> Readiness {
    match direction {
        Direction::Readable => Readiness::READABLE | Readiness::PRIORITY,
        Direction::Writable => Readiness::WRITABLE,
    }
}

/// The directions in which somebody with this interest waits.
pub(crate) fn directions(interest: Interest) -> impl Iterator<Item = Direction> {
    let readable = Interest::READABLE | Interest::PRIORITY;
    [(Direction::Readable, readable), (Direction::Writable, Interest::WRITABLE)]
        .into_iter()
        .filter(move |&(_, own)| interest.intersects(own))
        .map(|(direction, _)| direction)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn slots_are_reused_last_in_first_out_with_a_new_generation() {
        let mut slots = Slots::new(4, 8);
        let (first, grown) = slots.claim().unwrap();
        let (second, _) = slots.claim().unwrap();
        assert_eq!((first.slot, second.slot, grown), (0, 1, false));
        slots.release(first).unwrap();
        slots.release(second).unwrap();
        let (third, _) = slots.claim().unwrap();
        assert_eq!(third, TokenId { slot: 1, generation: 2 });
        assert_eq!(slots.live(), 1);
    }

    #[test]
    fn a_stale_token_is_refused_and_changes_nothing() {
        let mut slots = Slots::new(0, 8);
        let (token, grown) = slots.claim().unwrap();
        assert!(grown, "an empty table grows on the first claim");
        slots.release(token).unwrap();
        assert_eq!(slots.release(token).err(), Some(RefusalReason::Stale));
        let unknown = TokenId { slot: 77, generation: 1 };
        assert_eq!(slots.release(unknown).err(), Some(RefusalReason::Unknown));
        let claimed: Vec<_> = (0..8).map(|_| slots.claim().unwrap().0.slot).collect();
        let distinct: std::collections::BTreeSet<_> = claimed.iter().collect();
        assert_eq!(distinct.len(), 8, "no slot goes to two owners: {claimed:?}");
        assert!(slots.claim().is_err(), "the limit holds");
        assert_eq!(slots.release(token).err(), Some(RefusalReason::Stale));
        assert_eq!(slots.live(), 8);
    }

    #[test]
    fn a_reused_slot_does_not_inherit_readiness_or_interest() {
        let mut slots = Slots::new(1, 1);
        let (token, _) = slots.claim().unwrap();
        let slot = slots.get_mut(token).unwrap();
        slot.readiness = Readiness::READABLE | Readiness::READ_CLOSED;
        slot.interest = Interest::READABLE;
        assert_eq!(
            slots.release(token).unwrap().readiness,
            Readiness::READABLE | Readiness::READ_CLOSED
        );
        let (next, _) = slots.claim().unwrap();
        assert_eq!(next.slot, token.slot);
        assert!(slots.get_mut(next).unwrap().readiness.is_empty());
        assert!(slots.get_mut(next).unwrap().interest.is_empty());
    }

    #[test]
    fn a_hundred_thousand_tokens_and_a_million_cycles_leave_the_freelist_whole() {
        let mut slots = Slots::new(0, u32::MAX);
        let mut tokens: Vec<_> = (0..100_000).map(|_| slots.claim().unwrap().0).collect();
        let mut random = 1u64;
        for _ in 0..1_000_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let index = (random >> 33) as usize % tokens.len();
            slots.release(tokens[index]).unwrap();
            tokens[index] = slots.claim().unwrap().0;
        }
        assert_eq!(slots.live(), 100_000);
        let mut used = vec![false; slots.capacity() as usize];
        for token in &tokens {
            assert!(
                !std::mem::replace(&mut used[token.slot as usize], true),
                "slot {} twice",
                token.slot
            );
        }
        let mut free = 0;
        let mut next = slots.free;
        while let Some(index) = next {
            assert!(
                !std::mem::replace(&mut used[index as usize], true),
                "slot {index} live and free"
            );
            let Use::Free { next: after } = slots.slots[index as usize].use_ else {
                panic!("a live slot is free")
            };
            next = after;
            free += 1;
        }
        assert_eq!(free + 100_000, slots.capacity());
    }
}
