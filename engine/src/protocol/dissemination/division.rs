//! Division: how one member's part of the cluster becomes the parts of its delegates.
//!
//! Every member knows nearly everybody, and ids are uniform hashes. So telling everyone is dividing the id space:
//! who is asked to tell all members whose ids share their first `L` bits with its own goes down from `L` in steps
//! of a few bits. At each step its own id falls into one of the sub-prefixes; for each *other* one that holds a
//! live member it chooses one of these, and asks it to tell the rest of that sub-prefix. It goes on in its own
//! until nobody else is left there. Whatever the view, each member of the part but the divider itself is covered by
//! exactly one sub-prefix. (Range delegation over a distributed hash table: El-Ansary and others, 2003; Kadcast,
//! 2019. A full view makes the delegates a computation, with no structure to maintain.)
//!
//! Delegates are *sticky*: a keyed hash of who divides, the sub-prefix and a time slot gives a point, and the first
//! live member from there on is chosen. Updates that are under way at the same time so go to the same delegates,
//! and share frames.

use std::ops::RangeInclusive;

use swimring_codec::MemberId;

use crate::protocol::pools::delegations::Part;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::id_order::IdOrder;

/// Bits of an id.
const ID_BITS: u8 = u64::BITS as u8;

/// What a view says of a member whom a part of the cluster may be delegated to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Candidate {
    /// Not part of the cluster: nobody to tell.
    Gone,
    /// To be told, but better not relied upon.
    Suspect,
    Alive,
}

/// Who divides, and how.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Division {
    pub(in crate::protocol) own: MemberId,
    /// Bits per step: each step has two to the power of it sub-prefixes.
    pub(in crate::protocol) step_bits: u8,
    /// The time slot that delegates stay the same for.
    pub(in crate::protocol) slot: u64,
}

impl Division {
    /// Divides the part whose ids share the first `prefix_bits` bits of the own id, telling `each` delegate.
    pub(in crate::protocol) fn divide(
        &self,
        order: &IdOrder,
        prefix_bits: u8,
        candidate: impl Fn(MemberIndex) -> Candidate,
        mut each: impl FnMut(Part),
    ) {
        let Some(shared) = self.nearest(order, prefix_bits, &candidate) else { return };
        let own = self.own.0;
        let mut level = prefix_bits;
        // There is somebody who shares so many bits, and nobody who shares more.
        while level <= shared && level < ID_BITS {
            let below = level.saturating_add(self.step_bits).min(ID_BITS);
            for sibling in 0..1_u64 << (below - level) {
                let prefix = with_bits(own, level, below, sibling);
                if prefix_of(prefix, below) == prefix_of(own, below) {
                    continue;
                }
                if let Some(delegate) = self.choose(order, prefix, below, 0, &candidate, |_| false) {
                    each(Part { delegate, prefix_bits: below });
                }
            }
            level = below;
        }
    }

    /// How many leading bits the nearest live member shares with the own id, if that is no less than
    /// `prefix_bits`. For most members of a broadcast nobody does, and this is all that they look at.
    #[inline]
    fn nearest(
        &self,
        order: &IdOrder,
        prefix_bits: u8,
        candidate: &impl Fn(MemberIndex) -> Candidate,
    ) -> Option<u8> {
        let own = self.own.0;
        let shared = |other: u64| (own ^ other).leading_zeros() as u8;
        let live =
            |(id, index): (u64, MemberIndex)| (candidate(index) != Candidate::Gone).then(|| shared(id));
        let above = own.checked_add(1).and_then(|next| {
            order.range(next..=u64::MAX).take_while(|(id, _)| shared(*id) >= prefix_bits).find_map(live)
        });
        let below = order.below(own).take_while(|(id, _)| shared(*id) >= prefix_bits).find_map(live);
        above.max(below)
    }

