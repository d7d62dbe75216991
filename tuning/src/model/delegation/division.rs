//! Division: how many hops a random member is from the originator, and what a broadcast costs.
//!
//! **Hops.** A part of s members is served by one of them, and a random other one, u, lives. Each of the s - 2
//! others shares the next b bits with u with probability 1/k, k = 2^b, and so does the server:
//!
//! ```text
//! H(s) = sum over r of Binomial(r; s-2, 1/k) [ 1/k H(r+2) + (1 - 1/k) G(r+1) ]
//! ```
//!
//! H(s) being the joint law of hops and timeouts from the server to u, and G(s) that of a delegation to a part of
//! s with u in it: one hop and the timeouts of [`Attempts::taken`], then nothing more where u itself was reached, and
//! H(s) where another took the part over. The case r = s - 2 of the server's own sub-prefix is H(s) again and takes no
//! time: it divides the equation by 1 - k^(1-s). Sizes up to `EXACT_SIZES` are solved so; a larger part is so close to
//! s/k members in each sub-prefix that these stand for all, as the law hardly depends on size there (it shifts by
//! 1 - 1/k hops for each factor k).
//!
//! **Costs** add up along the same division: with s - 1 others, each in one of k sub-prefixes,
//!
//! ```text
//! C(s) = E C(1 + R) + (k-1) E[ sends(R) + taken(R) C(R) ],   R ~ Binomial(s-1, 1/k)
//! ```
//!
//! for copies, alike for acknowledgements, delegations and members that delegate. The originator's own
//! delegations are N(s) = E N(1 + R) + (k-1) P(R > 0), about (k-1) log_k s.
//!
//! **Zones.** The originator delegates each other zone as a whole to one of its members, who serves it, and serves its own
//! as above. With z zones of s members that is C(s) + (z-1) [ sends(s) + taken(s) C(s) ], and one hop more for the others.
//!
//! **The dead stay.** When a part is taken over only after somebody in it was silent, that one is still in it, and
//! its successor finds it dead once more. Each part is solved for several shares x of members known to be
//! dead, the others being dead with probability d, and between them along a straight line. One member more that is
//! known among m makes 1 - x smaller by a factor 1 - 1/m.

use super::attempts::{ATTEMPTS, Attempts};

/// Parts up to this size are solved with the distribution of their sub-prefixes' sizes.
const EXACT_SIZES: usize = 72;
/// Timeouts told apart; those beyond count as the last.
pub const UNITS: usize = 64;
/// Probabilities too small to be carried along.
const NEGLIGIBLE: f64 = 1e-9;
/// Shares of a part's members that are known to be dead, for which it is solved.
const KNOWN: [f64; 6] = [0.0, 0.05, 0.12, 0.25, 0.5, 1.0];

/// The joint law of hops (from 0) and timeouts. What it lacks to 1 is not reached at all.
#[derive(Clone, Debug, Default)]
pub struct Law {
    by_hops: Vec<[f64; UNITS]>,
    /// Timeouts that occur are fewer.
    units: usize,
}

impl Law {
    /// The probability of each number of timeouts, for each number of hops.
    pub fn by_hops(&self) -> &[[f64; UNITS]] {
        &self.by_hops
    }

    /// The probability of being reached.
    pub fn total(&self) -> f64 {
        self.by_hops.iter().flatten().sum()
    }

    /// Adds `weight` of another law, so many hops and timeouts later.
    fn add(&mut self, other: &Law, weight: f64, hops: usize, units: usize) {
        if weight < NEGLIGIBLE || other.by_hops.is_empty() {
            return;
        }
        if self.by_hops.len() < other.by_hops.len() + hops {
            self.by_hops.resize(other.by_hops.len() + hops, [0.0; UNITS]);
        }
        self.units = self.units.max((other.units + units).min(UNITS));
        for (to, from) in self.by_hops[hops..].iter_mut().zip(&other.by_hops) {
            for (unit, chance) in from.iter().enumerate().take(other.units) {
                to[(unit + units).min(UNITS - 1)] += weight * chance;
            }
        }
    }

    fn scale(&mut self, factor: f64) {
        self.by_hops.iter_mut().flatten().for_each(|chance| *chance *= factor);
    }

    /// Drops the hops and timeouts at the end that hardly occur.
    fn trim(mut self) -> Law {
        let negligible = |chances: &[f64; UNITS]| chances.iter().sum::<f64>() < NEGLIGIBLE;
        while self.by_hops.last().is_some_and(negligible) {
            self.by_hops.pop();
        }
        while self.units > 1 {
            let last = self.units - 1;
            if self.by_hops.iter().map(|chances| chances[last]).sum::<f64>() >= NEGLIGIBLE {
                break;
            }
            self.by_hops.iter_mut().for_each(|chances| chances[last] = 0.0);
            self.units = last;
        }
        self
    }

