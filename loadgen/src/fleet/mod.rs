//! The fleet that is measured: members on workers, who watches them, and the phases they go through.
//!
//! Member number `n` of the fleet is called `mN` and lives on worker `n` modulo the workers, so that every
//! worker carries the same share and any member's place follows from its number.

pub mod cluster;
pub(crate) mod faults;
pub mod fleet_control;
pub(crate) mod outcome;
pub mod phases;
pub mod sampling;
pub mod seen;
pub mod settings;
pub mod snapshot;
mod start;
pub mod tracker;

/// A member's number in the whole fleet, from 0.
pub type MemberNumber = u32;

/// The name of a member.
pub fn name_of(member: MemberNumber) -> String {
    format!("m{member}")
}

/// The number of the member called `name`.
pub fn number_of(name: &str) -> Option<MemberNumber> {
    name.strip_prefix('m')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_correspond() {
        assert_eq!(number_of(&name_of(12_345)), Some(12_345));
        assert_eq!(number_of("web-1"), None);
        assert_eq!(number_of("m"), None);
    }
}
