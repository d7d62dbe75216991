//! What a member costs in CPU time, from the cost of a datagram.
//!
//! Not derived but measured: `docs/results/2026-11-20-ten-thousand-members`. 10,000 members that share two
//! workers cost 6.3 us per member-second while they send and receive two datagrams each (idle-10000) and
//! 44.0 us at 14.1 datagrams with news (lan-10000): 3.16 and 3.12 us for a datagram sent and one received, so
//! the cost is proportional. It is that of datagrams which leave in trains and are handled many at a wake-up. In
//! a fleet of 300, which wakes up for nearly each (4.2 datagrams per system call instead of 305), the same
//! takes 39.7 us per member-second, 19.9 us for a datagram sent and one received: nearer to what a member
//! alone on its host costs. The host was a shared virtual machine: good to a factor of two.

/// Microseconds for a datagram sent and one received in a fleet of thousands of members per worker.
pub const FLEET_US_PER_DATAGRAM: f64 = 3.1;

/// The same where nearly every datagram is a wake-up of its own.
pub const LONE_US_PER_DATAGRAM: f64 = 19.9;

/// CPU microseconds per member-second: a member receives as many datagrams as it sends.
pub fn us_per_member_second(datagrams_per_member_second: f64, us_per_datagram: f64) -> f64 {
    datagrams_per_member_second * us_per_datagram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_fleets_are_met() {
        for (datagrams, us_per_datagram, measured) in [
            (2.0, FLEET_US_PER_DATAGRAM, 6.32),
            (14.1, FLEET_US_PER_DATAGRAM, 44.0),
            (2.0, LONE_US_PER_DATAGRAM, 39.7),
        ] {
            let ratio = us_per_member_second(datagrams, us_per_datagram) / measured;
            assert!((0.95..1.05).contains(&ratio), "{datagrams}: {ratio}");
        }
    }
}
