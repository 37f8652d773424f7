//! How much is done in a cell.

/// How much is done in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Enough for a figure to rely on.
    Full,
    /// Enough to see that it works.
    Quick,
}

impl Size {
    /// What a cell's process is told.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Quick => "quick",
        }
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Full, Self::Quick].into_iter().find(|size| size.name() == name)
    }

    /// So many in a full cell, fewer in a quick one.
    pub(crate) fn of(self, full: u32) -> u32 {
        match self {
            Self::Full => full,
            Self::Quick => full / 10,
        }
    }
}
