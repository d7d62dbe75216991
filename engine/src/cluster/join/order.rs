//! Which address is tried next.
//!
//! No list of seeds is so long, and none of its dead so many, that a live one stays untried for ever
//! (distribworks/dkron#1001): the order is drawn anew for each join, and what has failed comes after what has
//! not, the longest ago first. So a join that runs out of time is continued by the next. Each seed has its
//! turn before any has a second one, and the addresses of a name alternate between the families, our own
//! first: on a host without IPv6 half of them fail at once, and cost nothing.

use std::collections::VecDeque;
use std::net::SocketAddr;

use hashbrown::HashMap;

/// Most addresses remembered as tried in vain. Beyond it the one that was tried the longest ago is forgotten,
/// and counts as new.
const TRIED_MAX: usize = 4096;

/// When addresses were last tried without an answer, in the order of these tries.
#[derive(Debug, Default)]
pub(in crate::cluster) struct Tried {
    tries: u64,
    in_vain: HashMap<SocketAddr, u64>,
}

impl Tried {
    /// `address` is being tried: in vain, until it answers.
    pub(super) fn begin(&mut self, address: SocketAddr) {
        self.tries += 1;
        if self.in_vain.len() >= TRIED_MAX && !self.in_vain.contains_key(&address) {
            let oldest = self.in_vain.iter().min_by_key(|(_, at)| **at).map(|(address, _)| *address);
            oldest.map(|oldest| self.in_vain.remove(&oldest));
        }
        self.in_vain.insert(address, self.tries);
    }

    /// `address` has answered.
    pub(super) fn answered(&mut self, address: SocketAddr) {
        self.in_vain.remove(&address);
    }

    /// Higher for what was tried in vain later; 0 for what was not.
    fn last(&self, address: SocketAddr) -> u64 {
        self.in_vain.get(&address).copied().unwrap_or(0)
    }
}

/// The addresses of one seed that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// With when each was last tried in vain.
    waiting: VecDeque<(SocketAddr, u64)>,
    /// How many have had their turn.
    begun: usize,
    /// Its place among seeds that are equal otherwise.
    rank: u32,
}

impl Queue {
    pub(super) fn new(rng: &mut fastrand::Rng) -> Queue {
        Queue { rank: rng.u32(..), ..Queue::default() }
    }

    /// Adds `addresses`, at most `most` of them, and gives how many were left out.
    pub(super) fn add(
        &mut self,
        mut addresses: Vec<SocketAddr>,
        own_is_v4: bool,
        most: usize,
        tried: &Tried,
        rng: &mut fastrand::Rng,
    ) -> usize {
        addresses.sort_unstable();
        addresses.dedup();
        rng.shuffle(&mut addresses);
        let mut dated: Vec<_> = addresses.into_iter().map(|address| (address, tried.last(address))).collect();
        dated.sort_by_key(|(_, last)| *last);
        let (own, other): (Vec<_>, Vec<_>) =
            dated.into_iter().partition(|(address, _)| is_v4(*address) == own_is_v4);
        let count = own.len() + other.len();
        let (mut own, mut other) = (own.into_iter(), other.into_iter());
        while self.waiting.len() < most {
            let before = self.waiting.len();
            self.waiting.extend(own.next());
            self.waiting.extend(other.next());
            if self.waiting.len() == before {
                break;
            }
        }
        self.waiting.truncate(most);
        count - self.waiting.len()
    }

    /// Drops those that `known` knows, and gives them.
    pub(super) fn drop_those(&mut self, known: impl Fn(SocketAddr) -> bool) -> Vec<SocketAddr> {
        let mut dropped = Vec::new();
        self.waiting.retain(|(address, _)| {
            let drop = known(*address);
            if drop {
                dropped.push(*address);
            }
            !drop
        });
        dropped
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The one whose turn is next.
    pub(super) fn peek(&self) -> Option<SocketAddr> {
        self.waiting.front().map(|(address, _)| *address)
    }

    pub(super) fn pop(&mut self) -> Option<SocketAddr> {
        let (address, _) = self.waiting.pop_front()?;
        self.begun += 1;
        Some(address)
    }

    /// What waits, in its order.
    pub(super) fn into_waiting(self) -> impl Iterator<Item = SocketAddr> {
        self.waiting.into_iter().map(|(address, _)| address)
    }
}

/// The place of the queue whose turn it is; nothing if all are empty.
pub(super) fn next<'a>(queues: impl Iterator<Item = &'a Queue>) -> Option<usize> {
    let waiting = queues.enumerate().filter_map(|(at, queue)| {
        let (_, last) = queue.waiting.front()?;
        Some(((queue.begun, *last, queue.rank), at))
    });
    waiting.min().map(|(_, at)| at)
}

