//! Keyed permutations.

/// x
#[derive(Clone, Copy, Debug)]
pub struct Permutation {
    key: u64,
    len: u32,
    half_bits: u32,
}
impl Permutation {
    /// x
    pub fn new(key: u64, len: u32) -> Permutation {
        let bits = 32 - len.saturating_sub(1).leading_zeros();
        Permutation { key, len, half_bits: bits.div_ceil(2).max(1) }
    }
    /// x
    pub fn len(&self) -> u32 {
        self.len
    }
    /// x
    pub fn at(&self, index: u32) -> u32 {
        let mask = (1u32 << self.half_bits) - 1;
        let mut value = index;
        loop {
            let (mut l, mut r) = (value >> self.half_bits, value & mask);
            for round in 0..4u64 {
                let mut x = u64::from(r) ^ self.key.rotate_left(round as u32 * 16);
                x = (x ^ (round << 40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                x ^= x >> 29;
                x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
                x ^= x >> 32;
                (l, r) = (r, (l ^ x as u32) & mask);
            }
            value = (l << self.half_bits) | r;
            if value < self.len {
                return value;
            }
        }
    }
}
