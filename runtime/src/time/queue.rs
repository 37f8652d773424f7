//! Armed timers, and how the loop fires them.
//!
//! Deadlines are nanoseconds of `CLOCK_MONOTONIC` and are never rounded. The loop calls [`TimerQueue::prepare`] before it
//! asks the kernel, which sets the [descriptor](super::descriptor) if need be, and [`TimerQueue::fire`] when that has
//! reported. Arming, moving and disarming are O(log n).

use super::clock::now_ns;
use super::descriptor::{Descriptor, Setting, Timerfd};
use super::heap::Heap;
use crate::io::driver::Driver;
use crate::prefetch::prefetch;
use crate::record::WaitProbe;
use crate::runtime::Core;
use crate::task::wake_contained;
use nexus_protocol::TimerId;
use nexus_protocol::event::{Cause, TimerAction, WaitFor, WaitOutcome};
use std::cell::{Cell, RefCell};
use std::io;
use std::task::Waker;

#[cfg(test)]
mod against_the_loop;
#[cfg(all(test, not(loom)))]
mod tests;

/// See the [module](self).
pub(crate) struct TimerQueue<D = Timerfd> {
    armed: RefCell<Armed>,
    setting: Cell<Setting>,
    descriptor: D,
    last_id: Cell<u64>,
}

/// Where an armed timer is found. Its id tells it from a later one in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) id: TimerId,
    index: u32,
}

/// Who is woken when the timer fires.
pub(crate) struct Sleeper {
    pub(crate) waker: Waker,
    pub(crate) wait: WaitProbe,
}

/// A timer that has reached its deadline.
struct Due {
    id: TimerId,
    deadline_ns: u64,
    sleeper: Sleeper,
}

impl TimerQueue {
    pub(crate) fn new(driver: &Driver) -> io::Result<Self> {
        Ok(Self::with_descriptor(Timerfd::new(driver)?))
    }

    /// Timers are due, as the descriptor has `reported` or [`TimerQueue::prepare`] has said: fires all that are. How many
    /// there were.
    pub(crate) fn fire(&self, core: &Core, reported: bool) -> usize {
        self.fire_at(now_ns(), reported, |due| {
            let Due { id, deadline_ns, sleeper } = due;
            let fired = core.recorder.timer(id, TimerAction::Fired, deadline_ns);
            core.recorder.wait_end(sleeper.wait, WaitFor::Timer(id), WaitOutcome::Done);
            let cause = Cause::Timer { timer: id, fired };
            core.recorder.with_cause(cause, || wake_contained(sleeper.waker));
        })
    }
}

impl<D: Descriptor> TimerQueue<D> {
    fn with_descriptor(descriptor: D) -> Self {
        Self {
            armed: RefCell::default(),
            setting: Cell::default(),
            descriptor,
            last_id: Cell::new(0),
        }
    }

    /// An id for a new timer.
    #[inline]
    pub(crate) fn next_id(&self) -> TimerId {
        self.last_id.set(self.last_id.get() + 1);
        TimerId(self.last_id.get())
    }

    /// Arms a timer under a new id.
    pub(crate) fn arm(&self, id: TimerId, deadline_ns: u64, sleeper: Sleeper) -> Key {
        self.armed.borrow_mut().arm(id, deadline_ns, sleeper)
    }

    /// Whether a timer is armed; if so, makes sure that it will fire this waker.
    pub(crate) fn refresh(&self, key: Key, waker: &Waker) -> bool {
        let will_wake = |sleeper: &mut Sleeper| sleeper.waker.will_wake(waker);
        match self.armed.borrow_mut().get_mut(key).map(will_wake) {
            None => return false,
            Some(true) => return true,
            Some(false) => {}
        }
        // A waker may be foreign code that arms and drops timers, so nothing is borrowed while it is cloned or dropped.
        let waker = waker.clone();
        let replace = |sleeper: &mut Sleeper| std::mem::replace(&mut sleeper.waker, waker);
        let replaced = self.armed.borrow_mut().get_mut(key).map(replace);
        replaced.is_some()
    }

    /// Disarms a timer. Who would have been woken, if it was armed.
    pub(crate) fn disarm(&self, key: Key) -> Option<Sleeper> {
        self.armed.borrow_mut().disarm(key)
    }

    /// Gives an armed timer another deadline. Whether it was armed.
    pub(crate) fn move_to(&self, key: Key, deadline_ns: u64) -> bool {
        self.armed.borrow_mut().move_to(key, deadline_ns)
    }

    /// The loop is about to ask the kernel: makes sure that the earliest deadline will end its sleep. Whether timers are
    /// due now, so that there is nothing to sleep for.
    #[inline]
    pub(crate) fn prepare(&self) -> bool {
        self.prepare_by(now_ns)
    }

