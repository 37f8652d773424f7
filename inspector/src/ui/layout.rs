//! Where things stand for a given size of the terminal.
//!
//! ```text
//! echo · pid 4711 · up 3m 05s                                     ● live      header
//! events 52.3k/s  wakes 41.2k/s  polls 48.0k/s  busy 63%          lost 0
//! ── 1 Tokens 23 ── 2 Tasks 41 ── 3 Timeline ── 4 Freelist ─────────────      tabs
//!                                                    │
//!  body                                              │ detail, if open
//!                                                    │
//! ? help  q quit  space pause  s sort                                         status
//! ```
//!
//! Pure arithmetic; the state uses it too, to know how many cells a timeline has.

use ratatui::layout::{Rect, Size};

/// The parts of the screen. Any of them can be empty when there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Areas {
    /// One or two lines: who is observed, and how it is doing.
    pub header: Rect,
    /// The panes by name.
    pub tabs: Rect,
    /// The pane.
    pub body: Rect,
    /// The detail panel.
    pub detail: Rect,
    /// The keys worth knowing, or the text being typed.
    pub status: Rect,
}

/// From this width on, the detail panel stands beside the pane instead of below it.
const WIDE: u16 = 100;

/// The parts of a screen of this size.
#[must_use]
pub fn areas(size: Size, with_detail: bool) -> Areas {
    let mut rest = Rect::new(0, 0, size.width, size.height);
    let status = if size.height >= 5 { take_bottom(&mut rest, 1) } else { Rect::default() };
    let header = take_top(&mut rest, if size.height >= 14 { 2 } else { 1 });
    let tabs = if size.height >= 4 { take_top(&mut rest, 1) } else { Rect::default() };
    let detail = if !with_detail {
        Rect::default()
    } else if size.width >= WIDE {
        take_right(&mut rest, (size.width / 5 * 2).min(64))
    } else {
        let kept = (rest.height / 4).max(4);
        let height = if rest.height >= 12 { rest.height - kept } else { rest.height };
        take_bottom(&mut rest, height)
    };
    Areas { header, tabs, body: rest, detail, status }
}

/// The parts of the timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimelineAreas {
    /// Cells at the left of every line that hold its name.
    pub labels: u16,
    /// The time axis.
    pub axis: Rect,
    /// The strip that shows what the loop did.
    pub strip: Rect,
    /// The lanes.
    pub lanes: Rect,
    /// What the letters mean.
    pub legend: Rect,
    /// What happened under the cursor.
    pub story: Rect,
}

/// Lines of a lane: one for its wakes, one for its polls.
pub const LANE_HEIGHT: u16 = 2;

impl TimelineAreas {
    /// The parts within a pane. Without a cursor there is no story, only a hint how to get one.
    #[must_use]
    pub fn new(body: Rect, with_cursor: bool) -> Self {
        let mut rest = body;
        let story = match body.height {
            0..9 => Rect::default(),
            _ if !with_cursor => take_bottom(&mut rest, 2),
            9..14 => take_bottom(&mut rest, 3),
            14..24 => take_bottom(&mut rest, 6),
            _ => take_bottom(&mut rest, 7),
        };
        let legend = if body.height >= 16 { take_bottom(&mut rest, 1) } else { Rect::default() };
        let axis = take_top(&mut rest, 1);
        let strip = if body.height >= 5 { take_top(&mut rest, 1) } else { Rect::default() };
        let labels = (body.width / 5).clamp(8, 26).min(body.width / 2);
        Self { labels, axis, strip, lanes: rest, legend, story }
    }

    /// Cells that show time.
    #[must_use]
    pub fn cells(&self) -> u16 {
        self.lanes.width.saturating_sub(self.labels)
    }

    /// Lanes that fit.
    #[must_use]
    pub fn lane_count(&self) -> usize {
        usize::from(self.lanes.height / LANE_HEIGHT)
    }
}

/// The parts of the freelist pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreelistAreas {
    /// The numbers now.
    pub numbers: Rect,
    /// The chart over time, its axis included.
    pub chart: Rect,
    /// What the map's marks mean.
    pub legend: Rect,
    /// One mark for each slot.
    pub map: Rect,
    /// What the selected slot holds.
    pub selected: Rect,
}

/// Cells at the left of the chart that hold the scale.
pub const CHART_SCALE: u16 = 7;

impl FreelistAreas {
    /// The parts within a pane.
    #[must_use]
    pub fn new(body: Rect) -> Self {
        let mut rest = body;
        let numbers = take_top(&mut rest, 1);
        let selected = if body.height >= 6 { take_bottom(&mut rest, 1) } else { Rect::default() };
        let chart = match rest.height {
            0..9 => Rect::default(),
            height => take_top(&mut rest, (height / 2).clamp(5, 14)),
        };
        let legend = if rest.height >= 3 { take_top(&mut rest, 1) } else { Rect::default() };
        Self { numbers, chart, legend, map: rest, selected }
    }

    /// Cells of the chart that show time.
    #[must_use]
    pub fn chart_cells(&self) -> u16 {
        self.chart.width.saturating_sub(CHART_SCALE)
    }
}

fn take_top(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    let taken = Rect { height, ..*rest };
    rest.y += height;
    rest.height -= height;
    taken
}

fn take_bottom(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    rest.height -= height;
    Rect { y: rest.y + rest.height, height, ..*rest }
}

fn take_right(rest: &mut Rect, width: u16) -> Rect {
    let width = width.min(rest.width);
    rest.width -= width;
    Rect { x: rest.x + rest.width, width, ..*rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_the_screen_without_overlap() {
        for width in 0..130 {
            for height in 0..45 {
                for with_detail in [false, true] {
                    let size = Size { width, height };
                    let areas = areas(size, with_detail);
                    let parts = [areas.header, areas.tabs, areas.body, areas.detail, areas.status];
                    let sum: u32 = parts.iter().map(|part| part.area()).sum();
                    assert_eq!(sum, u32::from(width) * u32::from(height), "{size:?}");
                    for (at, a) in parts.iter().enumerate() {
                        for b in &parts[at + 1..] {
                            assert!(a.intersection(*b).is_empty(), "{size:?}: {a:?} {b:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_small_terminal_still_has_a_body() {
        let areas = areas(Size { width: 40, height: 10 }, false);
        assert_eq!(areas.body.height, 7);
        assert!(TimelineAreas::new(areas.body, false).lane_count() >= 2);
    }
}
