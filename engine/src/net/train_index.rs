//! Finds the open train for a source, a destination and a size class in a few nanoseconds.
//!
//! An open-addressing table of train numbers, a quarter full at most, emptied after every flush by visiting
//! only the places used. The hash is salted, so that nobody can choose addresses that all collide.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};

use super::size_class::SizeClass;

const EMPTY: u16 = u16::MAX;
/// Odd and without pattern: the fraction of the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where a key is, or would go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(u16);

#[derive(Debug)]
pub(super) struct TrainIndex {
    table: Box<[u16]>,
    salt: u64,
}

impl TrainIndex {
    /// An index for up to `trains_max` trains (at most 16,384, so that a place fits 16 bits).
    pub(super) fn new(trains_max: usize) -> TrainIndex {
        let places = (trains_max * 4).next_power_of_two();
        debug_assert!(places <= usize::from(u16::MAX) + 1);
        TrainIndex { table: vec![EMPTY; places].into(), salt: RandomState::new().hash_one(0) }
    }

    /// The place of a train that has none yet.
    pub(super) fn nowhere() -> Place {
        Place(0)
    }

    /// The place of (`source`, `to`, `class`) and the train there, if any; `is` tells whether a train has this key.
    #[inline]
    pub(super) fn find(
        &self,
        source: Option<IpAddr>,
        to: SocketAddr,
        class: SizeClass,
        is: impl Fn(usize) -> bool,
    ) -> (Place, Option<usize>) {
        let mask = self.table.len() - 1;
        let mut place = hash(to, class, self.salt_for(source)) as usize & mask;
        loop {
            match self.table[place] {
                EMPTY => return (Place(place as u16), None),
                train if is(usize::from(train)) => return (Place(place as u16), Some(usize::from(train))),
                _ => place = (place + 1) & mask,
            }
        }
    }

    #[inline]
    fn salt_for(&self, source: Option<IpAddr>) -> u64 {
        match source {
            None => self.salt,
            Some(IpAddr::V4(ip)) => fold(u64::from(ip.to_bits()), self.salt),
            Some(IpAddr::V6(ip)) => fold(ip.to_bits() as u64, fold((ip.to_bits() >> 64) as u64, self.salt)),
        }
    }

    #[inline]
    pub(super) fn set(&mut self, place: Place, train: usize) {
        self.table[usize::from(place.0)] = train as u16;
    }

    #[inline]
    pub(super) fn clear(&mut self, place: Place) {
        self.table[usize::from(place.0)] = EMPTY;
    }
}

#[inline]
fn hash(to: SocketAddr, class: SizeClass, salt: u64) -> u64 {
    let tail = u64::from(to.port()) << 8 | u64::from(class.number());
    match to {
        SocketAddr::V4(v4) => fold(u64::from(v4.ip().to_bits()) << 24 | tail, salt),
        SocketAddr::V6(v6) => {
            let ip = v6.ip().to_bits();
            let high = fold((ip >> 64) as u64 ^ u64::from(v6.scope_id()), salt);
            fold(fold(ip as u64, high), salt ^ tail)
        }
    }
}

/// Multiplies to 128 bits and folds the halves: every bit of the result depends on every bit of the input.
#[inline]
fn fold(value: u64, salt: u64) -> u64 {
    let product = u128::from(value ^ salt) * u128::from(MULTIPLIER);
    (product >> 64) as u64 ^ product as u64
}
