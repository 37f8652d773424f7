//! What is noted of a wake on its way from another thread, and through what of ours a waker is fired.

use nexus_protocol::event::{Cause, WokenBy};
use nexus_protocol::{PrimitiveId, Stamp};

/// What the runtime thread is told of a wake by another thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    /// When, in ticks.
    pub(crate) woken: Stamp,
    /// The kernel's id of that thread.
    pub(crate) thread: u32,
    /// Through what of ours; none if foreign code held the waker.
    pub(crate) through: Option<Through>,
}

/// Something of ours that fires wakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    /// A channel, notification or token.
    Primitive(PrimitiveId),
    /// The request to shut down.
    Shutdown,
}

impl Through {
    /// Stands for a shutdown; no primitive has this number.
    const SHUTDOWN: u64 = u64::MAX;

    /// In a word, in which zero means foreign code.
    pub(crate) fn word(self) -> u64 {
        match self {
            Self::Primitive(primitive) => primitive.0,
            Self::Shutdown => Self::SHUTDOWN,
        }
    }

    /// The inverse of [`Through::word`].
    pub(crate) fn from_word(word: u64) -> Option<Self> {
        match word {
            Self::SHUTDOWN => Some(Self::Shutdown),
            word => PrimitiveId::from_word(word).map(Self::Primitive),
        }
    }

    /// The cause of a wake that comes through it.
    pub(super) fn cause(self, by: WokenBy) -> Cause {
        match self {
            Self::Primitive(primitive) => Cause::Primitive { primitive, by },
            Self::Shutdown => Cause::Shutdown,
        }
    }
}
