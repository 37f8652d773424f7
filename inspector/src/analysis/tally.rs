//! Counting what was found, by who did it. Bounded, whatever the process does.

use super::subject::{Group, Subject, TaskFacts};
use nexus_protocol::{Seq, Stamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Groups in one tally; of more, nothing is said.
const MAX_GROUPS: usize = 1_024;

/// Subjects told apart in one group.
const MAX_SUBJECTS: usize = 64;

/// Records named as evidence: so many of the first, and as many of the last.
const EVIDENCE: usize = 4;

/// One or more occurrences.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) count: u64,
    pub(super) wasted_ns: u64,
    pub(super) at: Stamp,
    pub(super) seq: Seq,
}

/// What is known of a group. `D` tells occurrences apart that are findings of their own.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) subject: Subject,
    /// Who suffered, or who did it: the last one.
    pub(super) other: Option<TaskFacts>,
    pub(super) count: u64,
    pub(super) wasted_ns: u64,
    pub(super) longest_ns: u64,
    pub(super) first: Stamp,
    pub(super) last: Stamp,
    first_seqs: Vec<Seq>,
    last_seqs: Vec<Seq>,
    subjects: BTreeMap<Identity, (u64, Subject)>,
    /// Occurrences of subjects that are not told apart.
    unlisted: u64,
}

/// A subject's identity within its group.
type Identity = (u8, u64);

impl Entry {
    fn new(subject: Subject) -> Self {
        Self {
            subject,
            other: None,
            count: 0,
            wasted_ns: 0,
            longest_ns: 0,
            first: Stamp::NEVER,
            last: Stamp::NEVER,
            first_seqs: Vec::new(),
            last_seqs: Vec::new(),
            subjects: BTreeMap::new(),
            unlisted: 0,
        }
    }

    fn add(&mut self, subject: Subject, sample: Sample) {
        add(&mut self.count, sample.count);
        add(&mut self.wasted_ns, sample.wasted_ns);
        self.longest_ns = self.longest_ns.max(sample.wasted_ns / sample.count.max(1));
        if self.first.is_never() {
            self.first = sample.at;
        }
        self.last = self.last.max(sample.at);
        if self.first_seqs.len() < EVIDENCE {
            self.first_seqs.push(sample.seq);
        } else {
            if self.last_seqs.len() == EVIDENCE {
                self.last_seqs.remove(0);
            }
            self.last_seqs.push(sample.seq);
        }
        let id = identity(&subject);
        let room = self.subjects.len() < MAX_SUBJECTS;
        match self.subjects.get_mut(&id) {
            Some((count, facts)) => {
                add(count, sample.count);
                *facts = subject;
            }
            None if room => drop(self.subjects.insert(id, (sample.count, subject))),
            None => add(&mut self.unlisted, sample.count),
        }
    }

    /// The numbers of the first and last records that show it, ascending.
    pub(super) fn evidence(&self) -> Vec<Seq> {
        let mut seqs: Vec<Seq> = self.first_seqs.iter().chain(&self.last_seqs).copied().collect();
        seqs.sort_unstable();
        seqs.dedup();
        seqs
    }

    /// The subject with the most occurrences, and how many others there are at least.
    pub(super) fn worst(&self) -> (Subject, u64) {
        let worst = self.subjects.iter().max_by_key(|&(&id, &(count, _))| (count, Reverse(id)));
        let others = self.subjects.len().saturating_sub(1) as u64 + u64::from(self.unlisted > 0);
        (worst.map_or(self.subject, |(_, &(_, subject))| subject), others)
    }

    /// Both together.
    pub(super) fn merge(&mut self, other: &Self) {
        add(&mut self.count, other.count);
        add(&mut self.wasted_ns, other.wasted_ns);
        self.longest_ns = self.longest_ns.max(other.longest_ns);
        self.last = self.last.max(other.last);
        self.last_seqs.extend(other.evidence());
        self.last_seqs.sort_unstable();
        let keep = self.last_seqs.len().saturating_sub(EVIDENCE);
        self.last_seqs.drain(..keep);
        for (&id, &(count, subject)) in &other.subjects {
            let room = self.subjects.len() < MAX_SUBJECTS;
            match self.subjects.get_mut(&id) {
                Some((known, _)) => add(known, count),
                None if room => drop(self.subjects.insert(id, (count, subject))),
                None => add(&mut self.unlisted, count),
            }
        }
    }
}

/// Counts are as wrong as what they were told; they must not wrap.
fn add(count: &mut u64, more: u64) {
    *count = count.saturating_add(more);
}

fn identity(subject: &Subject) -> Identity {
    match subject {
        Subject::Token(token) => (0, token.token.pack()),
        Subject::Task(task) => (1, task.task.0),
        Subject::Primitive(primitive) => (2, primitive.0),
        Subject::Loop => (3, 0),
    }
}

/// Occurrences by group and detail.
#[derive(Clone, Debug)]
pub(super) struct Tally<D> {
    entries: HashMap<(Group, D), Entry>,
}

impl<D> Default for Tally<D> {
    fn default() -> Self {
        Self { entries: HashMap::new() }
    }
}

impl<D: Copy + Eq + Hash + Ord> Tally<D> {
    /// Counts an occurrence.
    pub(super) fn add(
        &mut self,
        subject: Subject,
        detail: D,
        other: Option<TaskFacts>,
        sample: Sample,
    ) {
        let key = (subject.group(), detail);
        if self.entries.len() >= MAX_GROUPS && !self.entries.contains_key(&key) {
            return;
        }
        let entry = self.entries.entry(key).or_insert_with(|| Entry::new(subject));
        entry.add(subject, sample);
        entry.other = other.or(entry.other);
    }

    /// All entries, in a fixed order.
    pub(super) fn entries(&self) -> Vec<(Group, D, &Entry)> {
        let mut entries: Vec<_> =
            self.entries.iter().map(|(&(group, detail), entry)| (group, detail, entry)).collect();
        entries.sort_by_key(|&(group, detail, _)| (group, detail));
        entries
    }

    /// One entry for each group, details taken together.
    pub(super) fn by_group(&self) -> Vec<(Group, Entry)> {
        let mut merged: Vec<(Group, Entry)> = Vec::new();
        for (group, _, entry) in self.entries() {
            match merged.last_mut() {
                Some((last, sum)) if *last == group => sum.merge(entry),
                _ => merged.push((group, entry.clone())),
            }
        }
        merged
    }
}
