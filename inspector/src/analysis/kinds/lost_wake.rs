//! `lost-wake`: readiness, or an expired timer, waits; its reader sleeps; and no wake is under way.
//!
//! Waits that ended are judged when they end, those that go on when findings are asked for. The proof is two records: the
//! one that made the token ready, and the one with which the task went to sleep without having used it up.

use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::{Kind, Severity};
use crate::analysis::subject::{Subject, TaskFacts};
use crate::analysis::tally::{Sample, Tally};
use crate::analysis::thresholds::Thresholds;
use crate::analysis::wakes::Poll;
use crate::analysis::world::{Task, Wait, World, bit, side};
use crate::text;
use nexus_protocol::board::TaskState;
use nexus_protocol::event::WaitFor;
use nexus_protocol::{Direction, Seq, Stamp, TaskId, TokenId};

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct LostWake {
    tally: Tally<Option<Direction>>,
}

/// A wait for what is there already.
struct Lost {
    since: Stamp,
    seqs: [Seq; 2],
}

impl LostWake {
    /// A wait ends. Called before the world knows of it.
    pub(in crate::analysis) fn wait_end(
        &mut self,
        (id, target): (TaskId, WaitFor),
        at: Stamp,
        world: &World,
        poll: Option<&Poll>,
        thresholds: &Thresholds,
    ) {
        let WaitFor::Token(token, direction) = target else { return };
        let Some(task) = world.tasks.get(&id) else { return };
        let Some(wait) = task.waits.iter().find(|wait| wait.target == target) else { return };
        // Until when it slept: if it is awake by now, until the wake.
        let slept_until = match task.state {
            TaskState::Idle => at,
            TaskState::Queued => task.since,
            _ => {
                match poll.filter(|poll| poll.task == id).and_then(|poll| poll.answers.queuing()) {
                    Some(wake) => wake.at,
                    None => return,
                }
            }
        };
        let Some(lost) = lost(world, task, wait, token, direction) else { return };
        let waited = slept_until.since(lost.since);
        if waited >= thresholds.lost_wake_after_ns {
            self.add(world, task.facts, (token, direction), (lost, waited), at);
        }
    }

    fn add(
        &mut self,
        world: &World,
        task: TaskFacts,
        (token, direction): (TokenId, Direction),
        (lost, waited): (Lost, u64),
        at: Stamp,
    ) {
        let subject = Subject::Token(world.token_facts(token));
        let [ready, slept] = lost.seqs;
        // The time is the task's, not the thread's: nothing was wasted but patience.
        let sample = Sample { count: 1, wasted_ns: waited, at, seq: slept };
        self.tally.add(subject, Some(direction), Some(task), sample);
        let proof = Sample { count: 0, wasted_ns: 0, at, seq: ready };
        self.tally.add(subject, Some(direction), Some(task), proof);
    }

    /// Waits that go on.
    fn going_on(&mut self, scene: Scene<'_>) {
        self.timers(scene);
        for task in scene.world.tasks_in_order() {
            if task.state != TaskState::Idle || task.pending.queuing().is_some() {
                continue;
            }
            for wait in &task.waits {
                let WaitFor::Token(token, direction) = wait.target else { continue };
                let Some(lost) = lost(scene.world, task, wait, token, direction) else { continue };
                let waited = scene.now.since(lost.since.max(task.since));
                if waited >= scene.thresholds.lost_wake_after_ns {
                    let about = (token, direction);
                    self.add(scene.world, task.facts, about, (lost, waited), scene.now);
                }
            }
        }
    }

    /// Timers that the loop should have fired when it turned last, and has not.
    fn timers(&mut self, scene: Scene<'_>) {
        for timer in scene.world.timers.values() {
            let overdue = scene.looked.since(timer.deadline);
            if timer.deadline.is_never() || overdue < scene.thresholds.lost_wake_after_ns {
                continue;
            }
            let task = timer.task.map(|task| scene.world.task_facts(task));
            let subject = task.map_or(Subject::Loop, Subject::Task);
            let sample = Sample { count: 1, wasted_ns: overdue, at: scene.now, seq: timer.armed };
            self.tally.add(subject, None, task, sample);
        }
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let mut all = self.clone();
        all.going_on(scene);
        let entries = all.tally.entries().into_iter();
        entries
            .map(|(group, direction, entry)| {
                let mut finding = scene.finding(Kind::LostWake, group, entry);
                finding.wasted_ns = 0;
                let task = entry.other.map_or_else(String::new, |task| task.text(scene.strings));
                let (count, waited) = (text::count(entry.count), text::duration_ns(entry.wasted_ns));
                let explanation = match direction {
                    Some(direction) => format!(
                        "{} is {direction}, and {task} waits for just that and sleeps: {count} times, for {waited} in \
                         all; it went to sleep without having used up what was reported before, and the kernel will \
                         not report it again",
                        finding.about
                    ),
                    None => format!(
                        "{count} timers of {} have passed their deadline, by up to {}, and the loop has turned since \
                         without firing them",
                        finding.about,
                        text::duration_ns(entry.longest_ns)
                    ),
                };
                finding.because(explanation).with_severity(Severity::Serious)
            })
            .collect()
    }
}

/// Whether a task waits for what is there already, and since when.
fn lost(
    world: &World,
    task: &Task,
    wait: &Wait,
    token: TokenId,
    direction: Direction,
) -> Option<Lost> {
    let state = world.tokens.get(&token)?;
    let at_side = side(direction);
    let ready_since = state.ready_since[at_side].known()?;
    let ready_seq = state.ready_seq[at_side];
    // Ready before it went to sleep: an event afterwards would have ended the wait. A direction that is never used is
    // not what it waits for.
    if !state.readiness.contains(bit(direction)) || ready_seq > wait.seq || !state.used[at_side] {
        return None;
    }
    // Whoever waits for both directions of a token, or can write and waits for other things, may have nothing to do here.
    let on_this = |other: &&Wait| matches!(other.target, WaitFor::Token(on, _) if on == token);
    let others = if direction == Direction::Writable {
        task.waits.len()
    } else {
        task.waits.iter().filter(on_this).count()
    };
    (others == 1).then(|| Lost { since: ready_since.max(wait.since), seqs: [ready_seq, wait.seq] })
}
