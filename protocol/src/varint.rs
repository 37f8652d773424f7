//! Numbers of variable length: seven bits a byte, the lowest first, the top bit says that more follow (LEB128).
//!
//! A `u64` takes at most ten bytes. Reading is strict about what does not fit and lenient about superfluous zeros.

/// Bytes of the longest number.
pub(crate) const MAX_BYTES: usize = 10;

/// Why no number could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VarintError {
    /// The bytes end inside the number.
    Short,
    /// The number does not fit into 64 bits.
    Overflow,
}

/// Appends a number.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a number that may be negative: 0, -1, 1, -2, … as 0, 1, 2, 3, ….
#[inline]
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, zigzag(value));
}

/// The number at the beginning of `bytes`, and how many bytes it takes.
#[inline]
pub(crate) fn get(bytes: &[u8]) -> Result<(u64, usize), VarintError> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(MAX_BYTES).enumerate() {
        let bits = u64::from(byte & 0x7F);
        if index == MAX_BYTES - 1 && byte > 1 {
            return Err(VarintError::Overflow);
        }
        value |= bits << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, index + 1));
        }
    }
    Err(VarintError::Short)
}

/// Maps small numbers of either sign to small ones.
#[inline]
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
#[inline]
pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, value);
        out
    }

    #[test]
    fn edges_have_the_lengths_that_the_specification_names() {
        for (value, length) in
            [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX, 10)]
        {
            assert_eq!(bytes(value).len(), length, "{value}");
        }
    }

    #[test]
    fn what_does_not_fit_or_ends_early_is_refused() {
        assert_eq!(get(&[]), Err(VarintError::Short));
        assert_eq!(get(&[0x80, 0x80]), Err(VarintError::Short));
        assert_eq!(get(&[0xFF; 10]), Err(VarintError::Overflow));
        let mut two_to_the_64 = [0x80; 10];
        two_to_the_64[9] = 2;
        assert_eq!(get(&two_to_the_64), Err(VarintError::Overflow));
    }

    #[test]
    fn superfluous_zeros_are_accepted() {
        assert_eq!(get(&[0x81, 0x80, 0x00]), Ok((1, 3)));
    }

    proptest! {
        #[test]
        fn every_number_survives(value: u64, signed: i64, tail: Vec<u8>) {
            let mut out = bytes(value);
            let length = out.len();
            out.extend(&tail);
            prop_assert_eq!(get(&out), Ok((value, length)));
            prop_assert_eq!(unzigzag(zigzag(signed)), signed);
        }
    }
}
