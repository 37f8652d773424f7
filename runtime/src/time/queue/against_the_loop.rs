//! Timers against the loop and the kernel: that none is early, late by more than the shortest sleep, or lost, whatever
//! happens between two looks at the kernel.
//!
//! The kernel is a model: a clock that the test moves, and a descriptor that expires once it is set and reports by edge.
//! Queue and setting are the real ones. With the standard library, all short sequences of what tasks and time can do are
//! tried, and many long ones; under loom, time goes on in a thread of its own, and another thread wakes the loop.

use super::*;

#[cfg(not(loom))]
mod in_every_order {
    use super::super::super::descriptor::SHORTEST_SLEEP_NS;
    use super::*;
    use proptest::prelude::*;

    /// The clock, and what the kernel knows of the descriptor.
    #[derive(Default)]
    struct Kernel {
        now: Cell<u64>,
        set_to: Cell<Option<u64>>,
        /// It has expired since it was set.
        readable: Cell<bool>,
        /// The epoll has noticed that it became readable, and not yet said so.
        edge: Cell<bool>,
    }

    impl Kernel {
        fn advance(&self, to: u64) {
            self.now.set(to.max(self.now.get()));
            if self.set_to.get().is_some_and(|at| at <= self.now.get()) {
                self.set_to.set(None);
                self.readable.set(true);
                self.edge.set(true);
            }
        }

        /// Whether it reports, when asked without waiting.
        fn look(&self) -> bool {
            self.edge.take() && self.readable.get()
        }
    }

    impl Descriptor for &Kernel {
        fn set(&self, at: u64) -> io::Result<()> {
            // What it has reported is taken back.
            self.readable.set(false);
            self.set_to.set(Some(at));
            self.advance(0);
            Ok(())
        }
    }

