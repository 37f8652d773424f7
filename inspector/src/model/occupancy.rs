//! How full the slot table was over time.
//!
//! One point for each change, from the records and from the first snapshot; these are few and small, and are kept
//! longer than the records.

use super::lane::borders;
use nexus_protocol::event::Event;
use nexus_protocol::{Record, Stamp};
use std::collections::VecDeque;

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

/// The kept points, ascending.
#[derive(Debug, Default)]
pub(super) struct OccupancySeries {
    points: VecDeque<Occupancy>,
}

impl OccupancySeries {
    /// Adds a point, unless it says nothing new or lies before the last one.
    pub(super) fn push(&mut self, point: Occupancy, limit: usize) {
        let is_news = |last: &Occupancy| {
            point.at >= last.at && (point.live, point.capacity) != (last.live, last.capacity)
        };
        if !self.points.back().is_none_or(is_news) {
            return;
        }
        while self.points.len() >= limit.max(1) {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }

    /// Adds a point if the record tells of one.
    pub(super) fn record(&mut self, record: &Record, limit: usize) {
        let at = record.at;
        match record.event {
            Event::TokenClaimed { live, .. } | Event::TokenReleased { live, .. } => {
                let capacity = self.points.back().map_or(0, |last| last.capacity).max(live);
                self.push(Occupancy { at, live, capacity }, limit);
            }
            Event::FreelistGrown { capacity, live, .. } => {
                self.push(Occupancy { at, live, capacity }, limit);
            }
            _ => {}
        }
    }

    /// The earliest moment known.
    pub(super) fn first(&self) -> Option<Stamp> {
        self.points.front().map(|point| point.at)
    }

    /// The occupancy in cells; what lies after `now` is unknown.
    pub(super) fn cells(
        &self,
        from: Stamp,
        to: Stamp,
        cells: usize,
        now: Stamp,
    ) -> Vec<OccupancyCell> {
        let mut borders = borders(from, to, cells);
        let mut begin = borders.next().unwrap_or(from);
        let mut index = self.points.partition_point(|point| point.at <= begin);
        borders
            .map(|end| {
                let cell = self.cell(begin, end, &mut index, now);
                begin = end;
                cell
            })
            .collect()
    }

    fn cell(&self, begin: Stamp, end: Stamp, index: &mut usize, now: Stamp) -> OccupancyCell {
        let before = index.checked_sub(1).and_then(|last| self.points.get(last));
        let first = *index;
        while self.points.get(*index).is_some_and(|point| point.at <= end) {
            *index += 1;
        }
        let inside = self.points.range(first..*index);
        let all = before.into_iter().chain(inside);
        let Some(last) = all.clone().next_back().filter(|_| begin <= now) else {
            return OccupancyCell::default();
        };
        OccupancyCell {
            min: all.clone().map(|point| point.live).min().unwrap_or(0),
            max: all.map(|point| point.live).max().unwrap_or(0),
            last: last.live,
            capacity: last.capacity,
            known: true,
        }
    }
}
