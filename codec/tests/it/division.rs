//! The division of section 9.3 of `docs/PROTOCOL.md`, step by step as the page gives it: its example is what
//! comes out, and each member is told exactly once.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use proptest::prelude::*;
use swimring_testing::golden;

const SPECIFICATION: &str = include_str!("../../docs/PROTOCOL.md");

/// What a member did when all were told.
#[derive(PartialEq, Debug)]
struct Told {
    member: u64,
    /// What it served.
    prefix_bits: u32,
    /// Its delegates, each with prefix bits.
    handed: Vec<(u64, u32)>,
}

/// A cluster in which everyone knows everyone.
struct Cluster {
    /// Bits of an id: 64, but in the page's example.
    id_bits: u32,
    members: BTreeSet<u64>,
}

impl Cluster {
    /// Those that share the first `bits` bits of `id`.
    fn range(&self, id: u64, bits: u32) -> Vec<u64> {
        let of = |id: u64| id.checked_shr(self.id_bits - bits).unwrap_or(0);
        self.members.iter().copied().filter(|&member| of(member) == of(id)).collect()
    }

    /// What `own` hands on when it serves `prefix_bits` in steps of `step_bits`: delegates and their prefix bits.
    fn serve(
        &self,
        own: u64,
        prefix_bits: u32,
        step_bits: u32,
        choose: &mut impl FnMut(&[u64]) -> u64,
    ) -> Vec<(u64, u32)> {
        let mut handed = Vec::new();
        let mut l = prefix_bits;
        while self.range(own, l).iter().any(|&member| member != own) {
            let m = (l + step_bits).min(self.id_bits);
            for part in 0..1 << (m - l) {
                let below = (1_u64 << (m - l)) - 1;
                let shift = self.id_bits - m;
                let prefix = own & !(below << shift) | part << shift;
                let members = self.range(prefix, m);
                if !members.is_empty() && !members.contains(&own) {
                    handed.push((choose(&members), m));
                }
            }
            l = m;
        }
        handed
    }

    /// Everybody who is told when `originator` tells all, in the order in which it happens.
    fn tell(
        &self,
        originator: u64,
        mut step_bits: impl FnMut(u64) -> u32,
        mut choose: impl FnMut(&[u64]) -> u64,
    ) -> Vec<Told> {
        let mut told = Vec::new();
        let mut asked = VecDeque::from([(originator, 0)]);
        while let Some((member, prefix_bits)) = asked.pop_front() {
            let handed = self.serve(member, prefix_bits, step_bits(member), &mut choose);
            asked.extend(&handed);
            told.push(Told { member, prefix_bits, handed });
            assert!(told.len() <= self.members.len(), "someone is told twice");
        }
        told
    }
}

#[test]
fn the_specification_prints_the_example() {
    let members = [0b0001, 0b0011, 0b0110, 0b0111, 0b1000, 0b1010, 0b1011, 0b1101];
    let cluster = Cluster { id_bits: 4, members: members.into() };
    let mut table = String::new();
    for Told { member, prefix_bits, handed } in cluster.tell(0b0110, |_| 2, |part| part[0]) {
        let words: Vec<_> =
            handed.iter().map(|(delegate, bits)| format!("`{delegate:04b}` {bits}")).collect();
        let words = if words.is_empty() { "nobody".to_owned() } else { words.join(", ") };
        writeln!(table, "| `{member:04b}` | {prefix_bits} | {words} |").expect("a string");
    }
    assert!(SPECIFICATION.contains(&table), "docs/PROTOCOL.md lacks the table:\n{table}");
}

#[test]
fn the_members_of_the_vectors_divide_as_their_frame_says() {
    let [node_1, node_2, node_7] = [golden::NODE_1.0, golden::NODE_2.0, golden::NODE_7.0];
    let cluster = Cluster { id_bits: 64, members: [node_1, node_2, node_7].into() };
    let told = cluster.tell(node_1, |_| 2, |part| part[0]);
    let expected = [
        Told { member: node_1, prefix_bits: 0, handed: vec![(node_2, 4), (node_7, 4)] },
        Told { member: node_2, prefix_bits: 4, handed: vec![] },
        Told { member: node_7, prefix_bits: 4, handed: vec![] },
    ];
    assert_eq!(told, expected);
    for id in [node_1, node_2, node_7] {
        assert!(SPECIFICATION.contains(&format!("`{:04b}`", id >> 60)));
    }
}

/// Members in zones: the originator hands on to one in each other zone, and each zone divides as a cluster of its own.
struct Zoned {
    zones: Vec<Cluster>,
}

impl Zoned {
    fn zone_of(&self, member: u64) -> usize {
        self.zones.iter().position(|zone| zone.members.contains(&member)).expect("in a zone")
    }

    /// Everybody who is told when `originator` tells all, and how many copies cross to each zone.
    fn tell(
        &self,
        originator: u64,
        step_bits: u32,
        mut choose: impl FnMut(&[u64]) -> u64,
    ) -> (Vec<u64>, Vec<u32>) {
        let own = self.zone_of(originator);
        let mut crossed = vec![0; self.zones.len()];
        let mut told = Vec::new();
        for (zone, cluster) in self.zones.iter().enumerate() {
            if cluster.members.is_empty() {
                continue;
            }
            let first = if zone == own { originator } else { choose(&cluster.range(0, 0)) };
            crossed[zone] += u32::from(zone != own);
            told.extend(cluster.tell(first, |_| step_bits, &mut choose).into_iter().map(|told| told.member));
        }
        (told, crossed)
    }
}

/// Ids of which some share most of their bits.
fn ids() -> impl Strategy<Value = BTreeSet<u64>> {
    let near = (any::<u64>(), 0..64_u32).prop_map(|(id, shift)| id >> shift);
    prop::collection::btree_set(prop_oneof![any::<u64>(), near], 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everyone_is_told_once_whoever_is_chosen_and_whatever_the_steps(members in ids(), seed: u64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut choice = rng.fork();
        let originator = *members.first().expect("not empty");
        let cluster = Cluster { id_bits: 64, members };
        let told = cluster.tell(originator, |_| rng.u32(1..=7), |part| part[choice.usize(..part.len())]);
        let once: BTreeSet<u64> = told.iter().map(|told| told.member).collect();
        prop_assert_eq!(told.len(), cluster.members.len());
        prop_assert_eq!(once, cluster.members);
    }

    #[test]
    fn everyone_is_told_once_and_one_copy_crosses_to_each_zone(members in ids(), count in 1..5_usize, seed: u64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let originator = *members.first().expect("not empty");
        let mut zones: Vec<Cluster> =
            (0..count).map(|_| Cluster { id_bits: 64, members: BTreeSet::new() }).collect();
        for member in &members {
            zones[rng.usize(..count)].members.insert(*member);
        }
        let zoned = Zoned { zones };
        let (told, crossed) = zoned.tell(originator, rng.u32(1..=4), |part| part[rng.usize(..part.len())]);
        prop_assert_eq!(told.len(), members.len());
        prop_assert_eq!(told.into_iter().collect::<BTreeSet<u64>>(), members);
        let own = zoned.zone_of(originator);
        for (zone, copies) in crossed.into_iter().enumerate() {
            let expected = u32::from(zone != own && !zoned.zones[zone].members.is_empty());
            prop_assert_eq!(copies, expected);
        }
    }
}
