//! Signatures in a second on one core: a program with `swimring-codec` as its only dependency, `lto = "thin"`.
//! It prints the middle of 21 rounds of 2,000.

use std::hint::black_box;
use std::time::Instant;

use swimring_codec::native::{IdentityKey, Introduction};
use swimring_codec::{Incarnation, MemberId, State};

const ROUNDS: usize = 21;
const EACH: u32 = 2_000;

fn measure(what: &str, mut once: impl FnMut()) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            (0..EACH).for_each(|_| once());
            begin.elapsed().as_secs_f64() / f64::from(EACH)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let each = rounds[ROUNDS / 2];
    println!("{what}: {:.1} us, {:.0} in a second", each * 1e6, 1.0 / each);
}

fn main() {
    let key = IdentityKey::from_seed(&[7; 32]);
    let public = key.public();
    let metadata = [&public.0[..], &[b'm'; 100]].concat();
    let introduction = Introduction {
        subject: MemberId::of_name("member-000007"),
        incarnation: Incarnation::new(1_700_000_000),
        state: State::Alive,
        address: ([10, 0, 0, 7], 7946).into(),
        name: "member-000007",
        metadata: &metadata,
        zone: "eu-west-1a",
    };
    let (subject, incarnation) = (introduction.subject, introduction.incarnation);
    let alive = key.sign_alive(7, &introduction).unwrap();
    let left = key.sign_left(7, subject, incarnation).unwrap();
    let mut wrong = alive;
    wrong[40] ^= 1;
    measure("sign an introduction", || drop(black_box(key.sign_alive(7, black_box(&introduction)))));
    measure("verify an introduction", || {
        assert!(public.verifies_alive(7, black_box(&introduction), &alive));
    });
    measure("refuse an introduction", || {
        assert!(!public.verifies_alive(7, black_box(&introduction), &wrong));
    });
    measure("verify a goodbye", || {
        assert!(public.verifies_left(7, subject, black_box(incarnation), &left));
    });
}
