//! What the runtime itself asks of its board. The thread that writes the board reads it here, so that nothing can change
//! meanwhile. Only the row of the task being polled may stand a few records back.

use super::Recorder;
use nexus_protocol::board::{TaskRow, TokenRow};
use nexus_protocol::clock::ClockMap;
use nexus_protocol::ids::{TaskId, TokenId};

impl Recorder {
    /// Whether anything is recorded.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.live().is_some()
    }

    /// The task being polled; none if there is none, or recording is off.
    pub(crate) fn current_task(&self) -> Option<TaskId> {
        self.live()?.polled_task()
    }

    /// The row of a task, if it has one. Looks at all of them.
    pub(crate) fn row_of_task(&self, task: TaskId) -> Option<TaskRow> {
        let mut rows = self.live()?.board().tasks.copies();
        rows.find_map(|row| {
            TaskRow::from_words(&row.words, row.changing, &ClockMap::IDENTITY)
                .filter(|row| row.task == task)
        })
    }

    /// The row of a live token, if it has one.
    pub(crate) fn row_of_token(&self, token: TokenId) -> Option<TokenRow> {
        let row = self.live()?.board().tokens.row(token.slot as usize)?.copy();
        TokenRow::from_words(&row.words, row.changing, &ClockMap::IDENTITY)
            .filter(|row| row.token == token)
    }
}