    /// Chooses a delegate among those whose ids share the first `bits` bits of `prefix`, the `attempt`th for this
    /// part, none that is `excluded`: an alive one, or a suspect if nobody else is there.
    pub(in crate::protocol) fn choose(
        &self,
        order: &IdOrder,
        prefix: u64,
        bits: u8,
        attempt: u8,
        candidate: impl Fn(MemberIndex) -> Candidate,
        excluded: impl Fn(MemberIndex) -> bool,
    ) -> Option<MemberIndex> {
        let range = range_of(prefix, bits);
        let (from, to) = (*range.start(), *range.end());
        let width = to - from;
        let hash = self.hash(from, bits, attempt);
        let point = from + if width == u64::MAX { hash } else { hash % (width + 1) };
        let mut suspect = None;
        let before = point.checked_sub(1).filter(|last| *last >= from && point > from);
        let wrapped = before.into_iter().flat_map(|last| order.range(from..=last));
        for (id, index) in order.range(point..=to).chain(wrapped) {
            if id == self.own.0 || excluded(index) {
                continue;
            }
            match candidate(index) {
                Candidate::Alive => return Some(index),
                Candidate::Suspect => suspect = suspect.or(Some(index)),
                Candidate::Gone => {}
            }
        }
        suspect
    }

    fn hash(&self, from: u64, bits: u8, attempt: u8) -> u64 {
        let salt = u64::from(bits) | u64::from(attempt) << 8 | self.slot << 16;
        let mut hash = 0;
        for word in [self.own.0, from, salt] {
            let product = u128::from(hash ^ word ^ 0x9E37_79B9_7F4A_7C15) * 0xD6E8_FEB8_6659_FD93;
            hash = product as u64 ^ (product >> 64) as u64;
        }
        hash
    }
}

/// The ids that share the first `bits` bits of `prefix`.
fn range_of(prefix: u64, bits: u8) -> RangeInclusive<u64> {
    let rest = if bits == 0 { u64::MAX } else { u64::MAX.checked_shr(bits.into()).unwrap_or(0) };
    prefix & !rest..=prefix | rest
}

/// The first `bits` bits of `id`, the others zero.
fn prefix_of(id: u64, bits: u8) -> u64 {
    *range_of(id, bits).start()
}

