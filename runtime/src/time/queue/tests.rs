//! The queue with a clock of the test's own, against a list that is searched from end to end.

use super::*;
use proptest::prelude::*;

/// A descriptor that nobody listens to.
struct Silent;

impl Descriptor for Silent {
    fn set(&self, _: u64) -> io::Result<()> {
        Ok(())
    }
}

fn queue() -> TimerQueue<Silent> {
    TimerQueue::with_descriptor(Silent)
}

fn arm(queue: &TimerQueue<Silent>, deadline_ns: u64) -> Key {
    let sleeper = Sleeper { waker: Waker::noop().clone(), wait: WaitProbe::UNKNOWN };
    queue.arm(queue.next_id(), deadline_ns, sleeper)
}

/// The ids and deadlines of what is due, in the order in which it is fired.
fn fire(queue: &TimerQueue<Silent>, now: u64) -> Vec<(TimerId, u64)> {
    let mut fired = Vec::new();
    let count = queue.fire_at(now, true, |due| fired.push((due.id, due.deadline_ns)));
    assert_eq!(count, fired.len());
    fired
}

#[derive(Clone, Debug)]
enum Step {
    Arm(i64),
    /// Of all timers there ever were, the one at this place.
    Move(prop::sample::Index, i64),
    Disarm(prop::sample::Index),
    Refresh(prop::sample::Index),
    Fire(u64),
}

fn step() -> impl Strategy<Value = Step> {
    // Few different deadlines, so that many are equal, and some lie in the past.
    let after = -10..60_i64;
    let timer = any::<prop::sample::Index>;
    prop_oneof![
        6 => after.clone().prop_map(Step::Arm),
        3 => (timer(), after).prop_map(|(timer, after)| Step::Move(timer, after)),
        3 => timer().prop_map(Step::Disarm),
        1 => timer().prop_map(Step::Refresh),
        2 => (0..30_u64).prop_map(Step::Fire),
    ]
}

/// What the queue should do, said in the plainest way.
#[derive(Default)]
struct Model {
    /// Armed timers in the order in which they were set: key, deadline, when it counts as due.
    timers: Vec<(Key, u64, u64)>,
    last_fired: Option<u64>,
}

impl Model {
    fn set(&mut self, key: Key, deadline: u64) {
        let at = self.last_fired.map_or(deadline, |fired| deadline.max(fired + 1));
        self.timers.push((key, deadline, at));
    }

    fn remove(&mut self, key: Key) -> bool {
        let before = self.timers.len();
        self.timers.retain(|&(other, ..)| other != key);
        self.timers.len() < before
    }

    fn fire(&mut self, now: u64) -> Vec<(TimerId, u64)> {
        self.last_fired = Some(now);
        let (mut due, left) = self.timers.drain(..).partition::<Vec<_>, _>(|&(.., at)| at <= now);
        self.timers = left;
        // Stable, so of equal ones the first to be set stays first.
        due.sort_by_key(|&(.., at)| at);
        due.into_iter().map(|(key, deadline, _)| (key.id, deadline)).collect()
    }
}

proptest! {
    #[test]
    fn timers_fire_once_in_order_and_never_early(steps in prop::collection::vec(step(), 0..200)) {
        let (queue, mut model, mut now) = (queue(), Model::default(), 1_000_u64);
        let mut keys: Vec<Key> = Vec::new();
        for step in steps {
            match step {
                Step::Arm(after) => {
                    let deadline = now.saturating_add_signed(after);
                    let key = arm(&queue, deadline);
                    model.set(key, deadline);
                    keys.push(key);
                }
                Step::Move(timer, after) if !keys.is_empty() => {
                    let (key, deadline) = (*timer.get(&keys), now.saturating_add_signed(after));
                    let armed = model.remove(key);
                    if armed {
                        model.set(key, deadline);
                    }
                    prop_assert_eq!(queue.move_to(key, deadline), armed);
                }
                Step::Disarm(timer) if !keys.is_empty() => {
                    let key = *timer.get(&keys);
                    prop_assert_eq!(queue.disarm(key).is_some(), model.remove(key));
                }
                Step::Refresh(timer) if !keys.is_empty() => {
                    let key = *timer.get(&keys);
                    let armed = model.timers.iter().any(|&(other, ..)| other == key);
                    prop_assert_eq!(queue.refresh(key, Waker::noop()), armed);
                }
                Step::Move(..) | Step::Disarm(_) | Step::Refresh(_) => {}
                Step::Fire(later) => {
                    now += later;
                    let fired = fire(&queue, now);
                    prop_assert!(fired.iter().all(|&(_, deadline)| deadline <= now), "early");
                    prop_assert_eq!(fired, model.fire(now));
                }
            }
            let earliest = model.timers.iter().map(|&(.., at)| at).min();
            prop_assert_eq!(queue.armed.borrow().earliest(), earliest);
        }
        prop_assert_eq!(fire(&queue, u64::MAX - 1), model.fire(u64::MAX - 1));
    }
}

