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
//! Zones come first: whoever begins asks one member in each other zone to tell all of that zone, and divides its own
//! along the ids. So one copy crosses to each zone, whatever its size. A delegation is always for one zone, and within it
//! for those that share the first bits of the delegate's id.
//!
//! Delegates are *sticky*: a keyed hash of who divides, the sub-prefix and a time slot gives a point, and the first
//! live member from there on is chosen. Updates that are under way at the same time so go to the same delegates,
//! and share frames.

use std::ops::RangeInclusive;

use swimring_codec::MemberId;

use crate::protocol::shared_lists::delegation::{Part, Range};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::id_order::Ordered;
use crate::protocol::view::zones::{ZoneIndex, Zones};

/// Bits of an id.
const ID_BITS: u8 = u64::BITS as u8;

/// What a view says of a member whom a part of the cluster may be delegated to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Candidate {
    /// Not part of the cluster: nobody to tell.
    Gone,
    /// To be told, but better not relied upon: it is suspected, or was asked in vain.
    Doubtful {
        /// How often it was asked in vain since it last answered.
        missed: u8,
        /// When it last was; [`Time::ZERO`] if it was not.
        asked: Time,
    },
    Alive,
}

/// Who divides, and how.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Division {
    pub(in crate::protocol) own: MemberId,
    pub(in crate::protocol) zone: ZoneIndex,
    /// Bits per step: each step has two to the power of it sub-prefixes.
    pub(in crate::protocol) step_bits: u8,
    /// The time slot that delegates stay the same for.
    pub(in crate::protocol) slot: u64,
}

/// Those members of a zone whose ids share the first `bits` bits of `prefix`.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Section {
    pub(in crate::protocol) zone: ZoneIndex,
    pub(in crate::protocol) prefix: u64,
    pub(in crate::protocol) bits: u8,
}

impl Division {
    /// Divides `range`, telling `each` delegate. `candidate` says what is thought of a member of a zone.
    pub(in crate::protocol) fn divide(
        &self,
        zones: &Zones,
        range: Range,
        candidate: impl Fn(ZoneIndex, MemberIndex) -> Candidate,
        mut each: impl FnMut(Part),
    ) {
        match range {
            Range::Nobody => {}
            Range::Zone { zone, prefix_bits } => {
                self.divide_zone(zones, zone, prefix_bits, &candidate, &mut each);
            }
            Range::Only(part) => each(part),
            Range::Through(first) => {
                for zone in zones.occupied() {
                    let whole = Section { zone, prefix: 0, bits: 0 };
                    let part = if zone == first.zone {
                        Some(first)
                    } else {
                        self.choose(zones, whole, 0, &candidate, |_| false)
                    };
                    if let Some(part) = part {
                        each(part);
                    }
                }
            }
            Range::Everyone => {
                for zone in zones.occupied().filter(|zone| *zone != self.zone) {
                    let whole = Section { zone, prefix: 0, bits: 0 };
                    if let Some(part) = self.choose(zones, whole, 0, &candidate, |_| false) {
                        each(part);
                    }
                }
                self.divide_zone(zones, self.zone, 0, &candidate, &mut each);
            }
        }
    }

    /// Divides those of `zone` whose ids share the first `prefix_bits` bits of the own id.
    #[inline]
    fn divide_zone(
        &self,
        zones: &Zones,
        zone: ZoneIndex,
        prefix_bits: u8,
        candidate: &impl Fn(ZoneIndex, MemberIndex) -> Candidate,
        each: &mut impl FnMut(Part),
    ) {
        let order = zones.order(zone);
        let Some(shared) = self.nearest(order, prefix_bits, |index| candidate(zone, index)) else { return };
        let own = self.own.0;
        let mut level = prefix_bits;
        // There is somebody who shares so many bits, and nobody who shares more.
        while level <= shared && level < ID_BITS {
            let bits = level.saturating_add(self.step_bits).min(ID_BITS);
            for sibling in 0..1_u64 << (bits - level) {
                let prefix = with_bits(own, level, bits, sibling);
                if prefix_of(prefix, bits) == prefix_of(own, bits) {
                    continue;
                }
                let section = Section { zone, prefix, bits };
                if let Some(part) = self.choose(zones, section, 0, candidate, |_| false) {
                    each(part);
                }
            }
            level = bits;
        }
    }

    /// How many leading bits the nearest live member shares with the own id, if that is no less than
    /// `prefix_bits`. For most members of a broadcast nobody does, and this is all that they look at.
    #[inline]
    fn nearest(
        &self,
        order: Ordered<'_>,
        prefix_bits: u8,
        candidate: impl Fn(MemberIndex) -> Candidate,
    ) -> Option<u8> {
        let own = self.own.0;
        let shared = |other: u64| (own ^ other).leading_zeros() as u8;
        let live =
            |(id, index): (u64, MemberIndex)| (candidate(index) != Candidate::Gone).then(|| shared(id));
        let (least, greatest) = range_of(own, prefix_bits).into_inner();
        let above = own.checked_add(1).and_then(|next| order.range(next..=greatest).find_map(live));
        let below = order.below(own, least).find_map(live);
        above.max(below)
    }