/// The first `level` bits of `id`, then the bits up to `below` from `value`, then zeros.
fn with_bits(id: u64, level: u8, below: u8, value: u64) -> u64 {
    prefix_of(id, level) | value << (ID_BITS - below)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Ids, some of which share many bits.
    fn ids() -> impl Strategy<Value = Vec<u64>> {
        let near = (any::<u64>(), 0..64_u32).prop_map(|(id, shift)| id >> shift << (shift / 2));
        prop::collection::vec(prop_oneof![any::<u64>(), near, 1..40_u64], 1..120)
    }

    fn order_of(ids: &[u64]) -> (IdOrder, BTreeMap<u64, MemberIndex>) {
        let (mut order, mut indexes) = (IdOrder::new(), BTreeMap::new());
        for id in ids {
            let next = indexes.len() as MemberIndex;
            let index = *indexes.entry(*id).or_insert(next);
            order.insert(*id, index);
        }
        (order, indexes)
    }

    /// Whom a broadcast from `own` reaches, each as often as it is asked, if everyone sees the same.
    fn spread(
        order: &IdOrder,
        ids: &BTreeMap<MemberIndex, u64>,
        own: MemberIndex,
        step_bits: u8,
        live: impl Fn(MemberIndex) -> Candidate + Copy,
    ) -> BTreeMap<MemberIndex, u32> {
        let mut told = BTreeMap::new();
        let mut asked = vec![(own, 0)];
        while let Some((member, prefix_bits)) = asked.pop() {
            let division = Division { own: MemberId(ids[&member]), step_bits, slot: 7 };
            division.divide(order, prefix_bits, live, |part| {
                *told.entry(part.delegate).or_insert(0) += 1;
                asked.push((part.delegate, part.prefix_bits));
            });
        }
        told
    }

    proptest! {
        /// Over any view, with any dead and suspects in it, everyone who is live is told exactly once and nobody else is.
        #[test]
        fn everyone_is_covered_exactly_once(
            ids in ids(), step_bits in 1..=4_u8, from in any::<prop::sample::Index>(), states in any::<u64>(),
        ) {
            let (order, indexes) = order_of(&ids);
            let own = from.index(indexes.len()) as MemberIndex;
            let candidate = |index: MemberIndex| match states.rotate_right(index * 2 % 64) & 3 {
                _ if index == own => Candidate::Alive,
                0 => Candidate::Gone,
                1 => Candidate::Suspect,
                _ => Candidate::Alive,
            };
            let by_index: BTreeMap<_, _> = indexes.iter().map(|(id, index)| (*index, *id)).collect();
            let told = spread(&order, &by_index, own, step_bits, candidate);
            for index in by_index.keys() {
                let expected = u32::from(*index != own && candidate(*index) != Candidate::Gone);
                prop_assert_eq!(told.get(index).copied().unwrap_or(0), expected, "{}", index);
            }
        }

        /// A part is only delegated to who is in it, and no part holds who divides.
        #[test]
        fn parts_are_apart(ids in ids(), step_bits in 1..=4_u8, prefix_bits in 0..=64_u8, from in any::<prop::sample::Index>()) {
            let (order, indexes) = order_of(&ids);
            let (own, _) = indexes.iter().nth(from.index(indexes.len())).map(|(id, index)| (*id, *index)).expect("one");
            let by_index: BTreeMap<_, _> = indexes.iter().map(|(id, index)| (*index, *id)).collect();
            let division = Division { own: MemberId(own), step_bits, slot: 0 };
            let mut parts = Vec::new();
            division.divide(&order, prefix_bits, |_| Candidate::Alive, |part| {
                parts.push(range_of(by_index[&part.delegate], part.prefix_bits));
            });
            let asked = range_of(own, prefix_bits);
            for id in indexes.keys().filter(|id| asked.contains(id) && **id != own) {
                prop_assert_eq!(parts.iter().filter(|part| part.contains(id)).count(), 1);
            }
            prop_assert!(parts.iter().all(|part| !part.contains(&own) && asked.contains(part.start())));
        }
    }

    #[test]
    fn suspects_are_asked_only_where_nobody_else_is() {
        let (order, _) = order_of(&[1 << 60, 2 << 60, 3 << 60]);
        let division = Division { own: MemberId(u64::MAX), step_bits: 2, slot: 0 };
        let all_but = |gone: &'static [MemberIndex]| {
            move |index| match index {
                1 => Candidate::Suspect,
                _ if gone.contains(&index) => Candidate::Gone,
                _ => Candidate::Alive,
            }
        };
        for slot in 0..64 {
            let division = Division { slot, ..division };
            let chosen = division.choose(&order, 0, 2, 0, all_but(&[]), |_| false);
            assert!(chosen.is_some_and(|index| index != 1), "{chosen:?}");
            assert_eq!(division.choose(&order, 0, 2, 0, all_but(&[0, 2]), |_| false), Some(1));
            assert_eq!(division.choose(&order, 0, 2, 0, all_but(&[0, 2]), |index| index == 1), None);
        }
    }

    /// Over time slots everyone is a delegate, and within one it is always the same.
    #[test]
    fn delegates_change_with_the_slot_alone() {
        let ids: Vec<u64> = (1..=32).map(|nth: u64| nth.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 2).collect();
        let (order, indexes) = order_of(&ids);
        let mut chosen: Vec<MemberIndex> = (0..1_000)
            .filter_map(|slot| {
                let division = Division { own: MemberId(u64::MAX), step_bits: 2, slot };
                let choose = || division.choose(&order, 0, 2, 0, |_| Candidate::Alive, |_| false);
                assert_eq!(choose(), choose());
                choose()
            })
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen.len(), indexes.len());
    }

    /// The most that one member of a large cluster is asked to do: `(2^b - 1) log_2^b n` sends.
    #[test]
    fn an_originator_sends_three_a_level() {
        let ids: Vec<u64> = (1..=4_096).map(|nth: u64| nth.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        let (order, _) = order_of(&ids);
        let division = Division { own: MemberId(ids[9]), step_bits: 2, slot: 0 };
        let mut parts = 0;
        division.divide(&order, 0, |_| Candidate::Alive, |_| parts += 1);
        assert!((15..=24).contains(&parts), "{parts} delegates of 4,096 members");
    }
}
