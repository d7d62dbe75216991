//! Peers that announce much and send little, all at once. Alone in its process, whose memory is measured.
#![allow(clippy::disallowed_methods, reason = "real sockets are what these tests are about")]

use crate::stream_support::items;

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::stream_support::{DRIVERS, Node, wait_for};
use items::{LABEL, MESSAGE_MAX, scanned};
use swimring::stream::StreamOptions;

const DEADLINE: Duration = Duration::from_millis(1200);

/// Bytes that trickle keep an exchange from being idle, not from being over its time; while they do, the
/// exchanges that are allowed hold little memory.
#[test]
fn many_slow_peers_end_by_the_deadline_and_hold_little() {
    const PEERS: usize = 60;
    for driver in DRIVERS {
        let options = StreamOptions {
            exchange_timeout: DEADLINE,
            accepted_max: PEERS,
            pooled_bytes_max: 0,
            ..scanned()
        };
        let node = Node::start(driver, options);
        // Of a length that is known from then on, and of one that is not.
        let announced =
            [b"=", b"#"].map(|kind| [LABEL, kind, &(MESSAGE_MAX as u32 / 2).to_le_bytes()].concat());
        let before = mapped_bytes();
        let mut peers: Vec<TcpStream> =
            (0..PEERS).map(|_| TcpStream::connect(node.address).unwrap()).collect();
        for (peer, announced) in peers.iter_mut().zip(announced.iter().cycle()) {
            peer.write_all(announced).unwrap();
        }
        node.wait_for_count("all", |counters| counters.open.get() == PEERS as u64);
        let mut most = 0;
        wait_for("the deadline", || {
            for peer in &mut peers {
                let _ = peer.write_all(b".");
            }
            most = most.max(mapped_bytes().saturating_sub(before));
            std::thread::sleep(Duration::from_millis(5));
            (node.counters().timeouts.get() == PEERS as u64).then_some(())
        });
        assert_eq!(node.counters().messages_in.get(), 0);
        // 600 MiB were announced. An allocator's arena is 64 MiB.
        assert!(most < 200 << 20, "{most} bytes");
        node.wait_until_idle();
    }
}

/// Memory asked of the kernel, whether touched yet or not.
fn mapped_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').next().unwrap().parse::<usize>().unwrap() * 4096
}