    #[inline]
    fn prepare_by(&self, clock: impl FnOnce() -> u64) -> bool {
        let Some(earliest) = self.armed.borrow().earliest() else { return false };
        let setting = self.setting.get();
        setting.wanted(earliest).is_some_and(|at| self.set_or_due(setting, at, clock))
    }

    /// Sets the descriptor, unless the time has come already: it would only come back through an interrupt.
    fn set_or_due(&self, mut setting: Setting, at: u64, clock: impl FnOnce() -> u64) -> bool {
        if at <= clock() {
            return true;
        }
        if let Err(error) = self.descriptor.set(at) {
            tracing::error!(target: "nexus::runtime", %error, "cannot set the timer descriptor");
            // Better to ask the clock at every turn than to sleep for ever.
            return true;
        }
        setting.set(at);
        self.setting.set(setting);
        false
    }

    /// Hands out all timers that are due at this time, once each. How many there were.
    fn fire_at(&self, now: u64, reported: bool, mut fire: impl FnMut(Due)) -> usize {
        let mut setting = self.setting.get();
        setting.fired(now, reported);
        self.setting.set(setting);
        self.armed.borrow_mut().begin_firing(now);
        let mut fired = 0;
        loop {
            // One at a time: a waker may be foreign code that arms and drops timers.
            let due = self.armed.borrow_mut().take_due(now);
            let Some(due) = due else { return fired };
            fired += 1;
            fire(due);
        }
    }
}

/// The timers themselves.
#[derive(Default)]
struct Armed {
    slots: Vec<Slot>,
    /// Slots in use, or free below one that is; those above are free too.
    used: usize,
    /// The free ones below `used`.
    free: Vec<u32>,
    deadlines: Heap,
    /// No deadline in the heap is earlier if it was set after the last firing began. A waker that sets timers to the past
    /// so ends up in the next firing, and can't keep the present one going for ever.
    floor: u64,
}

/// A place for a timer. One cache line, since timers fire in another order than that in which they were armed, so that
/// each access is likely to miss.
#[derive(Default)]
#[repr(align(64))]
struct Slot {
    /// Of the timer that is here, or was.
    id: TimerId,
    deadline_ns: u64,
    sleeper: Option<Sleeper>,
}

const _: () = assert!(size_of::<Slot>() == 64, "a slot is a cache line");

impl Armed {
    fn arm(&mut self, id: TimerId, deadline_ns: u64, sleeper: Sleeper) -> Key {
        let index = self.take_slot();
        self.slots[index as usize] = Slot { id, deadline_ns, sleeper: Some(sleeper) };
        self.deadlines.insert(index, deadline_ns.max(self.floor));
        Key { id, index }
    }

    fn take_slot(&mut self) -> u32 {
        if let Some(index) = self.free.pop() {
            return index;
        }
        let index = u32::try_from(self.used).expect("memory ends before 2³² timers");
        if self.used == self.slots.len() {
            self.slots.push(Slot::default());
        }
        self.used += 1;
        index
    }

    /// The slot of an armed timer.
    fn get(&mut self, key: Key) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(key.index as usize)?;
        (slot.id == key.id && slot.sleeper.is_some()).then_some(slot)
    }

    fn get_mut(&mut self, key: Key) -> Option<&mut Sleeper> {
        self.get(key)?.sleeper.as_mut()
    }

    fn disarm(&mut self, key: Key) -> Option<Sleeper> {
        self.get(key)?;
        self.deadlines.remove(key.index);
        self.take(key.index)
    }

    fn move_to(&mut self, key: Key, deadline_ns: u64) -> bool {
        let Some(slot) = self.get(key) else { return false };
        slot.deadline_ns = deadline_ns;
        self.deadlines.change(key.index, deadline_ns.max(self.floor));
        true
    }

    fn earliest(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| at)
    }

    fn begin_firing(&mut self, now: u64) {
        self.floor = now.saturating_add(1);
    }

    fn take_due(&mut self, now: u64) -> Option<Due> {
        let (_, index) = self.deadlines.first().filter(|&(at, _)| at <= now)?;
        // While the heap closes the gap, the waker's target can come from memory; and the next timer while this one fires.
        if let Some(sleeper) = &self.slots[index as usize].sleeper {
            prefetch(sleeper.waker.data());
        }
        self.deadlines.remove(index);
        if let Some((_, next)) = self.deadlines.first() {
            prefetch(&raw const self.slots[next as usize]);
        }
        let Slot { id, deadline_ns, .. } = self.slots[index as usize];
        let sleeper = self.take(index)?;
        Some(Due { id, deadline_ns, sleeper })
    }

    /// Takes the timer out of a slot.
    fn take(&mut self, index: u32) -> Option<Sleeper> {
        let sleeper = self.slots[index as usize].sleeper.take();
        if self.deadlines.is_empty() {
            // Slots are handed out in order again.
            self.free.clear();
            self.used = 0;
        } else {
            self.free.push(index);
        }
        sleeper
    }
}
