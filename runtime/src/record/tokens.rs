//! The probes of the I/O driver: tokens, their readiness, the freelist, and operations on tokens and other things.

use super::Recorder;
use super::row::Words;
use super::writer::Writer;
use nexus_protocol::board::{TokenRow, task_word, token_word as at, total_word};
use nexus_protocol::event::{
    Address, Operation, OperationResult, RefusalReason, Side, SourceKind, Subject, TransitionReason,
};
use nexus_protocol::ids::{Seq, TaskId, TokenId};
use nexus_protocol::{Event, Interest, Readiness};
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net as unix;
use std::panic::Location;

type Row = super::row::Row<{ at::COUNT }>;

const READINESS_SHIFT: u32 = 16;
const INTEREST_SHIFT: u32 = 8;

/// A state word with one of its bytes replaced.
#[inline]
fn with_byte(state: u64, shift: u32, byte: u8) -> u64 {
    state & !(0xFF << shift) | u64::from(byte) << shift
}

/// An address as the socket types have it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SocketName<'a> {
    /// Of an IP socket.
    Inet(SocketAddr),
    /// Of a Unix socket.
    Unix(&'a unix::SocketAddr),
}

impl From<SocketAddr> for SocketName<'_> {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

impl<'a> From<&'a unix::SocketAddr> for SocketName<'a> {
    fn from(address: &'a unix::SocketAddr) -> Self {
        Self::Unix(address)
    }
}

impl Writer {
    /// An address for a record, unless the socket has no name. That of a Unix socket is interned: its path, or `@` and
    /// its abstract name.
    fn address(&self, name: SocketName<'_>) -> Option<Address> {
        let text = match name {
            SocketName::Inet(address) => return Some(Address::Inet(address)),
            SocketName::Unix(address) => {
                match (address.as_pathname(), address.as_abstract_name()) {
                    (Some(path), _) => path.to_string_lossy(),
                    (None, Some(name)) => format!("@{}", String::from_utf8_lossy(name)).into(),
                    (None, None) => return None,
                }
            }
        };
        Some(Address::Unix(self.strings.name(Some(&text))))
    }

    /// The row of a live token; none if it has none, or is not the slot's token any more.
    #[inline]
    pub(super) fn token_row(&self, token: TokenId) -> Option<&Row> {
        self.board()
            .tokens
            .row(token.slot as usize)
            .filter(|row| row.own(at::TOKEN) == token.pack() && row.own(at::STATE) & at::LIVE != 0)
    }

    /// Changes the row of a live token, if it has one, with the record before `next`.
    #[inline]
    pub(super) fn change_token(
        &self,
        token: TokenId,
        next: Seq,
        change: impl FnOnce(&Words<'_, { at::COUNT }>),
    ) {
        if let Some(row) = self.token_row(token) {
            row.change(|words| {
                words.set(at::NEXT_SEQ, next);
                change(&words);
            });
        }
    }
}

impl Recorder {
    /// A token was claimed.
    pub(crate) fn token_claimed(
        &self,
        token: TokenId,
        kind: SourceKind,
        fd: i32,
        location: &'static Location<'static>,
    ) {
        let Some(live) = self.live() else { return };
        let location = live.strings.location(location);
        let board = live.board();
        let now_live = board.total(total_word::LIVE) + 1;
        let (claimed, owner) = (live.last().0, live.poll.task.get());
        live.record(
            |_| Event::TokenClaimed { token, kind, fd, location, live: now_live as u32 },
            |next| {
                board.add(total_word::CLAIMS, 1);
                board.set_total(total_word::LIVE, now_live);
                if now_live > board.total(total_word::HIGH_WATER) {
                    board.set_total(total_word::HIGH_WATER, now_live);
                }
                let Some(row) = board.tokens.make(token.slot as usize) else {
                    return board.add(total_word::TOKENS_WITHOUT_ROW, 1);
                };
                row.change(|words| {
                    words.clear();
                    words.set(at::NEXT_SEQ, next);
                    words.set(at::TOKEN, token.pack());
                    let (interest, readiness) = (Interest::EMPTY, Readiness::EMPTY);
                    words.set(at::STATE, TokenRow::state_word(kind, interest, readiness, fd));
                    words.set(at::LOCATION, u64::from(location.0));
                    words.set(at::OWNER, owner);
                    words.set(at::CLAIMED, claimed);
                });
            },
        );
    }

