//! The counting allocator, installed: every kind of allocation counts, on its own thread only.

use std::hint::black_box;

use swimring_loadgen::allocations::{CountingAllocator, counted, held_by_this_thread, of_this_thread};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Allocations of this thread while `work` ran.
fn count(work: impl FnOnce()) -> u64 {
    let before = of_this_thread();
    work();
    of_this_thread() - before
}

#[test]
fn every_kind_of_allocation_counts_once() {
    assert!(counted());
    assert_eq!(count(|| drop(black_box(Box::new(1_u64)))), 1);
    assert_eq!(count(|| drop(black_box(vec![0_u8; 4096]))), 1);
    let mut grown = Vec::<u8>::with_capacity(16);
    assert_eq!(count(|| grown.reserve_exact(black_box(4096))), 1);
    assert_eq!(count(|| drop(grown)), 0);
}

#[test]
fn bytes_are_held_until_they_are_freed() {
    let before = held_by_this_thread();
    let held = || held_by_this_thread().wrapping_sub(before);
    let mut grown = black_box(Vec::<u8>::with_capacity(1_000));
    assert_eq!(held(), 1_000);
    grown.reserve_exact(3_000);
    assert_eq!(held(), 3_000);
    let boxed = black_box(Box::new([0_u64; 4]));
    assert_eq!(held(), 3_032);
    drop((grown, boxed));
    assert_eq!(held(), 0);
}

#[test]
fn work_on_memory_that_is_there_counts_nothing() {
    let mut buffer = Vec::with_capacity(1000);
    let work = || {
        for value in 0..1000_u64 {
            buffer.push(black_box(value));
        }
        buffer.clear();
    };
    assert_eq!(count(work), 0);
}

#[test]
fn threads_count_for_themselves() {
    let other = std::thread::scope(|scope| {
        let thread = scope.spawn(|| count(|| drop(black_box(vec![Box::new(1_u64), Box::new(2)]))));
        thread.join().unwrap()
    });
    assert_eq!(other, 3);
    let handed_over = std::sync::mpsc::channel();
    let mine = std::thread::scope(|scope| {
        let (sender, receiver) = handed_over;
        let thread = scope.spawn(move || {
            receiver.recv().unwrap();
            (0..1000).for_each(|value| drop(black_box(Box::new(value))));
        });
        sender.send(()).unwrap();
        let mine = count(|| {
            while !thread.is_finished() {
                std::hint::spin_loop();
            }
        });
        thread.join().unwrap();
        mine
    });
    assert_eq!(mine, 0);
}
