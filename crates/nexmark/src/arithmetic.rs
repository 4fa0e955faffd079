//! Section 1 of the specification: the 64-bit arithmetic behind every column.
//!
//! Owns the mixing function, its two ways to scale a random word, and the random words of an
//! event. Everything wraps around, so no index can overflow. It knows no table and no column.

/// The increment of the sequence that `mix64` turns into random words.
pub(crate) const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// A bijection of 64-bit numbers that looks random.
#[inline]
pub(crate) const fn mix64(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Uniform in `[0, n)` from the high 32 bits of `r`, for `n` below 2^32.
#[inline]
pub(crate) const fn hi(r: u64, n: u64) -> u64 {
    (r >> 32).wrapping_mul(n) >> 32
}

/// Uniform in `[0, n)` from the low 32 bits of `r`, for `n` below 2^32.
#[inline]
pub(crate) const fn lo(r: u64, n: u64) -> u64 {
    (r & 0xFFFF_FFFF).wrapping_mul(n) >> 32
}

/// The random words of one event: `r(1)`, `r(2)`, ...
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words(u64);

impl Words {
    #[inline]
    pub(crate) const fn of_event(index: u64) -> Self {
        Self(mix64(index.wrapping_add(1).wrapping_mul(GAMMA)))
    }

    #[inline]
    pub(crate) const fn r(self, k: u64) -> u64 {
        mix64(self.0.wrapping_add(k.wrapping_mul(GAMMA)))
    }
}