    /// No hop at all.
    fn here() -> Law {
        let mut none = [0.0; UNITS];
        none[0] = 1.0;
        Law { by_hops: vec![none], units: 1 }
    }
}

/// What serving a part costs, in expectation: all that happens in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Costs {
    /// Frames sent with the update.
    pub sends: f64,
    /// Acknowledgements sent.
    pub acks: f64,
    /// Delegations made.
    pub delegations: f64,
    /// Members that delegate in turn.
    pub servers: f64,
    /// Delegations made by the server itself.
    pub own: f64,
}

impl Costs {
    /// Adds `weight` times another's.
    pub fn add(&mut self, other: &Costs, weight: f64) {
        self.sends += weight * other.sends;
        self.acks += weight * other.acks;
        self.delegations += weight * other.delegations;
        self.servers += weight * other.servers;
        self.own += weight * other.own;
    }

    fn scale(&mut self, factor: f64) {
        let same = *self;
        *self = Costs::default();
        self.add(&same, factor);
    }
}

/// A part: the law of one of its members, and the costs of all.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Hops and timeouts from the part's server to a random live other member.
    pub law: Law,
    /// What serving it costs.
    pub costs: Costs,
}

impl Part {
    fn add(&mut self, other: &Part, weight: f64) {
        self.law.add(&other.law, weight, 0, 0);
        self.costs.add(&other.costs, weight);
    }
}

/// A part of one size, for each of the shares of [`KNOWN`] that can be: served, and delegated to any of its members.
#[derive(Clone, Debug, Default)]
struct Sized {
    served: Vec<Part>,
    delegated: Vec<Part>,
}

impl Sized {
    fn new(size: f64, served: Vec<Part>, attempts: &Attempts) -> Sized {
        let delegated = (0..served.len()).map(|known| delegated(size, known, &served, attempts)).collect();
        Sized { served, delegated }
    }
}

/// A delegation of a part of `size` members, to any of them, as one of its live members sees it; and what it costs
/// with all that follows.
fn delegated(size: f64, known: usize, served: &[Part], attempts: &Attempts) -> Part {
    let dead = attempts.dead + (1.0 - attempts.dead) * KNOWN[known];
    let attempts = Attempts { dead, ..*attempts };
    let mut law = Law::default();
    for (attempt, taken) in laws(size, known, served, &attempts).iter().enumerate() {
        law.add(taken, 1.0, 0, attempts.units_before(attempt));
    }
    Part { law: law.trim(), costs: costs(size, known, served, &attempts) }
}

/// For each attempt of a delegation, the law of a live member where that was the first to arrive: without the time that
/// passed before it.
fn laws(size: f64, known: usize, served: &[Part], attempts: &Attempts) -> [Law; ATTEMPTS] {
    let taken = attempts.taken(size);
    std::array::from_fn(|attempt| {
        let mut law = Law::default();
        law.add(&Law::here(), taken[attempt].by_it, 1, 0);
        for (index, share) in among(known, attempts.known_dead(attempt), size - 2.0, served.len()) {
            law.add(&served[index].law, taken[attempt].by_other * share, 1, 0);
        }
        law
    })
}

/// What a delegation costs with all that follows.
fn costs(size: f64, known: usize, served: &[Part], attempts: &Attempts) -> Costs {
    let mut costs = Costs::default();
    let cost = attempts.cost(size);
    for (attempt, taken) in cost.taken.iter().enumerate() {
        for (index, share) in among(known, attempts.known_dead(attempt), size - 1.0, served.len()) {
            costs.add(&served[index].costs, taken * share);
        }
    }
    costs.sends += cost.sends;
    costs.acks += cost.acks;
    costs.delegations += 1.0;
    costs.servers += if size > 1.0 { cost.taken.iter().sum() } else { 0.0 };
    costs.own = 1.0;
    costs
}

/// Which of the shares of [`KNOWN`], with which weights, stand for the `known` one with so many `more` of the
/// `others`.
fn among(known: usize, more: f64, others: f64, shares: usize) -> [(usize, f64); 2] {
    let here = KNOWN[known];
    let more = if others > more { more / others } else { 1.0 };
    let share = 1.0 - (1.0 - here) * (1.0 - more);
    let above = KNOWN.iter().take(shares).position(|known| *known >= share).unwrap_or(shares - 1);
    if above == 0 {
        return [(0, 1.0), (0, 0.0)];
    }
    let weight = (share - KNOWN[above - 1]) / (KNOWN[above] - KNOWN[above - 1]);
    [(above - 1, 1.0 - weight), (above, weight)]
}

