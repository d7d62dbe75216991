//! Tests of the dissemination queue against a plain list that is sorted when asked.

use proptest::prelude::*;

use super::*;

fn dead(subject: u32, length: usize) -> Broadcast {
    Broadcast::new(subject, Update::Dead, Incarnation::new(1), length)
}

/// The queue, naively: a vector, sorted when asked.
#[derive(Default)]
struct Twin {
    /// (sent, order within the tier, subject, is event, length, news)
    queued: Vec<(u8, u64, u32, bool, usize)>,
    clock: u64,
}

impl Twin {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn queue(&mut self, subject: u32, event: bool, length: usize, len_max: usize) -> bool {
        if event {
            if self.queued.iter().filter(|entry| entry.3).count() >= len_max {
                return false;
            }
        } else if let Some(at) = self.queued.iter().position(|entry| !entry.3 && entry.2 == subject) {
            self.queued.remove(at);
        } else if self.queued.iter().filter(|entry| !entry.3).count() >= len_max {
            let most = self.queued.iter().filter(|entry| !entry.3).map(|entry| entry.0).max().unwrap();
            let shed = self.queued.iter().filter(|entry| !entry.3 && entry.0 == most);
            let shed = *shed.min_by_key(|entry| entry.1).unwrap();
            self.queued.retain(|entry| *entry != shed);
        }
        let order = self.tick();
        self.queued.push((0, order, subject, event, length));
        true
    }

    fn select(&self, budget: usize, share_percent: usize) -> Vec<(u32, bool)> {
        let has_events = self.queued.iter().any(|entry| entry.3);
        let share = if has_events { budget * share_percent / 100 } else { 0 };
        let mut used = 0;
        let mut chosen = Vec::new();
        for (event, limit) in [(false, budget - share), (true, budget)] {
            let mut tier: Vec<_> = self.queued.iter().filter(|entry| entry.3 == event).collect();
            tier.sort_by_key(|entry| (entry.0, entry.1));
            let mut misfits = 0;
            for entry in tier {
                if misfits == MISFITS_MAX || chosen.len() == FRAME_MESSAGES_MAX {
                    break;
                }
                if used + entry.4 <= limit {
                    used += entry.4;
                    chosen.push((entry.2, event));
                } else {
                    misfits += 1;
                }
            }
        }
        chosen
    }

    fn mark_sent(&mut self, subject: u32, event: bool, limit: u8) {
        let order = self.tick();
        let at = self.queued.iter().position(|entry| entry.2 == subject && entry.3 == event).unwrap();
        self.queued[at].0 += 1;
        self.queued[at].1 = order;
        if self.queued[at].0 >= limit {
            self.queued.remove(at);
        }
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Update { subject: u32, length: usize },
    Event { length: usize },
    Send { budget: usize },
    Remove { subject: u32 },
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (0u32..12, 16usize..200).prop_map(|(subject, length)| Operation::Update { subject, length }),
        2 => (16usize..300).prop_map(|length| Operation::Event { length }),
        4 => (0usize..1400).prop_map(|budget| Operation::Send { budget }),
        1 => (0u32..12).prop_map(|subject| Operation::Remove { subject }),
    ]
}

#[test]
fn the_longest_goes_first_and_of_equal_ones_the_newest_if_asked_for() {
    let mut pool = BroadcastPool::new(3);
    pool.set_longest_first(true);
    let mut queue = Queue::new(5);
    for (subject, length) in [(0, 50), (1, 80), (2, 50), (3, 200)] {
        pool.queue_update(&mut queue, dead(subject, length), 8);
    }
    let order = |pool: &BroadcastPool, queue: &Queue| {
        let mut chosen = Selection::new();
        pool.select(queue, 190, 0, &mut chosen);
        (
            chosen.nodes().to_vec(),
            chosen.nodes().iter().map(|node| pool.get(*node).subject).collect::<Vec<_>>(),
        )
    };
    // The longest does not fit.
    let (nodes, subjects) = order(&pool, &queue);
    assert_eq!(subjects, [1, 2, 0]);
    pool.mark_sent(&mut queue, nodes[0], 9);
    assert_eq!(order(&pool, &queue).1, [2, 0, 1], "what was sent less often goes first");
    pool.remove_update(&mut queue, 0);
    pool.queue_update(&mut queue, dead(0, 50), 8);
    assert_eq!(order(&pool, &queue).1, [0, 2, 1], "news that was queued anew is the newest");
}

proptest! {
    /// Order, replacement, limits, shares and bounds are those of a sorted vector.
    #[test]
    fn behaves_as_a_sorted_vector(operations in prop::collection::vec(operation(), 0..200), limit in 1u8..8) {
        const LEN_MAX: u32 = 8;
        let mut pool = BroadcastPool::new(3);
        let mut queue = Queue::new(5);
        let mut twin = Twin::default();
        let mut next_event = 0;
        for operation in operations {
            match operation {
                Operation::Update { subject, length } => {
                    pool.remove_update(&mut queue, subject);
                    pool.queue_update(&mut queue, dead(subject, length), LEN_MAX);
                    twin.queue(subject, false, length, LEN_MAX as usize);
                }
                Operation::Event { length } => {
                    next_event += 1;
                    let accepted = pool.queue_event(&mut queue, next_event, length, LEN_MAX);
                    prop_assert_eq!(accepted, twin.queue(next_event, true, length, LEN_MAX as usize));
                }
                Operation::Send { budget } => {
                    let mut chosen = Selection::new();
                    pool.select(&queue, budget, 25, &mut chosen);
                    let subjects: Vec<_> = chosen.nodes().iter().map(|node| {
                        let broadcast = pool.get(*node);
                        (broadcast.subject, broadcast.news == Update::Event)
                    }).collect();
                    prop_assert_eq!(&subjects, &twin.select(budget, 25));
                    prop_assert!(chosen.bytes <= budget);
                    for node in chosen.nodes() {
                        pool.mark_sent(&mut queue, *node, limit);
                    }
                    for (subject, event) in subjects {
                        twin.mark_sent(subject, event, limit);
                    }
                }
                Operation::Remove { subject } => {
                    pool.remove_update(&mut queue, subject);
                    twin.queued.retain(|entry| entry.3 || entry.2 != subject);
                }
            }
            prop_assert_eq!(queue.len() as usize, twin.queued.len());
            prop_assert_eq!(pool.used(), twin.queued.len());
        }
        pool.clear(&mut queue, |_| {});
        prop_assert_eq!(pool.used(), 0);
        prop_assert!(pool.index.is_empty());
    }
}
