//! A shuffled order without a shuffled list.
//!
//! SWIM probes the members in a random order, every member once per round (SWIM paper, section 4.3), so
//! that the time to detect a failure is bounded. A list per member would cost four bytes for each member
//! it knows; a keyed permutation of the indices costs none. It is a small block cipher: a Feistel network
//! over just enough bits for the indices, which is a permutation whatever its round function does, walked
//! again while its result is not an index (Black and Rogaway, "Ciphers with arbitrary finite domains").
//!
//! It spreads probes evenly; it is no secret.

/// Pairs of rounds of the network. With three, neighbouring positions of a few hundred indices are still
/// visibly related; from a thousand indices on three will do.
const ROUND_PAIRS: u32 = 3;
/// Pairs of rounds below `SMALL_BITS`.
const ROUND_PAIRS_SMALL: u32 = 4;
/// Bits below which a network is small.
const SMALL_BITS: u32 = 10;
/// Fewest bits of the network: with fewer, it could not tell enough orders apart. Walking makes up for the
/// values that are not indices.
const BITS_MIN: u32 = 4;
/// Odd numbers with their bits well mixed: fractions of the square roots of 2 and 3, and of the golden ratio.
const MULTIPLIER_FIRST: u64 = 0x6a09_e667_f3bc_c909;
const MULTIPLIER_SECOND: u64 = 0x9e37_79b9_7f4a_7c15;
const ROUND_STEP: u64 = 0xbb67_ae85_84ca_a73b;

/// A random order of the indices `0..len`, fixed by a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permutation {
    key: u64,
    len: u32,
}

impl Permutation {
    /// The order of `0..len` that belongs to `key`. Keys may be consecutive numbers.
    pub const fn new(key: u64, len: u32) -> Permutation {
        Permutation { key: mix(key), len }
    }

    /// How many indices there are.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The index at `position`. Of 9 indices or more, the network is walked less than twice on average; of
    /// two, eight times.
    ///
    /// # Panics
    /// If `position` is not below [`len`](Permutation::len).
    pub fn at(&self, position: u32) -> u32 {
        assert!(position < self.len, "position {position} of a permutation of {}", self.len);
        let bits = (u32::BITS - (self.len - 1).leading_zeros()).max(BITS_MIN);
        let mut value = position;
        // The walk ends: it is on a cycle that contains `position`, which is an index.
        loop {
            value = self.encrypt(value, bits);
            if value < self.len {
                return value;
            }
        }
    }

    /// A permutation of the numbers of `bits` bits.
    fn encrypt(&self, value: u32, bits: u32) -> u32 {
        let low_bits = bits / 2;
        let low_mask = (1 << low_bits) - 1;
        let high_mask = (1 << (bits - low_bits)) - 1;
        let (mut low, mut high) = (value & low_mask, value >> low_bits);
        let mut round_key = self.key;
        for _ in 0..if bits < SMALL_BITS { ROUND_PAIRS_SMALL } else { ROUND_PAIRS } {
            low ^= scramble(high, round_key) & low_mask;
            round_key = round_key.wrapping_add(ROUND_STEP);
            high ^= scramble(low, round_key) & high_mask;
            round_key = round_key.wrapping_add(ROUND_STEP);
        }
        high << low_bits | low
    }
}

/// The round function. Two folds: after one, halves of a few bits still give nearly the same differences
/// whatever the key.
fn scramble(half: u32, round_key: u64) -> u32 {
    fold(fold(u64::from(half) ^ round_key, MULTIPLIER_FIRST), MULTIPLIER_SECOND) as u32
}

/// A wide multiplication, its halves combined.
fn fold(value: u64, multiplier: u64) -> u64 {
    let product = u128::from(value) * u128::from(multiplier);
    (product >> 64) as u64 ^ product as u64
}