/// All members of a zone: served by the originator, where it is its own, or delegated to any of them.
#[derive(Clone, Debug)]
pub struct Zone {
    members: u32,
    part: Sized,
}

/// What is delegated to a zone.
#[derive(Clone, Debug)]
pub struct Crossing {
    /// For each attempt, the law of a live member there if it was the first to arrive.
    pub laws: [Law; ATTEMPTS],
    /// What that costs, there and on the way.
    pub costs: Costs,
    /// Copies that cross.
    pub sends: f64,
}

impl Zone {
    /// As the originator serves it, who is in it.
    pub fn served(&self) -> &Part {
        &self.part.served[0]
    }

    /// As it is delegated from another zone, where `attempts` are those of the way there.
    pub fn crossing(&self, attempts: &Attempts) -> Crossing {
        let (size, served) = (f64::from(self.members), &self.part.served);
        Crossing {
            laws: laws(size, 0, served, attempts),
            costs: costs(size, 0, served, attempts),
            sends: attempts.cost(size).sends,
        }
    }
}

/// A zone of so many members.
pub fn division(members: u32, step_bits: u8, attempts: &Attempts) -> Zone {
    let ways = f64::from(1_u32 << step_bits.clamp(1, 4));
    let exact = exact(ways, attempts, (members as usize).clamp(2, EXACT_SIZES));
    let mut sizes = Vec::new();
    let mut size = f64::from(members);
    // Down to a part whose sub-prefixes are in the table, whatever their sizes.
    while most(size, ways) > exact.len() as f64 - 3.0 && size > exact.len() as f64 - 1.0 {
        sizes.push(size);
        size /= ways;
    }
    let mut part = between(size, ways, &exact, attempts);
    for size in sizes.into_iter().rev() {
        let served = |known: usize| evenly_divided(ways, &part.served[known], &part.delegated[known]);
        part = Sized::new(size, (0..part.served.len()).map(served).collect(), attempts);
    }
    Zone { members, part }
}

/// A size that the sub-prefixes of a part of `size` hardly exceed.
fn most(size: f64, ways: f64) -> f64 {
    let mean = size / ways;
    mean + 6.0 * mean.sqrt()
}

/// The parts of each size up to `largest`; nothing for 0.
fn exact(ways: f64, attempts: &Attempts, largest: usize) -> Vec<Sized> {
    let shares = if attempts.dead > 0.0 { KNOWN.len() } else { 1 };
    let mut parts = vec![Sized::default()];
    parts.push(Sized::new(1.0, vec![Part::default(); shares], attempts));
    for size in 2..=largest {
        let part = known_size(size, ways, &parts, attempts);
        parts.push(part);
    }
    parts
}

fn known_size(size: usize, ways: f64, parts: &[Sized], attempts: &Attempts) -> Sized {
    let shares = parts[1].served.len();
    let served = (0..shares).map(|known| divided(size, known, ways, parts)).collect();
    Sized::new(size as f64, served, attempts)
}

/// A part of a size that need not be whole: between the two that are.
fn between(size: f64, ways: f64, parts: &[Sized], attempts: &Attempts) -> Sized {
    let of = |whole: usize| match parts.get(whole) {
        Some(part) => part.clone(),
        None => known_size(whole, ways, parts, attempts),
    };
    let (below, above) = (of(size.floor() as usize), of(size.ceil() as usize));
    let weight = size - size.floor();
    let mixed = |(one, two): (&Part, &Part)| {
        let mut part = Part::default();
        part.add(one, 1.0 - weight);
        part.add(two, weight);
        part
    };
    Sized {
        served: below.served.iter().zip(&above.served).map(mixed).collect(),
        delegated: below.delegated.iter().zip(&above.delegated).map(mixed).collect(),
    }
}

