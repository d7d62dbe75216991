//! What is to be simulated: how many members, their settings and format, faults, zones and identities.

use std::sync::Arc;
use std::time::Duration;

use swimring::protocol::{AdmittedKeys, Settings, WireOptions};
use swimring_codec::native::IdentityKey;

use super::faults::Faults;
use super::node::Node;
use super::view_rebasing::Rebasing;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct SimulationOptions {
    /// Seed for every random choice.
    pub seed: u64,
    /// Number of members, at most 65,536.
    pub members: usize,
    /// Their settings.
    pub settings: Settings,
    /// The format they speak.
    pub wire: WireOptions,
    /// Zones that the members are in, in turn; 0 or 1 for none. Those of the first are in the empty zone.
    pub zones: usize,
    /// What a datagram from one zone to another takes longer than within one.
    pub zone_delay: Duration,
    /// Faults that may strike.
    pub faults: Faults,
    /// Whether all members share one [`SharedState`](swimring::protocol::SharedState), as in a worker, or have one each, as when embedded.
    pub shared_commons: bool,
    /// Whether everything is checked after every step. The checks cost more than the protocol.
    pub checked: bool,
    /// Storage of the members' views.
    pub rebasing: Rebasing,
    /// Whether members have identities, in the native format.
    pub identities: Identities,
}

/// Whether members have identities, with keys drawn from the seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Identities {
    /// They have none.
    #[default]
    None,
    /// A name belongs to the key that it is first heard with.
    FirstHeard,
    /// All have a list of all names and keys.
    Listed,
}

impl SimulationOptions {
    /// `members` members with LAN settings, the native format, private commons, all checks and no faults.
    pub fn new(seed: u64, members: usize) -> SimulationOptions {
        SimulationOptions {
            seed,
            members,
            settings: Settings::default(),
            wire: WireOptions::Native,
            zones: 0,
            zone_delay: Duration::ZERO,
            faults: Faults::NONE,
            shared_commons: false,
            checked: true,
            rebasing: Rebasing::Swept,
            identities: Identities::None,
        }
    }
}

/// The name of a zone; the first is the empty one.
pub(super) fn zone_name(number: usize) -> String {
    if number == 0 { String::new() } else { format!("zone-{number}") }
}

/// Whom members admit, if they have identities.
pub(super) fn admitted(identities: Identities, seed: u64, nodes: &[Node]) -> Option<Arc<AdmittedKeys>> {
    let mut admitted = AdmittedKeys::default();
    match identities {
        Identities::None => return None,
        Identities::FirstHeard => {}
        Identities::Listed => {
            for (number, node) in nodes.iter().enumerate() {
                admitted.add(identity_key(seed, number).public(), Some(&node.name));
            }
        }
    }
    Some(Arc::new(admitted))
}

/// The key that the member of `node` signs with, where members have identities, in a simulation of this seed.
pub(super) fn identity_key(seed: u64, node: usize) -> IdentityKey {
    let mut rng = fastrand::Rng::with_seed(seed ^ (node as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    IdentityKey::from_seed(&std::array::from_fn(|_| rng.u8(..)))
}
