//! The public face of a token, and how handing one back can go wrong.

use nexus_protocol::event::RefusalReason;
use nexus_protocol::{RuntimeId, TokenId};
use std::fmt;
use std::io;

/// One registration of an I/O source with one runtime. Shown as `7.3`: slot 7, generation 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    pub(crate) runtime: RuntimeId,
    pub(crate) id: TokenId,
}

impl Token {
    /// Slot and generation.
    #[must_use]
    pub fn id(self) -> TokenId {
        self.id
    }

    /// The runtime it is of.
    #[must_use]
    pub fn runtime(self) -> RuntimeId {
        self.runtime
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

/// A token was used that is not live, or not this runtime's. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("token {token} is not live in this runtime: {reason}")]
pub struct TokenError {
    /// The token as it was handed in.
    pub token: TokenId,
    /// What is wrong with it.
    pub reason: RefusalReason,
}

impl From<TokenError> for io::Error {
    fn from(error: TokenError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}