#[test]
fn what_is_set_to_the_past_while_firing_is_fired_by_the_next_one() {
    let queue = queue();
    let (first, other) = (arm(&queue, 10), arm(&queue, 1_000));
    let mut fired = Vec::new();
    let count = queue.fire_at(10, true, |due| {
        fired.push(due.id);
        assert!(queue.move_to(other, 5), "it has not fired");
        arm(&queue, 3);
    });
    assert_eq!((count, fired), (1, vec![first.id]));
    let next: Vec<u64> = fire(&queue, 11).into_iter().map(|(_, deadline)| deadline).collect();
    assert_eq!(next, [5, 3], "in the order in which they were set, since both were over by then");
}

#[test]
fn a_timer_that_is_dropped_or_moved_while_firing_does_not_fire() {
    let queue = queue();
    let keys = [10, 11, 12].map(|deadline| arm(&queue, deadline));
    let mut fired = Vec::new();
    queue.fire_at(20, true, |due| {
        fired.push(due.id);
        assert!(queue.disarm(keys[1]).is_some());
        assert!(queue.move_to(keys[2], 30));
    });
    assert_eq!(fired, [keys[0].id]);
    assert_eq!(fire(&queue, 29), []);
    assert_eq!(fire(&queue, 30), [(keys[2].id, 30)]);
}

#[test]
fn a_key_is_not_that_of_a_later_timer_in_the_same_place() {
    let queue = queue();
    let old = arm(&queue, 10);
    assert!(queue.disarm(old).is_some());
    let new = arm(&queue, 20);
    assert_eq!(old.index, new.index);
    assert!(!queue.refresh(old, Waker::noop()));
    assert!(!queue.move_to(old, 1));
    assert!(queue.disarm(old).is_none());
    assert_eq!(fire(&queue, 20), [(new.id, 20)]);
}

#[test]
fn a_queue_that_was_emptied_takes_no_more_room() {
    let queue = queue();
    for round in 0..3 {
        let keys: Vec<Key> = (0..100).map(|deadline| arm(&queue, deadline)).collect();
        assert!((0..).zip(&keys).all(|(index, key)| key.index == index), "in order, for the cache");
        for key in keys.iter().step_by(2) {
            queue.disarm(*key);
        }
        assert_eq!(fire(&queue, 1_000 * (round + 1)).len(), 50);
        assert_eq!(queue.armed.borrow().slots.len(), 100);
    }
}

#[test]
fn a_timer_that_stays_does_not_keep_the_places_of_others() {
    let queue = queue();
    let stays = arm(&queue, 1_000_000);
    for round in 0..100 {
        let dropped = arm(&queue, round + 1);
        assert!(queue.disarm(dropped).is_some());
        arm(&queue, round + 1);
        assert_eq!(fire(&queue, round + 1).len(), 1);
    }
    assert_eq!(queue.armed.borrow().slots.len(), 2);
    assert!(queue.disarm(stays).is_some());
}