    /// A token's registration changed, or would not (`errno`).
    pub(crate) fn token_registered(
        &self,
        token: TokenId,
        before: Interest,
        after: Interest,
        errno: u32,
    ) {
        let Some(live) = self.live() else { return };
        live.record(
            |_| Event::TokenRegistered { token, before, after, errno },
            |next| {
                live.change_token(token, next, |row| {
                    if errno == 0 {
                        let state = with_byte(row.get(at::STATE), INTEREST_SHIFT, after.bits());
                        row.set(at::STATE, state);
                    }
                });
            },
        );
    }

    /// The addresses of a token became known.
    pub(crate) fn token_addresses(
        &self,
        token: TokenId,
        local: Option<SocketName<'_>>,
        peer: Option<SocketName<'_>>,
    ) {
        let Some(live) = self.live() else { return };
        let slot = token.slot;
        for (side, name) in [(Side::Local, local), (Side::Peer, peer)] {
            let Some(address) = name.and_then(|name| live.address(name)) else { continue };
            live.record(
                |_| Event::TokenAddress { slot, side, address },
                |next| {
                    live.change_token(token, next, |row| set_address(row, side, address));
                },
            );
        }
    }

    /// A token was released; `errno` says why the kernel would not deregister its source, zero if it did.
    pub(crate) fn token_released(&self, token: TokenId, errno: u32) {
        let Some(live) = self.live() else { return };
        let board = live.board();
        let now_live = board.total(total_word::LIVE).saturating_sub(1);
        live.record(
            |_| Event::TokenReleased { token, live: now_live as u32, errno },
            |next| {
                board.add(total_word::RELEASES, 1);
                board.set_total(total_word::LIVE, now_live);
                if errno != 0 {
                    board.add(total_word::DEREGISTER_FAILURES, 1);
                }
                match live.token_row(token) {
                    None => board.subtract(total_word::TOKENS_WITHOUT_ROW, 1),
                    Some(row) => row.change(|words| {
                        words.set(at::NEXT_SEQ, next);
                        words.set(at::STATE, 0);
                    }),
                }
            },
        );
    }

    /// A token was handed back that could not be released.
    pub(crate) fn release_refused(&self, token: TokenId, reason: RefusalReason) {
        let Some(live) = self.live() else { return };
        live.record(
            |_| Event::ReleaseRefused { token, reason },
            |_| live.board().add(total_word::RELEASES_REFUSED, 1),
        );
    }

    /// A token's readiness changed, or was reported again. Returns the record's number for the wakes it causes.
    #[inline]
    pub(crate) fn transition(
        &self,
        token: TokenId,
        before: Readiness,
        after: Readiness,
        reason: TransitionReason,
        wakers: u32,
    ) -> Option<Seq> {
        let live = self.live()?;
        let now = live.last().0;
        let is_event = reason == TransitionReason::Event;
        Some(live.record(
            |_| Event::Transition { token, before, after, reason, wakers },
            |next| {
                if is_event {
                    live.board().add(total_word::EVENTS, 1);
                }
                live.change_token(token, next, |row| {
                    let state = with_byte(row.get(at::STATE), READINESS_SHIFT, after.bits());
                    row.set(at::STATE, state);
                    if after.contains(Readiness::READ_CLOSED) && row.get(at::READ_CLOSED) == 0 {
                        row.set(at::READ_CLOSED, now);
                    }
                    if is_event {
                        row.add(at::EVENTS, 1);
                        row.set(at::LAST_ACTIVE, now);
                    }
                });
            },
        ))
    }

