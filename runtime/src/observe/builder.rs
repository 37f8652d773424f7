//! What can be chosen about an observer before it is made.

use super::{Loop, Numbers, Observer};
use crate::endpoint;
use crate::io::slots::Slots;
use crate::record::{self, Recorder};
use crate::runtime::next_runtime_id;
use nexus_protocol::TokenId;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::rc::Rc;

/// Configures and makes an [`Observer`]. The settings are those that a runtime's [`Builder`](crate::Builder) has as well.
#[derive(Clone, Debug)]
#[must_use = "nothing is observed before it is built"]
pub struct Builder {
    record: record::Options,
    endpoint: endpoint::Options,
    slots_from_tokens: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// The defaults, as each method states them.
    pub fn new() -> Self {
        Self {
            record: record::Options::default(),
            endpoint: endpoint::Options::default(),
            slots_from_tokens: false,
        }
    }

    /// The loop's name, as the inspector shows it and finds it. Default: none.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.record.name = name.into();
        self
    }

    /// Whether to record. Default: yes, unless the environment has `NEXUS_RECORDER=off`.
    pub fn recorder(mut self, on: bool) -> Self {
        self.record.enabled = on;
        self
    }

    /// How many records of 32 bytes the ring holds; rounded up to a power of two. Default: 131,072, which is 4 MiB.
    pub fn ring_records(mut self, records: usize) -> Self {
        self.record.ring_records = records;
        self
    }

    /// How many tokens, and how many tasks, have a row on the board at most. Default: 8,192 of each.
    pub fn board_rows(mut self, rows: usize) -> Self {
        self.record.board_rows = rows;
        self
    }

    /// Whether inspectors may attach to the process. Default: yes, unless the environment has `NEXUS_INSPECT=off`.
    pub fn endpoint(mut self, on: bool) -> Self {
        self.endpoint.enabled = on;
        self
    }

    /// The program's tokens are slots of a table of its own: the number in the lower 32 bits of [`mio::Token`], and its
    /// generation in the upper ones. The inspector shows these numbers then, and as the freelist the program's table, whose
    /// size it learns from [`Observer::set_capacity`]. Default: no; tokens may be any numbers.
    ///
    /// The keys of the `slotmap` crate are such numbers (`key.data().as_ffi()`). Those of `slab` are too, but have no
    /// generation; then the observer counts one for each claim of a slot.
    pub fn slots_from_tokens(mut self) -> Self {
        self.slots_from_tokens = true;
        self
    }

    /// Makes the observer, for a loop on this thread.
    #[must_use]
    pub fn build(self) -> Observer {
        // Only the environment can ask for it here, and its wishes are no errors.
        let _ = endpoint::dump::arm(None);
        let id = next_runtime_id();
        let recorder = Recorder::new(id, &self.record).unwrap_or_else(|error| {
            // The loop is not to fail because it cannot be observed.
            tracing::warn!(target: "nexus::runtime", %error, "no memory to record to");
            let off = record::Options { enabled: false, ..self.record.clone() };
            Recorder::new(id, &off).expect("a recorder that is off needs no memory")
        });
        let numbers = if self.slots_from_tokens {
            Numbers::Given { slots: HashMap::new(), capacity: 0 }
        } else {
            Numbers::Ours(Slots::new(0, TokenId::RESERVED_SLOT))
        };
        let observed = Loop {
            id,
            recorder,
            endpoint: self.endpoint,
            turned: Cell::new(false),
            polling: Cell::new(false),
            queued: Cell::new(0),
            last_task: Cell::new(0),
            sources: RefCell::default(),
            numbers: RefCell::new(numbers),
        };
        Observer { observed: Rc::new(observed), not_send: PhantomData }
    }
}
