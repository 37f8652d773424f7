//! Wakers of tasks: one reference each, usable from any thread and after the runtime's end.

use super::cell::{Entry, Header, Queued, release};
use super::state::Wake;
use crate::context;
use crate::record::Noted;
use crate::runtime::Core;
use nexus_protocol::event::WakeOutcome;
use std::cell::Cell;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// Makes a waker of a reference.
///
/// # Safety
///
/// The caller gives a reference away, or makes sure that the waker is neither dropped nor used beyond the life of one.
pub(super) unsafe fn from_reference(header: NonNull<Header>) -> Waker {
    // SAFETY: the functions of the table keep the contract of `RawWaker`: all are callable from any thread, and each
    // waker owns one reference.
    unsafe { Waker::new(header.as_ptr().cast_const().cast(), &VTABLE) }
}

/// The task that a waker wakes, if it is one of a runtime of ours.
#[inline]
pub(super) fn task_of(waker: &Waker) -> Option<NonNull<Header>> {
    std::ptr::eq(waker.vtable(), &VTABLE).then(|| header_of(waker.data()))
}

fn header_of(data: *const ()) -> NonNull<Header> {
    NonNull::new(data.cast::<Header>().cast_mut()).expect("a waker points at its task")
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned holds a reference.
    unsafe { header_of(data).as_ref() }.state.reference();
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the waker holds a reference until it is dropped in the next line.
    unsafe { wake_by_ref(data) };
    // SAFETY: waking by value gives the waker's reference back.
    unsafe { drop_waker(data) };
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: the waker's reference is given back, and the waker is gone.
    unsafe { release(header_of(data)) };
}

unsafe fn wake_by_ref(data: *const ()) {
    let pointer = header_of(data);
    // SAFETY: the waker holds a reference.
    let header = unsafe { pointer.as_ref() };
    if context::with_shared(&header.shared, |core| wake_local(core, pointer, header)).is_none() {
        wake_remote(pointer, header);
    }
}

/// The waker was fired on the runtime thread: no other thread has a say in this, so plain fields do.
#[inline]
pub(super) fn wake_local(core: &Core, pointer: NonNull<Header>, header: &Header) {
    let local = &header.local;
    let outcome = if header.state.is_complete() {
        WakeOutcome::Dead
    } else if local.queued.get() == Queued::No {
        WakeOutcome::Queued
    } else {
        WakeOutcome::Redundant
    };
    if outcome == WakeOutcome::Queued {
        // SAFETY: runtime thread; not queued, and not ended, so the registry's reference is there.
        unsafe { core.queue.push(Entry(pointer), Queued::Local) };
    }
    // Last, so that nothing has to be kept across the call.
    core.recorder.wake(&local.probe, outcome);
}

#[cold]
fn wake_remote(pointer: NonNull<Header>, header: &Header) {
    match header.state.wake_remote() {
        Wake::Enqueue => {
            if cfg!(feature = "recorder") {
                let (woken, thread) = (header.shared.remote.now(), thread_id());
                header.remote.note(Noted { woken, thread, through: context::through() });
            }
            // SAFETY: `State::wake_remote` has turned the bit on for us.
            if !unsafe { header.shared.queue_remote(pointer) } {
                // The runtime is gone. It has ended this task while it was marked as woken, so that there is a reference
                // for the entry that could not be made.
                // SAFETY: that reference is given back here, once.
                unsafe { release(pointer) };
            }
        }
        Wake::Redundant => header.remote.count_redundant(),
        Wake::Dead => header.shared.remote.count_dead(),
    }
}

/// The kernel's id of this thread.
pub(crate) fn thread_id() -> u32 {
    thread_local!(static ID: Cell<u32> = const { Cell::new(0) });
    // A waker may be fired while the thread's locals are being destroyed; this one has no destructor, so it is there.
    ID.with(|id| {
        if id.get() == 0 {
            id.set(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs());
        }
        id.get()
    })
}