fn is_v4(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_ipv4()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v4(number: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], number))
    }

    fn v6(number: u16) -> SocketAddr {
        SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], number))
    }

    fn rng(seed: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(seed)
    }

    /// The addresses in the order of their turns.
    fn order(mut queues: Vec<Queue>, most: usize, tried: &mut Tried) -> Vec<SocketAddr> {
        let mut order = Vec::new();
        while order.len() < most
            && let Some(at) = next(queues.iter())
        {
            let address = queues[at].pop().unwrap();
            tried.begin(address);
            order.push(address);
        }
        order
    }

    #[test]
    fn families_alternate_and_our_own_comes_first() {
        let addresses: Vec<_> = (0..3).map(v6).chain((0..5).map(v4)).collect();
        for own_is_v4 in [true, false] {
            let mut queue = Queue::new(&mut rng(1));
            let left_out = queue.add(addresses.clone(), own_is_v4, 100, &Tried::default(), &mut rng(1));
            assert_eq!(left_out, 0);
            let order: Vec<_> = queue.into_waiting().map(|address| address.is_ipv4() == own_is_v4).collect();
            let expected: &[bool] = if own_is_v4 {
                &[true, false, true, false, true, false, true, true]
            } else {
                &[true, false, true, false, true, false, false, false]
            };
            assert_eq!(order, expected);
        }
    }

    #[test]
    fn a_name_with_many_addresses_does_not_keep_other_seeds_waiting() {
        let (tried, mut rng) = (Tried::default(), rng(3));
        let mut name = Queue::new(&mut rng);
        name.add((0..100).map(v4).collect(), true, 1000, &tried, &mut rng);
        let mut queues = vec![name];
        for number in 200..210 {
            let mut seed = Queue::new(&mut rng);
            seed.add(vec![v4(number)], true, 1000, &tried, &mut rng);
            queues.push(seed);
        }
        let first = order(queues, 11, &mut Tried::default());
        assert_eq!(first.iter().filter(|address| address.port() >= 200).count(), 10, "{first:?}");
    }

    #[test]
    fn the_order_is_drawn_and_is_the_same_for_the_same_seed() {
        let drawn = |seed| {
            let mut queue = Queue::new(&mut rng(seed));
            queue.add((0..40).map(v4).collect(), true, 100, &Tried::default(), &mut rng(seed));
            queue.into_waiting().collect::<Vec<_>>()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn what_is_too_much_is_left_out_and_counted() {
        let mut queue = Queue::new(&mut rng(1));
        let left_out = queue.add((0..40).map(v4).collect(), true, 7, &Tried::default(), &mut rng(1));
        assert_eq!((queue.len(), left_out), (7, 33));
    }

    #[test]
    fn no_more_is_remembered_than_there_may_be_and_the_oldest_goes() {
        let mut tried = Tried::default();
        for number in 0..=TRIED_MAX as u16 {
            tried.begin(v4(number));
        }
        assert_eq!(tried.in_vain.len(), TRIED_MAX);
        assert_eq!((tried.last(v4(0)), tried.last(v4(1))), (0, 2));
        tried.answered(v4(1));
        assert_eq!(tried.last(v4(1)), 0);
    }

    proptest! {
        /// However many joins it takes, and however few tries each has time for: nothing is tried again before
        /// everything has been tried, whether the addresses are seeds of their own or those of one name.
        #[test]
        fn joins_go_on_where_the_last_one_stopped(
            seed: u64,
            addresses in 1_u16..60,
            each in 1_usize..20,
            one_name: bool,
        ) {
            let (mut tried, mut rng) = (Tried::default(), rng(seed));
            let mut seen = Vec::new();
            while seen.len() < addresses.into() {
                let all: Vec<_> = (0..addresses).map(v4).collect();
                let given = if one_name { vec![all] } else { all.into_iter().map(|one| vec![one]).collect() };
                let queues = given.into_iter().map(|addresses| {
                    let mut queue = Queue::new(&mut rng);
                    queue.add(addresses, true, 1000, &tried, &mut rng);
                    queue
                });
                let queues: Vec<_> = queues.collect();
                let left = usize::from(addresses) - seen.len();
                seen.extend(order(queues, each.min(left), &mut tried));
            }
            seen.sort();
            seen.dedup();
            prop_assert_eq!(seen.len(), usize::from(addresses));
        }
    }
}
