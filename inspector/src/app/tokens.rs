//! The columns of the token table.

use super::table::{Column, Context, Fold};
use super::value::Value;
use crate::model::{Strings, Token, View};
use crate::text;
use crate::ui::widget::table::{Align, Column as Layout};
use nexus_protocol::TokenId;
use nexus_protocol::event::Address;

/// A column of the token table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenColumn {
    /// Slot and generation.
    Token,
    /// The descriptor.
    Descriptor,
    /// The kind of source.
    Kind,
    /// Its own address.
    Local,
    /// The peer's address.
    Peer,
    /// What it is registered for.
    Interest,
    /// Its readiness.
    Readiness,
    /// The task that owns it.
    Owner,
    /// Kernel events a second.
    Events,
    /// Wakes a second.
    Wakes,
    /// Spurious polls it caused.
    Spurious,
    /// Stale events while it lived.
    Stale,
    /// Bytes in.
    BytesIn,
    /// Bytes out.
    BytesOut,
    /// Time since it was last active.
    Quiet,
    /// Time since it was claimed.
    Age,
    /// Where it was claimed.
    Location,
}

impl Column for TokenColumn {
    type Row = Token;
    type Key = TokenId;

    const ALL: &'static [Self] = &[
        Self::Token,
        Self::Descriptor,
        Self::Kind,
        Self::Local,
        Self::Peer,
        Self::Interest,
        Self::Readiness,
        Self::Owner,
        Self::Events,
        Self::Wakes,
        Self::Spurious,
        Self::Stale,
        Self::BytesIn,
        Self::BytesOut,
        Self::Quiet,
        Self::Age,
        Self::Location,
    ];
    const GROUPS: &'static [Self] = &[Self::Location, Self::Owner];

    fn rows(view: &View) -> &[Token] {
        &view.tokens
    }

    fn key(row: &Token) -> TokenId {
        row.row.token
    }

    fn layout(self) -> Layout {
        let (title, min, max, align, rank) = match self {
            Self::Token => ("token", 6, 6, Align::Right, 0),
            Self::Descriptor => ("fd", 4, 4, Align::Right, 8),
            Self::Kind => ("kind", 12, 13, Align::Left, 2),
            Self::Local => ("local", 15, 21, Align::Left, 10),
            Self::Peer => ("peer", 15, 21, Align::Left, 5),
            Self::Interest => ("int", 3, 3, Align::Left, 9),
            Self::Readiness => ("ready", 6, 6, Align::Left, 3),
            Self::Owner => ("owner", 5, 5, Align::Right, 2),
            Self::Events => ("ev/s", 5, 5, Align::Right, 1),
            Self::Wakes => ("wk/s", 5, 5, Align::Right, 1),
            Self::Spurious => ("spur", 5, 5, Align::Right, 2),
            Self::Stale => ("stale", 5, 5, Align::Right, 9),
            Self::BytesIn => ("in", 6, 6, Align::Right, 4),
            Self::BytesOut => ("out", 6, 6, Align::Right, 4),
            Self::Quiet => ("quiet", 7, 7, Align::Right, 6),
            Self::Age => ("age", 7, 7, Align::Right, 7),
            Self::Location => ("claimed at", 14, 48, Align::Path, 3),
        };
        Layout { title, min, max, align, rank }
    }

    fn value(self, token: &Token, context: Context<'_>) -> Value {
        let Token { row, rates } = token;
        let at = context.view.at;
        match self {
            Self::Token => Value::Token(row.token),
            Self::Descriptor if row.fd < 0 => Value::Nothing,
            Self::Descriptor => Value::Descriptor(row.fd),
            Self::Kind => Value::Text(row.kind.name().to_owned()),
            Self::Local => address(row.local, context.strings),
            Self::Peer => address(row.peer, context.strings),
            Self::Interest => Value::Text(row.interest.letters()),
            Self::Readiness => Value::Text(row.readiness.letters()),
            Self::Owner => row.owner.map_or(Value::Nothing, Value::Task),
            Self::Events => Value::Rate(rates.events),
            Self::Wakes => Value::Rate(rates.wakes),
            Self::Spurious => Value::Count(row.counters.spurious),
            Self::Stale => Value::Count(row.counters.stale),
            Self::BytesIn => Value::Bytes(row.counters.bytes_in),
            Self::BytesOut => Value::Bytes(row.counters.bytes_out),
            Self::Quiet => {
                Value::Duration(at.since(row.last_active.known().unwrap_or(row.claimed)))
            }
            Self::Age => Value::Duration(at.since(row.claimed)),
            Self::Location => Value::words(context.strings.get(row.location)),
        }
    }

    fn group_name(self) -> &'static str {
        if self == Self::Location { "place" } else { self.layout().title }
    }

    fn fold(self) -> Fold {
        match self {
            Self::Events
            | Self::Wakes
            | Self::Spurious
            | Self::Stale
            | Self::BytesIn
            | Self::BytesOut => Fold::Sum,
            Self::Quiet | Self::Age => Fold::Max,
            _ => Fold::Same,
        }
    }
}

fn address(address: Option<Address>, strings: &Strings) -> Value {
    address.map_or(Value::Nothing, |address| Value::Text(address_text(address, strings)))
}

/// An address as it is written, clean.
#[must_use]
pub fn address_text(address: Address, strings: &Strings) -> String {
    match address {
        Address::Inet(address) => address.to_string(),
        Address::Unix(path) => text::clean(strings.get(path)).into_owned(),
    }
}
