//! memberlist's format: the datagram that tells its receiver nothing new, gossip, and whole views.
//!
//! What is handled are the bytes that the Go program beside us feeds to memberlist (`peers/README.md`), so that
//! these times can be held against its own; the command `side-by-side` does that in one run. Target for
//! the datagram: a twentieth of memberlist's processor time, in every form, at every size.

use std::cell::{Cell, RefCell};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group};
use swimring_bench::{Form, PacketDeck, PacketMember, known_push_pull};

use crate::quick::quick;

const KNOWN: [usize; 4] = [100, 1_000, 10_000, 50_000];
const PUSH_PULL_MEMBERS: usize = 10_000;

fn handle(criterion: &mut Criterion) {
    for form in Form::ALL {
        let mut group = criterion.benchmark_group(format!("memberlist, handle 10 alive, {}", form.name()));
        for known in KNOWN {
            let (mut member, mut deck) = (PacketMember::new(form, known), PacketDeck::new(form, known));
            group.bench_function(BenchmarkId::from_parameter(known), |bencher| {
                bencher.iter(|| member.handle(deck.draw()));
            });
            member.check_datagrams(form);
        }
        group.finish();
    }
}

fn push_pull(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("memberlist, push/pull of 10000");
    group.throughput(Throughput::Elements(PUSH_PULL_MEMBERS as u64));
    for form in Form::ALL {
        let mut member = PacketMember::new(form, PUSH_PULL_MEMBERS);
        let request = known_push_pull(form, PUSH_PULL_MEMBERS);
        group.bench_function(BenchmarkId::new("answer and merge", form.name()), |bencher| {
            bencher.iter(|| member.exchange(&request));
        });
        group.bench_function(BenchmarkId::new("write", form.name()), |bencher| {
            bencher.iter(|| member.write_view());
        });
        member.check_exchanges(form);
    }
    group.finish();
}

/// One round of gossip of a member that has just heard ten news: a full packet to each of three others.
fn gossip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("memberlist, gossip of 10 news to 3");
    for form in Form::ALL {
        let member = RefCell::new(PacketMember::new(form, 10_000));
        let packets = Cell::new(0);
        group.bench_function(form.name(), |bencher| {
            let send = |()| packets.set(packets.get() + member.borrow_mut().gossip() - 3);
            bencher.iter_batched(|| member.borrow_mut().inform(form), send, BatchSize::PerIteration);
        });
        assert_eq!(packets.get(), 0, "every round went to three");
    }
    group.finish();
}

criterion_group! { name = benches; config = quick(); targets = handle, gossip, push_pull }
