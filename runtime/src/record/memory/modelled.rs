//! Memory as loom's models have it: no bytes, but a value of its own for each part.

use super::Plain;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;

/// One or several values. Clones of a part are the same values; parts that were asked for twice are not.
pub(crate) type Part<T> = Arc<T>;

/// Nothing: parts are made when they are asked for.
#[derive(Debug)]
pub(crate) struct Memory;

impl Memory {
    /// Never fails.
    pub(crate) fn private(_bytes: usize) -> io::Result<Self> {
        Ok(Self)
    }

    /// There are no files in models.
    pub(crate) fn of_file(_file: impl AsFd, _bytes: usize) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// There are no bytes in models.
    pub(crate) fn filled<E: From<io::Error>>(
        _bytes: usize,
        _fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }

    /// A new value of zeros.
    pub(crate) fn part<T: Plain>(self: &Arc<Self>, _offset: usize) -> Part<T> {
        Arc::new(T::zeroed())
    }

    /// New values of zeros.
    pub(crate) fn slice<T: Plain>(self: &Arc<Self>, _offset: usize, len: usize) -> Part<[T]> {
        (0..len).map(|_| T::zeroed()).collect()
    }

    /// There are no pages.
    pub(crate) fn keep_small(&self, _range: Range<usize>) {}
}