    /// What can happen. Times are in units of which the shortest sleep has two and a half.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        /// A task arms a timer.
        Arm(i64),
        /// A task drops the timer that is due first.
        DropFirst,
        /// A task moves the timer that is due first, or last.
        MoveFirst(i64),
        MoveLast(i64),
        /// Time goes by while tasks run.
        Run(u64),
        /// The loop looks at the kernel. Time goes by before and after that.
        Look(u64, u64),
        /// The loop sleeps if it may.
        Sleep(u64),
    }

    const UNIT: u64 = SHORTEST_SLEEP_NS * 2 / 5;

    struct World<'a> {
        kernel: &'a Kernel,
        queue: TimerQueue<&'a Kernel>,
        armed: Vec<(Key, u64)>,
        /// When the loop has last fired timers.
        fired: u64,
    }

    impl<'a> World<'a> {
        fn new(kernel: &'a Kernel) -> Self {
            kernel.now.set(100 * UNIT);
            Self { kernel, queue: TimerQueue::with_descriptor(kernel), armed: Vec::new(), fired: 0 }
        }

        fn happens(&mut self, event: Event) {
            let after =
                |units: i64| self.kernel.now.get().saturating_add_signed(units * UNIT as i64);
            match event {
                Event::Arm(units) => {
                    let sleeper =
                        Sleeper { waker: Waker::noop().clone(), wait: WaitProbe::UNKNOWN };
                    let deadline = after(units);
                    let key = self.queue.arm(self.queue.next_id(), deadline, sleeper);
                    self.armed.push((key, deadline));
                }
                Event::DropFirst => {
                    if let Some(first) = self.place_of(false) {
                        let (key, _) = self.armed.swap_remove(first);
                        assert!(self.queue.disarm(key).is_some(), "lost");
                    }
                }
                Event::MoveFirst(units) | Event::MoveLast(units) => {
                    let last = matches!(event, Event::MoveLast(_));
                    if let Some(place) = self.place_of(last) {
                        self.armed[place].1 = after(units);
                        assert!(self.queue.move_to(self.armed[place].0, after(units)), "lost");
                    }
                }
                Event::Run(units) => self.kernel.advance(self.kernel.now.get() + units * UNIT),
                Event::Look(before, behind) => {
                    let due = self.queue.prepare_by(|| self.kernel.now.get());
                    self.kernel.advance(self.kernel.now.get() + before * UNIT);
                    let reported = self.kernel.look();
                    self.kernel.advance(self.kernel.now.get() + behind * UNIT);
                    self.fire_if(due, reported);
                }
                Event::Sleep(before) => {
                    let due = self.queue.prepare_by(|| self.kernel.now.get());
                    self.kernel.advance(self.kernel.now.get() + before * UNIT);
                    if !due {
                        self.sleep();
                    }
                    let reported = self.kernel.look();
                    self.fire_if(due, reported);
                }
            }
        }

        fn place_of(&self, last: bool) -> Option<usize> {
            let places = 0..self.armed.len();
            let deadline = |&place: &usize| self.armed[place].1;
            if last { places.max_by_key(deadline) } else { places.min_by_key(deadline) }
        }

        /// Nothing but the descriptor will end this.
        fn sleep(&self) {
            let began = self.kernel.now.get();
            if self.kernel.edge.get() && self.kernel.readable.get() {
                return;
            }
            let Some(first) = self.armed.iter().map(|&(_, deadline)| deadline).min() else {
                return;
            };
            let end =
                self.kernel.set_to.get().expect("the loop sleeps for ever, with a timer armed");
            let wanted = first.max(self.fired + SHORTEST_SLEEP_NS).max(began);
            assert!(end <= wanted, "the sleep ends {} ns late", end - wanted);
            self.kernel.advance(end);
        }

        fn fire_if(&mut self, due: bool, reported: bool) {
            if !due && !reported {
                return;
            }
            let now = self.kernel.now.get();
            let armed = &mut self.armed;
            self.queue.fire_at(now, reported, |due| {
                let place = armed.iter().position(|(key, _)| key.id == due.id);
                let (_, deadline) =
                    armed.swap_remove(place.expect("fired once, and not if dropped"));
                assert_eq!(due.deadline_ns, deadline);
                assert!(deadline <= now, "early");
            });
            // One that was set to the past is due just after the firing before, which may have been at the same time.
            let same_time = now <= self.fired;
            assert!(same_time || armed.iter().all(|&(_, deadline)| deadline > now), "late");
            self.fired = now;
        }

        /// The tasks do nothing any more: all timers fire, with at most one idle turn for each time that was set.
        fn settle(&mut self) {
            for _ in 0..3 * self.armed.len() + 2 {
                self.happens(Event::Sleep(0));
            }
            assert!(self.armed.is_empty(), "{} timers never fire", self.armed.len());
        }
    }

    fn play(events: &[Event]) {
        let kernel = Kernel::default();
        let mut world = World::new(&kernel);
        for &event in events {
            world.happens(event);
        }
        world.settle();
    }

    #[test]
    fn no_timer_is_early_late_or_lost_in_any_short_story() {
        const EVENTS: [Event; 12] = [
            Event::Arm(-1),
            Event::Arm(1),
            Event::Arm(4),
            Event::DropFirst,
            Event::MoveFirst(5),
            Event::MoveLast(0),
            Event::Run(1),
            Event::Run(3),
            Event::Look(0, 0),
            Event::Look(1, 1),
            Event::Sleep(0),
            Event::Sleep(3),
        ];
        const LENGTH: u32 = 5;
        for number in 0..EVENTS.len().pow(LENGTH) {
            let digit = |place| EVENTS[number / EVENTS.len().pow(place) % EVENTS.len()];
            let story: [Event; LENGTH as usize] = std::array::from_fn(|place| digit(place as u32));
            play(&story);
        }
    }

    fn event() -> impl Strategy<Value = Event> {
        let units = -3..12_i64;
        prop_oneof![
            4 => units.clone().prop_map(Event::Arm),
            1 => Just(Event::DropFirst),
            1 => units.clone().prop_map(Event::MoveFirst),
            1 => units.prop_map(Event::MoveLast),
            2 => (0..6_u64).prop_map(Event::Run),
            2 => (0..3_u64, 0..3_u64).prop_map(|(before, behind)| Event::Look(before, behind)),
            2 => (0..6_u64).prop_map(Event::Sleep),
        ]
    }

    proptest! {
        #[test]
        fn no_timer_is_early_late_or_lost_in_long_stories(
            events in prop::collection::vec(event(), 0..100)
        ) {
            play(&events);
        }
    }
}

#[cfg(loom)]
mod under_loom {
    use super::*;
    use crate::primitives::atomic::{AtomicBool, Ordering};
    use crate::scheduler::parker::Parker;
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    /// What the loop sees of the kernel, and the clock, which goes on whenever it likes: from one time that the descriptor
    /// is set to, to the next.
    #[derive(Default)]
    struct Kernel {
        state: Mutex<State>,
        changed: Condvar,
    }

    #[derive(Default)]
    struct State {
        now: u64,
        set_to: Option<u64>,
        readable: bool,
        edge: bool,
        /// Another thread has written to the eventfd.
        rung: bool,
        over: bool,
    }

    impl Kernel {
        fn now(&self) -> u64 {
            self.state.lock().unwrap().now
        }

        fn ring(&self) {
            self.state.lock().unwrap().rung = true;
            self.changed.notify_all();
        }