    /// The kernel reported an event for a registration that is gone.
    pub(crate) fn stale_event(&self, token: TokenId, current: u32, readiness: Readiness) {
        let Some(live) = self.live() else { return };
        let owner = TokenId { slot: token.slot, generation: current };
        live.record(
            |_| Event::StaleEvent { token, current, readiness },
            |next| {
                live.board().add(total_word::STALE, 1);
                live.change_token(owner, next, |row| row.add(at::STALE, 1));
            },
        );
    }

    /// The slot table has grown to this capacity (also called once for its first capacity, if that is not zero).
    pub(crate) fn freelist_grown(&self, capacity: u32) {
        let Some(live) = self.live() else { return };
        let board = live.board();
        let first = board.total(total_word::CAPACITY) == 0;
        let growths = board.total(total_word::GROWTHS) + u64::from(!first);
        let live_tokens = board.total(total_word::LIVE) as u32;
        live.record(
            |_| Event::FreelistGrown { capacity, live: live_tokens, growths: growths as u32 },
            |_| {
                board.set_total(total_word::CAPACITY, u64::from(capacity));
                board.set_total(total_word::GROWTHS, growths);
            },
        );
    }

    /// A leaf future tried something, in the poll under way.
    #[inline]
    pub(crate) fn operation(
        &self,
        operation: Operation,
        subject: Subject,
        result: OperationResult,
    ) {
        let Some(live) = self.live() else { return };
        let (task, poll) = (live.polled_task(), live.poll_seq());
        let progress = result.is_progress();
        live.poll.operations.set(live.poll.operations.get().saturating_add(1));
        live.poll.progress.set(live.poll.progress.get().saturating_add(u16::from(progress)));
        let (bytes_in, bytes_out) = operation.bytes(subject, result);
        live.record(
            |_| Event::Operation { operation, subject, result, task, poll },
            |next| {
                let board = live.board();
                board.add(total_word::OPERATIONS, 1);
                if bytes_in != 0 {
                    board.add(total_word::BYTES_IN, bytes_in);
                }
                if bytes_out != 0 {
                    board.add(total_word::BYTES_OUT, bytes_out);
                }
                live.change_polled_task(next, |row| {
                    row.add(task_word::OPERATIONS, 1);
                    row.add(task_word::PROGRESS, u64::from(progress));
                });
                if let Subject::Token(token) = subject {
                    let now = live.last().0;
                    live.change_token(token, next, |row| {
                        count_operation(row, result);
                        row.add(at::BYTES_IN, bytes_in);
                        row.add(at::BYTES_OUT, bytes_out);
                        row.set(at::LAST_ACTIVE, now);
                        if let Some(TaskId(task)) = task {
                            row.set(at::OWNER, task);
                        }
                    });
                }
            },
        );
    }
}

#[inline]
fn count_operation(row: &Words<'_, { at::COUNT }>, result: OperationResult) {
    row.add(at::OPERATIONS, 1);
    match result {
        OperationResult::Done(_) | OperationResult::EndOfFile => {}
        OperationResult::Error(_) => row.add(at::ERRORS, 1),
        OperationResult::WouldBlock => row.add(at::WOULD_BLOCK, 1),
        OperationResult::NotReady => row.add(at::NOT_READY, 1),
    }
}

/// Sets one of the two addresses of a row.
fn set_address(row: &Words<'_, { at::COUNT }>, side: Side, address: Address) {
    const LOWER: u64 = 0xFFFF_FFFF;
    let heads = row.get(at::ADDRESS_HEADS);
    let (words, kept, word) = match side {
        Side::Local => (TokenRow::address_words(Some(address), None), heads & !LOWER, at::LOCAL),
        Side::Peer => (TokenRow::address_words(None, Some(address)), heads & LOWER, at::PEER),
    };
    let [head, local_x, local_y, peer_x, peer_y] = words;
    row.set(at::ADDRESS_HEADS, kept | head);
    let (x, y) = if side == Side::Local { (local_x, local_y) } else { (peer_x, peer_y) };
    row.set(word, x);
    row.set(word + 1, y);
}
