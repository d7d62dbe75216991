//! Counts of references, a byte each as long as none needs more.
//!
//! An embedded member means each other once. Thousands of members of one process mean each other thousands of times,
//! and from then on each count has four bytes.

use crate::protocol::view::grow_for_one;

/// A count for each place. See the module.
#[derive(Debug)]
pub(in crate::protocol) enum References {
    Few(Vec<u8>),
    Many(Vec<u32>),
}

impl References {
    pub(in crate::protocol) const fn new() -> References {
        References::Few(Vec::new())
    }

    /// Makes room for `places` in all.
    pub(in crate::protocol) fn reserve(&mut self, places: usize) {
        match self {
            References::Few(counts) => counts.reserve_exact(places.saturating_sub(counts.len())),
            References::Many(counts) => counts.reserve_exact(places.saturating_sub(counts.len())),
        }
    }

    /// Adds a place without references.
    pub(in crate::protocol) fn push(&mut self) {
        match self {
            References::Few(counts) => {
                grow_for_one(counts);
                counts.push(0);
            }
            References::Many(counts) => {
                grow_for_one(counts);
                counts.push(0);
            }
        }
    }

    /// References to a place.
    #[inline]
    pub(in crate::protocol) fn get(&self, place: u32) -> u32 {
        match self {
            References::Few(counts) => counts[place as usize].into(),
            References::Many(counts) => counts[place as usize],
        }
    }

    /// `count` more references to a place.
    #[inline]
    pub(in crate::protocol) fn add(&mut self, place: u32, count: u32) {
        let sum = self.get(place) + count;
        match self {
            References::Many(counts) => counts[place as usize] = sum,
            References::Few(counts) => match u8::try_from(sum) {
                Ok(sum) => counts[place as usize] = sum,
                Err(_) => self.widen(place, sum),
            },
        }
    }

    /// One reference less to a place that has some.
    #[inline]
    pub(in crate::protocol) fn subtract(&mut self, place: u32) {
        match self {
            References::Few(counts) => counts[place as usize] -= 1,
            References::Many(counts) => counts[place as usize] -= 1,
        }
    }

    #[cold]
    fn widen(&mut self, place: u32, sum: u32) {
        if let References::Few(counts) = self {
            // As much room as was set aside: a fleet does not allocate later.
            let mut wide = Vec::with_capacity(counts.capacity());
            wide.extend(counts.iter().map(|count| u32::from(*count)));
            wide[place as usize] = sum;
            *self = References::Many(wide);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn count_as_numbers_do(steps in prop::collection::vec((0..40_u32, 0..4_u32), 0..2_000)) {
            let (mut references, mut twin) = (References::new(), vec![0_u32; 40]);
            twin.iter().for_each(|_| references.push());
            for (place, count) in steps {
                let counted = &mut twin[place as usize];
                if count > 0 {
                    // Few places get most, and go over what a byte holds.
                    let count = if place < 2 { count * 11 } else { count };
                    references.add(place, count);
                    *counted += count;
                } else if *counted > 0 {
                    references.subtract(place);
                    *counted -= 1;
                }
                prop_assert!(twin.iter().zip(0..).all(|(count, place)| references.get(place) == *count));
            }
        }
    }

    #[test]
    fn a_count_goes_over_to_more_bytes() {
        let mut references = References::new();
        references.push();
        references.add(0, 255);
        assert!(matches!(references, References::Few(_)));
        references.add(0, 1);
        assert!(matches!(references, References::Many(_)));
        references.push();
        references.add(1, 1_000_000);
        references.subtract(0);
        assert_eq!([references.get(0), references.get(1)], [255, 1_000_000]);
    }
}
