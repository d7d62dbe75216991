//! Who admits whom: the rules of a member and its application's answers, drawn as operations, and what they come to.

use std::collections::HashSet;
use std::net::SocketAddr;

use swimring::protocol::{AdmissionRules, Member, Networks};
use swimring_codec::MemberId;

use super::MEMBERS;
use super::forged::someone;
use super::input::Input;
use crate::simulation::Simulation;

/// Networks that members may be in: everywhere; where they all begin; where the first two do; where they are once they have moved.
const NETWORKS: [&[&str]; 4] = [&[], &["10.0.0.0/16"], &["10.0.0.0/31"], &["10.1.0.0/16", "10.2.0.0/15"]];

/// What one member has been told.
#[derive(Default)]
struct Door {
    rules: AdmissionRules,
    /// Who was in its view when it was, or has come in since, and where.
    inside: HashSet<(MemberId, SocketAddr)>,
    /// Whom its application has admitted since.
    admitted: HashSet<MemberId>,
}

/// What all have been told.
pub(super) struct Doors {
    doors: [Door; MEMBERS],
    /// Whether silence admits, so that nobody can tell who was let in by it.
    silence_admits: bool,
}

impl Doors {
    pub(super) fn new(silence_admits: bool) -> Doors {
        Doors { doors: Default::default(), silence_admits }
    }

    /// Sets the rules of `node`.
    pub(super) fn set(&mut self, simulation: &mut Simulation, node: usize, input: &mut Input<'_>) {
        let networks = Networks::parse(NETWORKS[input.below(NETWORKS.len())]).expect("networks");
        let rules = AdmissionRules { networks, asks: input.byte() & 1 == 1 };
        simulation.set_admission(node, rules.clone());
        self.doors[node] = Door { rules, inside: view(simulation, node), admitted: HashSet::new() };
    }

    /// The member of `node` has a new life, with the same rules: what was before counts no more.
    pub(super) fn began_anew(&mut self, simulation: &Simulation, node: usize) {
        let door = &mut self.doors[node];
        (door.inside, door.admitted) = (view(simulation, node), HashSet::new());
    }

    /// An application says something of somebody of whom it is asked; or that of `node` of anybody.
    pub(super) fn answer(&mut self, simulation: &mut Simulation, node: usize, input: &mut Input<'_>) {
        let said = input.byte();
        let asked = if said & 4 == 0 { waiting(simulation) } else { Vec::new() };
        let (node, subject) = match asked.len() {
            0 => (node, someone(simulation, input)),
            count => asked[input.below(count)],
        };
        let other_identity = (said & 2 == 2).then(|| input.number());
        let admitted = said & 1 == 1;
        simulation.judge_candidate(node, (subject, other_identity), admitted);
        if admitted {
            self.doors[node].admitted.insert(subject);
        }
    }

    /// Whoever has come into a view since its rules were set was let in by them.
    pub(super) fn check(&mut self, simulation: &Simulation) {
        for (node, door) in self.doors.iter_mut().enumerate() {
            let now = view(simulation, node);
            for (id, address) in now.difference(&door.inside) {
                let Door { rules, inside, admitted } = &door;
                assert!(rules.networks.allow(address.ip()), "{node} has let in {id:?} from {address}");
                let was_inside = inside.iter().any(|(known, _)| known == id);
                let judged = was_inside || self.silence_admits || admitted.contains(id);
                assert!(!rules.asks || judged, "{node} has let in {id:?} unasked");
            }
            door.inside.extend(now);
        }
    }
}

/// Those who have been asked about somebody, and about whom.
fn waiting(simulation: &Simulation) -> Vec<(usize, MemberId)> {
    let strangers = (0..=u8::MAX).map(|number| MemberId::of_name(&format!("stranger-{number}")));
    let everybody: Vec<_> = (0..MEMBERS).map(|node| simulation.id(node)).chain(strangers).collect();
    let asks = |node: usize, id: MemberId| {
        simulation.member(node).is_some_and(|member| member.candidate(id).is_some())
    };
    let pairs = (0..MEMBERS).flat_map(|node| everybody.iter().map(move |id| (node, *id)));
    pairs.filter(|(node, id)| asks(*node, *id)).collect()
}

/// Who is in the view of `node`, and where; but itself.
fn view(simulation: &Simulation, node: usize) -> HashSet<(MemberId, SocketAddr)> {
    let own = simulation.member(node).map(Member::index);
    let others = simulation.view(node).filter(|known| Some(known.index) != own);
    others.map(|known| (MemberId::of_name(known.name), known.address)).collect()
}
