//! Random numbers, the same ones for the same seed.

use std::ops::RangeInclusive;

/// `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number in `range`.
    pub fn within(&mut self, range: RangeInclusive<u16>) -> u16 {
        let count = u64::from(range.end() - range.start()) + 1;
        range.start() + (self.bits() % count) as u16
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.bits().is_multiple_of(n)
    }

    /// `len` bytes: of all values, or of the extreme ones only.
    pub fn bytes(&mut self, len: usize, extreme: bool) -> Vec<i8> {
        let value = |bits: u64| match (extreme, bits & 1) {
            (true, 0) => i8::MIN,
            (true, _) => i8::MAX,
            (false, _) => bits as i8,
        };
        (0..len).map(|_| value(self.bits())).collect()
    }

    /// `len` numbers of up to `bits` bits and a sign.
    pub fn numbers(&mut self, len: usize, bits: u32) -> Vec<i32> {
        (0..len).map(|_| self.bits() as i32 >> (31 - bits)).collect()
    }
}