/// A part of `size` members, from the smaller `parts`.
fn divided(size: usize, known: usize, ways: f64, parts: &[Sized]) -> Part {
    let mut part = Part::default();
    let smaller = |size: usize| parts.get(size).filter(|part| !part.served.is_empty());
    for (others, chance) in binomial(size - 2, 1.0 / ways) {
        let own = chance / ways;
        if others + 2 < size
            && let Some(smaller) = smaller(others + 2)
        {
            part.law.add(&smaller.served[known].law, own, 0, 0);
        }
        if let Some(smaller) = smaller(others + 1) {
            part.law.add(&smaller.delegated[known].law, chance - own, 0, 0);
        }
    }
    for (others, chance) in binomial(size - 1, 1.0 / ways) {
        if others + 1 < size
            && let Some(smaller) = smaller(others + 1)
        {
            part.costs.add(&smaller.served[known].costs, chance);
        }
        if let Some(smaller) = smaller(others) {
            part.costs.add(&smaller.delegated[known].costs, chance * (ways - 1.0));
        }
    }
    // All in the server's own sub-prefix: the same again, one level further.
    let again = 1.0 / (1.0 - ways.powi(1 - size as i32));
    part.law.scale(again);
    part.costs.scale(again);
    part.law = part.law.trim();
    part
}

/// A large part, of whose sub-prefixes each is like these.
fn evenly_divided(ways: f64, served: &Part, delegated: &Part) -> Part {
    let mut part = Part::default();
    part.law.add(&served.law, 1.0 / ways, 0, 0);
    part.law.add(&delegated.law, 1.0 - 1.0 / ways, 0, 0);
    part.costs.add(&served.costs, 1.0);
    part.costs.add(&delegated.costs, ways - 1.0);
    part.law = part.law.trim();
    part
}

/// The chances of the numbers of successes in so many trials, those that hardly occur left out.
fn binomial(trials: usize, chance: f64) -> Vec<(usize, f64)> {
    let mut term = (trials as f64 * (-chance).ln_1p()).exp();
    let mut chances = Vec::new();
    for successes in 0..=trials {
        if term >= NEGLIGIBLE {
            chances.push((successes, term));
        }
        term *= (trials - successes) as f64 / (successes + 1) as f64 * chance / (1.0 - chance);
    }
    chances
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERFECT: Attempts = Attempts { loss: 0.0, dead: 0.0, late: [0.0; 5], backoff: 2 };

    fn mean_hops(law: &Law) -> f64 {
        law.by_hops()
            .iter()
            .enumerate()
            .map(|(hops, chances)| hops as f64 * chances.iter().sum::<f64>())
            .sum()
    }

    #[test]
    fn two_members_are_one_hop_apart() {
        for step_bits in 1..=4 {
            let zone = division(2, step_bits, &PERFECT);
            let part = zone.served();
            assert!((part.law.by_hops()[1][0] - 1.0).abs() < 1e-9);
            assert!((part.costs.sends - 1.0).abs() < 1e-9 && (part.costs.own - 1.0).abs() < 1e-9);
        }
    }

    /// Without loss each of the others is told once, acknowledges once, and one level has k - 1 delegations.
    #[test]
    fn everyone_is_told_once() {
        for members in [3, 17, 96, 97, 500, 3_000, 100_000, 10_000_000] {
            for step_bits in 1..=4 {
                let zone = division(members, step_bits, &PERFECT);
                let part = zone.served();
                let others = f64::from(members - 1);
                for count in [part.costs.sends, part.costs.acks, part.costs.delegations] {
                    assert!((count / others - 1.0).abs() < 0.003, "{members} {step_bits}: {count}");
                }
                assert!((part.law.total() - 1.0).abs() < 1e-6, "{members} {step_bits}: {}", part.law.total());
            }
        }
    }

    #[test]
    fn a_factor_of_k_more_members_is_a_level_more() {
        for step_bits in 1..=4_u8 {
            let ways = 1_u32 << step_bits;
            let (small, large) =
                (division(5_000, step_bits, &PERFECT), division(5_000 * ways, step_bits, &PERFECT));
            let (small, large) = (small.served(), large.served());
            let hops = mean_hops(&large.law) - mean_hops(&small.law);
            assert!((hops - (1.0 - 1.0 / f64::from(ways))).abs() < 0.02, "{step_bits}: {hops}");
            let own = large.costs.own - small.costs.own;
            assert!((own - f64::from(ways - 1)).abs() < 0.05, "{step_bits}: {own}");
        }
    }

    /// The large parts' even division continues what the exact table says.
    #[test]
    fn sizes_join_smoothly() {
        for step_bits in 1..=4 {
            let mut before = 0.0;
            for members in (40..4_000).step_by(40) {
                let hops = mean_hops(&division(members, step_bits, &PERFECT).served().law);
                assert!(hops >= before - 0.03, "{step_bits} {members}: {hops} {before}");
                before = hops;
            }
        }
    }
}
