//! How full the slot table was over time.

use nexus_protocol::Stamp;

/// The occupancy at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Since when.
    pub at: Stamp,
    /// Slots in use.
    pub live: u32,
    /// Slots.
    pub capacity: u32,
}

/// The occupancy over one cell of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OccupancyCell {
    /// Fewest slots in use.
    pub min: u32,
    /// Most slots in use.
    pub max: u32,
    /// Slots in use at the end of the cell.
    pub last: u32,
    /// Slots at the end of the cell.
    pub capacity: u32,
    /// Whether anything is known of this cell.
    pub known: bool,
}