        /// Whether the descriptor reports, when asked without waiting, or after waiting for it or for the bell.
        fn poll(&self, wait: bool) -> bool {
            let mut state = self.state.lock().unwrap();
            while wait && !(state.edge && state.readable) && !state.rung {
                state = self.changed.wait(state).unwrap();
            }
            state.rung = false;
            std::mem::take(&mut state.edge) && state.readable
        }

        /// The thread of the clock.
        fn tick(&self) {
            let mut state = self.state.lock().unwrap();
            while !state.over {
                if let Some(at) = state.set_to.take() {
                    state.now = state.now.max(at);
                    (state.readable, state.edge) = (true, true);
                    self.changed.notify_all();
                } else {
                    state = self.changed.wait(state).unwrap();
                }
            }
        }

        fn end(&self) {
            self.state.lock().unwrap().over = true;
            self.changed.notify_all();
        }
    }

    impl Descriptor for Arc<Kernel> {
        fn set(&self, at: u64) -> io::Result<()> {
            let mut state = self.state.lock().unwrap();
            state.readable = false;
            state.set_to = Some(at);
            self.changed.notify_all();
            Ok(())
        }
    }

    type Queue = TimerQueue<Arc<Kernel>>;

    fn arm(queue: &Queue, deadline_ns: u64) -> Key {
        let sleeper = Sleeper { waker: Waker::noop().clone(), wait: WaitProbe::UNKNOWN };
        queue.arm(queue.next_id(), deadline_ns, sleeper)
    }

    /// The loop, with a timer that is armed at the start, until `expected` timers have fired and the wake of another thread
    /// has come. Does what `Core::run` does, in that order; if anything is lost, loom reports that all threads wait.
    fn run(
        expected: usize,
        on_wake: impl Fn(&Queue, Key) + Copy + Send + Sync + 'static,
        on_fire: impl Fn(&Queue, u64) + Copy + Send + Sync + 'static,
    ) {
        loom::model(move || {
            let kernel = Arc::new(Kernel::default());
            let shared = Arc::new((Parker::new(), AtomicBool::new(false)));
            let clock = thread::spawn({
                let kernel = kernel.clone();
                move || kernel.tick()
            });
            let waker = thread::spawn({
                let (kernel, shared) = (kernel.clone(), shared.clone());
                move || {
                    // Relaxed, as the parker alone has to make it visible in time.
                    shared.1.store(true, Ordering::Relaxed);
                    if shared.0.notify() {
                        kernel.ring();
                    }
                }
            });
            let queue = TimerQueue::with_descriptor(kernel.clone());
            let first = arm(&queue, FIRST);
            let (mut woken, mut fired) = (false, 0);
            loop {
                if !woken && shared.1.load(Ordering::Relaxed) {
                    woken = true;
                    on_wake(&queue, first);
                }
                if woken && fired == expected {
                    break;
                }
                if !shared.0.try_park() {
                    continue;
                }
                let due = queue.prepare_by(|| kernel.now());
                let reported = kernel.poll(!due);
                shared.0.unparked();
                if due || reported {
                    let now = kernel.now();
                    fired += queue.fire_at(now, reported, |due| {
                        assert!(due.deadline_ns <= now, "early");
                        on_fire(&queue, due.deadline_ns);
                    });
                }
            }
            kernel.end();
            clock.join().unwrap();
            waker.join().unwrap();
        });
    }

    const FIRST: u64 = 1_000_000;

    #[test]
    fn loom_a_timer_and_a_wake_while_the_loop_parks() {
        run(1, |_, _| (), |_, _| ());
    }

    /// The descriptor is set later than the new deadline, or has just expired.
    #[test]
    fn loom_a_task_that_was_woken_arms_an_earlier_timer() {
        run(2, |queue, _| _ = arm(queue, FIRST / 2), |_, _| ());
    }

    /// The descriptor is set to a deadline that is no more.
    #[test]
    fn loom_a_task_that_was_woken_drops_the_first_timer() {
        let on_wake = |queue: &Queue, first| {
            // It may have fired already, and then the other one is the second.
            if queue.disarm(first).is_some() {
                arm(queue, 2 * FIRST);
            }
        };
        run(1, on_wake, |_, _| ());
    }

    /// Timers are armed in the turn in which the descriptor reports.
    #[test]
    fn loom_a_task_that_a_timer_woke_arms_another() {
        let on_fire = |queue: &Queue, deadline_ns| {
            if deadline_ns == FIRST {
                arm(queue, FIRST + 10);
            }
        };
        run(2, |_, _| (), on_fire);
    }
}