    /// Chooses a delegate in `section`, the `attempt`th for this part, none that is `excluded`: an alive one, or if nobody
    /// else is there a doubtful one, who has missed the fewest, and of those whoever was asked the longest ago, so that each has
    /// its turn.
    pub(in crate::protocol) fn choose(
        &self,
        zones: &Zones,
        section: Section,
        attempt: u8,
        candidate: impl Fn(ZoneIndex, MemberIndex) -> Candidate,
        excluded: impl Fn(MemberIndex) -> bool,
    ) -> Option<Part> {
        let Section { zone, prefix, bits } = section;
        let order = zones.order(zone);
        let range = range_of(prefix, bits);
        let (from, to) = (*range.start(), *range.end());
        let width = to - from;
        let hash = self.hash(from ^ zones.hash(zone), bits, attempt);
        let point = from + if width == u64::MAX { hash } else { hash % (width + 1) };
        let mut doubtful: Option<((u8, Time), Part)> = None;
        let before = point.checked_sub(1).filter(|last| *last >= from && point > from);
        let wrapped = before.into_iter().flat_map(|last| order.range(from..=last));
        for (id, delegate) in order.range(point..=to).chain(wrapped) {
            if id == self.own.0 || excluded(delegate) {
                continue;
            }
            let part = Part { delegate, zone, prefix_bits: bits, view_first: false };
            match candidate(zone, delegate) {
                Candidate::Alive => return Some(part),
                Candidate::Doubtful { missed, asked } => {
                    let turn = (missed, asked);
                    if doubtful.is_none_or(|(first, _)| turn < first) {
                        doubtful = Some((turn, part));
                    }
                }
                Candidate::Gone => {}
            }
        }
        doubtful.map(|(_, part)| part)
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
    use crate::protocol::view::zones::NO_ZONE;

    /// Ids, some of which share many bits.
    fn ids() -> impl Strategy<Value = Vec<u64>> {
        let near = (any::<u64>(), 0..64_u32).prop_map(|(id, shift)| id >> shift << (shift / 2));
        prop::collection::vec(prop_oneof![any::<u64>(), near, 1..40_u64], 1..120)
    }

    /// Members, and where they are.
    struct Cluster {
        zones: Zones,
        ids: Vec<u64>,
        zone_of: Vec<ZoneIndex>,
    }

    impl Cluster {
        /// Members of these ids, each once, in the zone that `zone_of` gives for its index.
        fn new(ids: &[u64], zone_of: impl Fn(usize) -> usize) -> Cluster {
            let ids: Vec<u64> =
                ids.iter().copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
            let mut zones = Zones::new();
            let names = ["", "a", "b", "c"];
            let mut cluster_zones = Vec::new();
            for (index, id) in ids.iter().enumerate() {
                let zone = zones.intern(names[zone_of(index)]).expect("few zones");
                zones.assign(index as MemberIndex, *id);
                zones.enter(zone, index as MemberIndex, false);
                cluster_zones.push(zone);
            }
            Cluster { zones, ids, zone_of: cluster_zones }
        }

        fn division(&self, own: MemberIndex, step_bits: u8, slot: u64) -> Division {
            let at = own as usize;
            Division { own: MemberId(self.ids[at]), zone: self.zone_of[at], step_bits, slot }
        }

        /// Whom a broadcast from `own` reaches, each as often as it is asked, if everyone sees the same; and how
        /// many copies come to each zone from others.
        fn spread(
            &self,
            own: MemberIndex,
            step_bits: u8,
            live: impl Fn(ZoneIndex, MemberIndex) -> Candidate + Copy,
        ) -> (BTreeMap<MemberIndex, u32>, BTreeMap<ZoneIndex, u32>) {
            let (mut told, mut crossed) = (BTreeMap::new(), BTreeMap::new());
            let mut asked = vec![(own, Range::Everyone)];
            while let Some((member, range)) = asked.pop() {
                let division = self.division(member, step_bits, 7);
                division.divide(&self.zones, range, live, |Part { delegate, zone, prefix_bits, .. }| {
                    *told.entry(delegate).or_insert(0) += 1;
                    if zone != division.zone {
                        *crossed.entry(zone).or_insert(0) += 1;
                    }
                    asked.push((delegate, Range::Zone { zone, prefix_bits }));
                });
            }
            (told, crossed)
        }
    }

    fn alive(_: ZoneIndex, _: MemberIndex) -> Candidate {
        Candidate::Alive
    }

    proptest! {
        /// Over any view, with any zones and any dead and suspects in it, everyone who is live is told exactly once, nobody
        /// else is, and one copy crosses to each other zone in which somebody is.
        #[test]
        fn everyone_is_covered_exactly_once(
            ids in ids(), step_bits in 1..=4_u8, from in any::<prop::sample::Index>(), states in any::<u64>(),
            zones in 1..=4_usize, places in any::<u64>(),
        ) {
            let cluster = Cluster::new(&ids, |index| places.rotate_right(index as u32 * 5 % 64) as usize % zones);
            let own = from.index(cluster.ids.len()) as MemberIndex;
            let candidate = |_, index: MemberIndex| match states.rotate_right(index * 2 % 64) & 3 {
                _ if index == own => Candidate::Alive,
                0 => Candidate::Gone,
                1 => Candidate::Doubtful { missed: 0, asked: Time::ZERO },
                _ => Candidate::Alive,
            };
            let (told, crossed) = cluster.spread(own, step_bits, candidate);
            let mut expected = BTreeMap::new();
            for (index, zone) in (0..).zip(&cluster.zone_of) {
                let live = index != own && candidate(*zone, index) != Candidate::Gone;
                prop_assert_eq!(told.get(&index).copied().unwrap_or(0), u32::from(live), "{}", index);
                if live && *zone != cluster.zone_of[own as usize] {
                    expected.insert(*zone, 1);
                }
            }
            prop_assert_eq!(crossed, expected);
        }

        /// A part is only delegated to who is in it, and no part holds who divides: of the own zone or of another,
        /// which somebody asks for who takes us to be there.
        #[test]
        fn parts_are_apart(
            ids in ids(), step_bits in 1..=4_u8, prefix_bits in 0..=64_u8, from in any::<prop::sample::Index>(),
            places in any::<u64>(), own_zone in any::<bool>(),
        ) {
            let cluster = Cluster::new(&ids, |index| places.rotate_right(index as u32 % 64) as usize & 1);
            let own = from.index(cluster.ids.len());
            let zone = if own_zone { cluster.zone_of[own] } else { NO_ZONE };
            let own_id = cluster.ids[own];
            let division = cluster.division(own as MemberIndex, step_bits, 0);
            let mut parts = Vec::new();
            division.divide(&cluster.zones, Range::Zone { zone, prefix_bits }, alive, |part| {
                assert_eq!(part.zone, zone);
                parts.push(range_of(cluster.ids[part.delegate as usize], part.prefix_bits));
            });
            let asked = range_of(own_id, prefix_bits);
            for (id, at) in cluster.ids.iter().zip(&cluster.zone_of) {
                let expected = usize::from(asked.contains(id) && *id != own_id && *at == zone);
                let covered = parts.iter().filter(|part| part.contains(id)).count();
                prop_assert!(covered == expected || *at != zone, "{covered}");
            }
            prop_assert!(parts.iter().all(|part| !part.contains(&own_id) && asked.contains(part.start())));
        }
    }

    #[test]
    fn suspects_are_asked_only_where_nobody_else_is() {
        let cluster = Cluster::new(&[1 << 60, 2 << 60, 3 << 60], |_| 0);
        let division = Division { own: MemberId(u64::MAX), zone: NO_ZONE, step_bits: 2, slot: 0 };
        let first = Section { zone: NO_ZONE, prefix: 0, bits: 2 };
        let all_but = |gone: &'static [MemberIndex]| {
            move |_, index| match index {
                1 => Candidate::Doubtful { missed: 0, asked: Time::ZERO },
                _ if gone.contains(&index) => Candidate::Gone,
                _ => Candidate::Alive,
            }
        };
        let delegate = |part: Option<Part>| part.map(|part| part.delegate);
        for slot in 0..64 {
            let division = Division { slot, ..division };
            let choose = |gone, excluded: &[MemberIndex]| {
                delegate(
                    division
                        .choose(&cluster.zones, first, 0, all_but(gone), |index| excluded.contains(&index)),
                )
            };
            let chosen = choose(&[], &[]);
            assert!(chosen.is_some_and(|index| index != 1), "{chosen:?}");
            assert_eq!(choose(&[0, 2], &[]), Some(1));
            assert_eq!(choose(&[0, 2], &[1]), None);
        }
    }