/// A system call for each timer would be dear.
#[test]
fn the_descriptor_is_set_only_if_it_would_report_too_late() {
    struct Counting(RefCell<Vec<u64>>);
    impl Descriptor for &Counting {
        fn set(&self, at: u64) -> io::Result<()> {
            self.0.borrow_mut().push(at);
            Ok(())
        }
    }
    let sets = Counting(RefCell::default());
    let queue = TimerQueue::with_descriptor(&sets);
    let arm = |deadline_ns| {
        let sleeper = Sleeper { waker: Waker::noop().clone(), wait: WaitProbe::UNKNOWN };
        queue.arm(queue.next_id(), deadline_ns, sleeper)
    };
    let prepare = |now| assert!(!queue.prepare_by(|| now), "nothing is due");
    prepare(0);
    let first = arm(1_000_000);
    prepare(0);
    prepare(0);
    arm(2_000_000);
    prepare(0);
    queue.disarm(first);
    prepare(0);
    assert_eq!(*sets.0.borrow(), [1_000_000], "set once, for the first");
    assert_eq!(queue.fire_at(1_000_000, true, |_| ()), 0, "an idle turn is what that costs");
    prepare(1_000_000);
    arm(1_500_000);
    prepare(1_000_000);
    assert_eq!(*sets.0.borrow(), [1_000_000, 2_000_000, 1_500_000]);
}

/// Better to ask the clock at every turn than to sleep for ever.
#[test]
fn a_descriptor_that_cannot_be_set_makes_the_loop_ask_the_clock() {
    struct Broken;
    impl Descriptor for Broken {
        fn set(&self, _: u64) -> io::Result<()> {
            Err(io::Error::other("broken on purpose"))
        }
    }
    let queue = TimerQueue::with_descriptor(Broken);
    let sleeper = Sleeper { waker: Waker::noop().clone(), wait: WaitProbe::UNKNOWN };
    queue.arm(queue.next_id(), 10, sleeper);
    assert!(queue.prepare_by(|| 0));
    assert_eq!(queue.fire_at(9, false, |_| panic!("early")), 0);
    assert!(queue.prepare_by(|| 20));
    assert_eq!(queue.fire_at(20, false, |_| ()), 1);
}

#[test]
fn the_end_of_time_is_a_deadline_like_others() {
    let queue = queue();
    let never = arm(&queue, u64::MAX);
    assert_eq!(fire(&queue, u64::MAX - 1), []);
    assert!(!queue.prepare_by(|| 0), "nothing is due");
    assert!(queue.disarm(never).is_some());
}

/// A setting is a system call.
#[test]
fn the_descriptor_is_set_for_an_earlier_deadline_only() {
    struct Settings(RefCell<Vec<u64>>);
    impl Descriptor for &Settings {
        fn set(&self, at: u64) -> io::Result<()> {
            self.0.borrow_mut().push(at);
            Ok(())
        }
    }
    let settings = Settings(RefCell::default());
    let queue = TimerQueue::with_descriptor(&settings);
    let arm = |deadline_ms: u64| {
        let sleeper = Sleeper { waker: Waker::noop().clone(), wait: WaitProbe::UNKNOWN };
        let key = queue.arm(queue.next_id(), deadline_ms * 1_000_000, sleeper);
        assert!(!queue.prepare_by(|| 1), "nothing is due");
        key
    };
    let first = arm(50);
    for later in 60..100 {
        arm(later);
    }
    assert_eq!(*settings.0.borrow(), [50_000_000]);
    arm(40);
    arm(45);
    assert_eq!(*settings.0.borrow(), [50_000_000, 40_000_000]);
    assert!(queue.disarm(first).is_some());
    assert!(!queue.prepare_by(|| 1));
    queue.fire_at(41_000_000, true, |_| {});
    assert!(!queue.prepare_by(|| 41_000_000));
    assert_eq!(
        *settings.0.borrow(),
        [50_000_000, 40_000_000, 45_000_000],
        "what was cancelled is not met"
    );
}

/// With steps that were linear in the number of timers, this would take hours.
#[test]
fn a_million_timers_are_no_burden() {
    let queue = queue();
    let keys: Vec<Key> = (0..1_000_000_u64).map(|n| arm(&queue, n * 7_919 % 1_000_003)).collect();
    for key in keys.iter().skip(1).step_by(2) {
        assert!(queue.disarm(*key).is_some());
    }
    for key in keys.iter().step_by(4) {
        assert!(queue.move_to(*key, 2_000_000));
    }
    assert_eq!(fire(&queue, 1_000_003).len(), 250_000);
    assert_eq!(fire(&queue, 2_000_000).len(), 250_000);
}