/// Spreads every bit of a key over all of them (the finaliser of MurmurHash3, as in SplitMix64).
const fn mix(key: u64) -> u64 {
    let mut key = key.wrapping_add(ROUND_STEP);
    key = (key ^ key >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    key = (key ^ key >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ key >> 31
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_bijection(permutation: Permutation) -> bool {
        let mut seen = vec![false; permutation.len() as usize];
        (0..permutation.len()).all(|position| {
            let index = permutation.at(position) as usize;
            index < seen.len() && !std::mem::replace(&mut seen[index], true)
        })
    }

    #[test]
    fn every_small_size_is_a_bijection() {
        for len in 0..=1_500 {
            for key in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
                assert!(is_bijection(Permutation::new(key, len)), "{len} indices, key {key}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn large_sizes_are_bijections(key: u64, len in 1_500..600_000_u32) {
            prop_assert!(is_bijection(Permutation::new(key, len)));
        }
    }

    proptest! {
        #[test]
        fn the_largest_sizes_give_different_indices(key: u64, len in (1_u32 << 31)..=u32::MAX, first: u32) {
            let permutation = Permutation::new(key, len);
            let first = first % (len - 2_000);
            let mut indices: Vec<u32> = (first..first + 2_000).map(|i| permutation.at(i)).collect();
            prop_assert!(indices.iter().all(|&index| index < len));
            indices.sort_unstable();
            indices.dedup();
            prop_assert_eq!(indices.len(), 2_000);
        }
    }

    #[test]
    fn different_keys_give_different_orders() {
        let order = |key| -> Vec<u32> {
            let permutation = Permutation::new(key, 1_000);
            (0..1_000).map(|position| permutation.at(position)).collect()
        };
        let first = order(0);
        for key in (1..50).chain((0..64).map(|bit| 1 << bit)) {
            let same = first.iter().zip(order(key)).filter(|&(&a, b)| a == b).count();
            // A random order agrees in one place on average; in 12 once in a billion.
            assert!(same < 12, "key {key} agrees with key 0 in {same} places");
        }
    }

    /// Pearson's statistic of `counts` against the uniform distribution, as standard deviations of the
    /// chi-square distribution away from its mean.
    fn deviations(counts: &[u32]) -> f64 {
        let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
        let chi_square: f64 =
            counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        let freedom = (counts.len() - 1) as f64;
        (chi_square - freedom) / (2.0 * freedom).sqrt()
    }

    #[test]
    fn any_position_is_any_index_equally_often() {
        for len in [2, 3, 5, 7, 10, 16, 17, 31, 100, 1_000] {
            for position in [0, 1, len / 2, len - 1] {
                let mut counts = vec![0; len as usize];
                for key in 0..len * 500 {
                    let key = u64::from(key) + (u64::from(position) << 40);
                    counts[Permutation::new(key, len).at(position) as usize] += 1;
                }
                let off = deviations(&counts);
                assert!(off < 4.5, "{len} indices, position {position}: {off:.1} deviations, {counts:?}");
            }
        }
    }

    #[test]
    fn neighbouring_positions_of_many_are_independent() {
        for len in [1 << 10, 1 << 12, 1 << 16, 1 << 20] {
            let (mut coarse, mut difference) = (vec![0; 256], vec![0; 256]);
            for key in 0..100_000 {
                let permutation = Permutation::new(key, len);
                let (first, second) = (permutation.at(0), permutation.at(1));
                coarse[(first / (len / 16) * 16 + second / (len / 16)) as usize] += 1;
                difference[((first ^ second) & 255) as usize] += 1;
            }
            for counts in [coarse, difference] {
                let off = deviations(&counts);
                assert!(off < 4.5, "{len} indices: {off:.1} deviations");
            }
        }
    }

    #[test]
    fn neighbouring_positions_are_independent() {
        for len in [5, 8, 13, 16, 24, 40, 64] {
            let size = len as usize;
            let mut counts = vec![0; size * size];
            for key in 0..len * len * 300 {
                let permutation = Permutation::new(u64::from(key), len);
                counts[permutation.at(0) as usize * size + permutation.at(1) as usize] += 1;
            }
            // A pair of the same index cannot be.
            let pairs: Vec<u32> =
                (0..size * size).filter(|i| i / size != i % size).map(|i| counts[i]).collect();
            assert_eq!(pairs.iter().sum::<u32>(), len * len * 300);
            let off = deviations(&pairs);
            assert!(off < 4.5, "{len} indices: {off:.1} deviations");
        }
    }
}