    /// Over time slots everyone is a delegate, and within one it is always the same.
    #[test]
    fn delegates_change_with_the_slot_alone() {
        let ids: Vec<u64> = (1..=32).map(|nth: u64| nth.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 2).collect();
        let cluster = Cluster::new(&ids, |_| 0);
        let first = Section { zone: NO_ZONE, prefix: 0, bits: 2 };
        let mut chosen: Vec<MemberIndex> = (0..1_000)
            .filter_map(|slot| {
                let division = Division { own: MemberId(u64::MAX), zone: NO_ZONE, step_bits: 2, slot };
                let choose = || division.choose(&cluster.zones, first, 0, alive, |_| false);
                assert_eq!(choose(), choose());
                choose().map(|part| part.delegate)
            })
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen.len(), ids.len());
    }

    /// The most that one member of a large cluster is asked to do: `(2^b - 1) log_2^b n` sends.
    #[test]
    fn an_originator_sends_three_a_level() {
        let ids: Vec<u64> = (1..=4_096).map(|nth: u64| nth.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        let cluster = Cluster::new(&ids, |_| 0);
        let mut parts = 0;
        cluster.division(9, 2, 0).divide(&cluster.zones, Range::Everyone, alive, |_| parts += 1);
        assert!((15..=24).contains(&parts), "{parts} delegates of 4,096 members");
    }
}
