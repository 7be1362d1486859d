//! Sets of bytes, made at compile time.

/// A set of bytes.
///
/// ```
/// use gavel_sdk::scan::ByteSet;
///
/// const HEX: ByteSet = ByteSet::DIGITS.and(ByteSet::range(b'a', b'f'));
/// assert!(HEX.contains(b'c') && !HEX.contains(b'g'));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSet([u32; 8]);

impl ByteSet {
    /// No byte.
    pub const NONE: Self = Self([0; 8]);
    /// Every byte.
    pub const ALL: Self = Self::NONE.complement();
    /// `0` to `9`.
    pub const DIGITS: Self = Self::range(b'0', b'9');
    /// `A` to `Z`.
    pub const UPPER: Self = Self::range(b'A', b'Z');
    /// `a` to `z`.
    pub const LOWER: Self = Self::range(b'a', b'z');
    /// ASCII letters.
    pub const LETTERS: Self = Self::UPPER.and(Self::LOWER);
    /// ASCII letters and digits.
    pub const ALPHANUMERIC: Self = Self::LETTERS.and(Self::DIGITS);
    /// Bytes of characters beyond ASCII.
    pub const NON_ASCII: Self = Self::range(0x80, 0xff);

    /// These bytes.
    #[must_use]
    pub const fn of(bytes: &[u8]) -> Self {
        let mut set = Self::NONE;
        let mut rest = bytes;
        while let [byte, tail @ ..] = rest {
            set = set.with(*byte);
            rest = tail;
        }
        set
    }

    /// From the first to the last, both included.
    #[must_use]
    pub const fn range(first: u8, last: u8) -> Self {
        let mut set = Self::NONE;
        let mut byte = first;
        while byte < last {
            set = set.with(byte);
            byte += 1;
        }
        set.with(last)
    }

    /// This set and that.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let (Self([a, b, c, d, e, f, g, h]), Self([i, j, k, l, m, n, o, p])) = (self, other);
        Self([a | i, b | j, c | k, d | l, e | m, f | n, g | o, h | p])
    }

    /// Every byte that is not in this set.
    #[must_use]
    pub const fn complement(self) -> Self {
        let Self([a, b, c, d, e, f, g, h]) = self;
        Self([!a, !b, !c, !d, !e, !f, !g, !h])
    }

    /// This set without those bytes.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        self.complement().and(other).complement()
    }

    /// True if the byte is in the set.
    #[must_use]
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the upper three bits of a byte index eight words")]
    pub const fn contains(&self, byte: u8) -> bool {
        self.0[(byte >> 5) as usize] >> (byte & 31) & 1 == 1
    }

    #[expect(clippy::indexing_slicing, reason = "the upper three bits of a byte index eight words")]
    const fn with(mut self, byte: u8) -> Self {
        self.0[(byte >> 5) as usize] |= 1 << (byte & 31);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSet;

    #[test]
    fn a_set_holds_what_it_was_made_of() {
        let set = ByteSet::of(b"a\xff").and(ByteSet::range(0, 3));
        let members: Vec<u8> = (0..=255).filter(|byte| set.contains(*byte)).collect();
        assert_eq!(members, [0, 1, 2, 3, b'a', 0xff]);
        let without = set.without(ByteSet::range(1, 0xfe));
        assert_eq!((0..=255).filter(|byte| without.contains(*byte)).collect::<Vec<u8>>(), [0, 0xff]);
        assert_eq!((0..=255).filter(|byte| ByteSet::ALL.contains(*byte)).count(), 256);
    }
}
