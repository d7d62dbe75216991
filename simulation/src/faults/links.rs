//! Who can reach whom: partitions, one-way or two-way, steady or flip-flopping.

use std::time::Duration;

use swimring::protocol::Time;

/// Direction in which a partition stops datagrams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Both ways.
    Both,
    /// From the named members to the others.
    Outbound,
    /// From the others to the named members.
    Inbound,
}

/// A partition: the members on one side, those on the other; who is on neither reaches both.
#[derive(Clone, Debug)]
struct Cut {
    inside: Vec<bool>,
    outside: Vec<bool>,
    direction: Direction,
    since: Time,
    until: Time,
    /// On for so long, then off for as long, and so on; zero for always on.
    period: Duration,
}

impl Cut {
    fn stops(&self, now: Time, from: usize, to: usize) -> bool {
        let outbound = self.inside[from] && self.outside[to];
        let inbound = self.outside[from] && self.inside[to];
        let crossed = match self.direction {
            Direction::Both => outbound || inbound,
            Direction::Outbound => outbound,
            Direction::Inbound => inbound,
        };
        let elapsed = now.since(self.since).as_micros();
        crossed
            && now < self.until
            && (self.period.is_zero() || (elapsed / self.period.as_micros().max(1)).is_multiple_of(2))
    }
}

/// The partitions under way.
#[derive(Debug, Default)]
pub(crate) struct Links {
    cuts: Vec<Cut>,
}

impl Links {
    pub(crate) fn cut(
        &mut self,
        (inside, outside): (Vec<bool>, Vec<bool>),
        direction: Direction,
        since: Time,
        until: Time,
        period: Duration,
    ) {
        self.cuts.retain(|cut| cut.until > since);
        self.cuts.push(Cut { inside, outside, direction, since, until, period });
    }

    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(crate) fn stops(&self, now: Time, from: usize, to: usize) -> bool {
        self.cuts.iter().any(|cut| cut.stops(now, from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_and_periods() {
        let at = |millis: u64| Time::from_micros(millis * 1000);
        let mut links = Links::default();
        links.cut(
            (vec![true, false, true], vec![false, true, false]),
            Direction::Outbound,
            at(0),
            at(100),
            Duration::from_millis(10),
        );
        assert!(links.stops(at(5), 0, 1) && !links.stops(at(5), 1, 0) && !links.stops(at(5), 0, 2));
        assert!(!links.stops(at(15), 0, 1) && links.stops(at(25), 2, 1) && !links.stops(at(100), 0, 1));
        links.heal();
        assert!(!links.stops(at(5), 0, 1));
        links.cut(
            (vec![false, true, false], vec![true, false, true]),
            Direction::Inbound,
            at(0),
            Time::NEVER,
            Duration::ZERO,
        );
        assert!(links.stops(at(999), 0, 1) && !links.stops(at(999), 1, 0) && !links.stops(at(999), 0, 2));
    }
}
