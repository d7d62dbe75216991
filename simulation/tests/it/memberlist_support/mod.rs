//! What the tests of pools that speak memberlist's format share: a simulated pool, and messages that a peer
//! might send into it.

use std::net::SocketAddr;
use std::time::Duration;

use swimring::protocol::{MemberlistOptions, Settings, StreamNext, WireOptions};
use swimring_codec::State;
use swimring_codec::memberlist::{Alive, Codec, Message, Options, PushPullWriter, Record, Versions};
use swimring_simulation::{CapturedFrame, Simulation, SimulationOptions};
pub use swimring_testing::memberlist::packet;

/// `members` of a pool with `options` that know each other, some probe intervals after they started.
pub fn pool_of(seed: u64, members: usize, settings: &Settings, options: MemberlistOptions) -> Simulation {
    let mut simulation = Simulation::new(SimulationOptions {
        settings: settings.clone(),
        wire: WireOptions::Memberlist(options),
        checked: members <= 16,
        ..SimulationOptions::new(seed, members)
    });
    simulation.start_warm();
    simulation.run_for(Duration::from_secs(3)).expect("a quiet start");
    simulation
}

/// The same in a plain pool.
pub fn pool(seed: u64, members: usize, settings: &Settings) -> Simulation {
    pool_of(seed, members, settings, MemberlistOptions::default())
}

/// Delivers `messages` to `node`, as if the member `source` had sent them.
pub fn forge(simulation: &mut Simulation, source: usize, node: usize, messages: &[Message<'_>]) {
    let from = simulation.address(source);
    simulation.deliver(node, from, &packet(messages));
}

/// Begins a push/pull with `node` in which it learns `records`; its answer is not waited for.
pub fn push(simulation: &mut Simulation, node: usize, records: &[Record<'_>]) {
    let mut bytes = Vec::new();
    let mut writer = PushPullWriter::new(&mut bytes, false);
    records.iter().for_each(|record| assert!(writer.record(record), "{record:?}"));
    assert!(writer.finish(b""));
    assert_eq!(simulation.deliver_stream(node, None, &bytes), Some(StreamNext::ReplyAndClose));
}

pub fn alive(node: &str, incarnation: u32, address: SocketAddr) -> Alive<'_> {
    Alive { incarnation, node, address, metadata: b"", versions: Versions::PLAIN }
}

pub fn record(node: &str, incarnation: u32, address: SocketAddr, state: State) -> Record<'_> {
    Record { incarnation, node, address, metadata: b"", versions: Versions::PLAIN, state }
}

/// Calls `look` with every message of the packets that `node` sent while tapped, and with whom it went to.
pub fn sent(simulation: &Simulation, node: usize, mut look: impl FnMut(&CapturedFrame, &Message<'_>)) {
    let mut codec = Codec::new(&Options::default(), [0; 32]).expect("plain options");
    for tapped in simulation.tapped().iter().filter(|tapped| tapped.from == node) {
        for message in codec.open_packet(&tapped.bytes).expect("a packet") {
            look(tapped, &message.expect("a message"));
        }
    }
}

/// How many messages that `node` sent `wanted` accepts.
pub fn count_sent(simulation: &Simulation, node: usize, wanted: impl Fn(&Message<'_>) -> bool) -> usize {
    let mut count = 0;
    sent(simulation, node, |_, message| count += usize::from(wanted(message)));
    count
}

/// The name of a simulated member.
pub fn name(node: usize) -> String {
    format!("member-{node:04}")
}
