//! Zones: who is in which, with the ids of each in order.
//!
//! A member may say in its introduction which zone it is in: a name that operators give to machines that are near
//! each other, like `eu-west-1a`. Those that say nothing are in the *empty zone* together, which is a zone like any
//! other; in a cluster without zones it is the only one, and costs what a list of all ids does. Delegated broadcast
//! asks one member in each other zone, and goes on along the ids within each.
//!
//! What is kept here is what any member of the worker believes. Members may disagree about somebody's zone while its
//! change is on its way: its id then stands in the order of both, and whoever asks looks at its own view
//! ([`Zones::disagree`] says whether anybody has to).

use swimring_codec::{zone_hash, zone_tag};

use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::id_order::{IdOrder, Ids, Ordered};

/// A zone's place in the directory.
pub(in crate::protocol) type ZoneIndex = u16;

/// The empty zone, of all members that name none.
pub(in crate::protocol) const NO_ZONE: ZoneIndex = 0;

/// Most zones that one worker's members know, the empty one among them. Whoever originates something sends a copy to
/// each, so many more would be of no use. A member that names another is refused until one is free.
pub const ZONES_MAX: usize = 256;

#[derive(Debug)]
struct Zone {
    name: Box<str>,
    hash: u64,
    tag: u16,
    /// Members in it. A zone without any is free, but for the empty one.
    members: usize,
    order: IdOrder,
}

impl Zone {
    fn new(name: &str) -> Zone {
        let (hash, tag) = (zone_hash(name), zone_tag(name));
        Zone { name: name.into(), hash, tag, members: 0, order: IdOrder::new() }
    }
}

/// The zones of all members that a worker knows. See the module.
#[derive(Debug)]
pub(in crate::protocol) struct Zones {
    zones: Vec<Zone>,
    /// The ids of all, whatever their zone.
    ids: Ids,
    /// For each member that is in more than one, by how many.
    disagreements: usize,
}

impl Zones {
    pub(in crate::protocol) fn new() -> Zones {
        Zones { zones: vec![Zone::new("")], ids: Ids::new(), disagreements: 0 }
    }

    /// Makes room for the ids of `members` in all.
    pub(in crate::protocol) fn reserve(&mut self, members: usize) {
        self.ids.reserve(members);
    }

    /// The member at `index` has this id from now on: before it enters a zone.
    pub(in crate::protocol) fn assign(&mut self, index: MemberIndex, id: u64) {
        self.ids.assign(index, id);
    }

    /// The id of the member at `index`.
    #[inline]
    pub(in crate::protocol) fn id(&self, index: MemberIndex) -> u64 {
        self.ids.get(index)
    }

    /// Whether the member at `index` has this id.
    #[inline]
    pub(in crate::protocol) fn is(&self, index: MemberIndex, id: u64) -> bool {
        self.ids.is(index, id)
    }

    /// The zone called `name`, which is made if need be. Nothing if there are too many. It is kept once somebody
    /// is in it: [`Zones::enter`] it next.
    pub(in crate::protocol) fn intern(&mut self, name: &str) -> Option<ZoneIndex> {
        if name.is_empty() {
            return Some(NO_ZONE);
        }
        let hash = zone_hash(name);
        let mut free = None;
        for (at, zone) in self.zones.iter().enumerate().skip(1) {
            if zone.hash == hash && *zone.name == *name {
                return Some(at as ZoneIndex);
            }
            if zone.members == 0 {
                free = free.or(Some(at));
            }
        }
        match free {
            Some(at) => {
                self.zones[at] = Zone::new(name);
                Some(at as ZoneIndex)
            }
            None if self.zones.len() == ZONES_MAX => None,
            None => {
                self.zones.push(Zone::new(name));
                Some((self.zones.len() - 1) as ZoneIndex)
            }
        }
    }

    /// Whether anybody is, or was, in a zone that has a name.
    #[inline]
    pub(in crate::protocol) const fn any(&self) -> bool {
        self.zones.len() > 1
    }

    /// Somebody believes the member at `index` to be in `zone`, which nobody did so far; `elsewhere` says whether
    /// somebody believes it to be in another.
    pub(in crate::protocol) fn enter(&mut self, zone: ZoneIndex, index: MemberIndex, elsewhere: bool) {
        let entered = &mut self.zones[usize::from(zone)];
        entered.order.insert(index, &self.ids);
        entered.members += 1;
        self.disagreements += usize::from(elsewhere);
    }

    /// The inverse of [`Zones::enter`].
    pub(in crate::protocol) fn exit(&mut self, zone: ZoneIndex, index: MemberIndex, elsewhere: bool) {
        let left = &mut self.zones[usize::from(zone)];
        left.order.remove(index, &self.ids);
        left.members -= 1;
        self.disagreements -= usize::from(elsewhere);
    }

    /// Whether somebody is in more than one zone, depending on whom one asks.
    #[inline]
    pub(in crate::protocol) fn disagree(&self) -> bool {
        self.disagreements > 0
    }

    /// Those that somebody is in.
    pub(in crate::protocol) fn occupied(&self) -> impl Iterator<Item = ZoneIndex> + '_ {
        (0..).zip(&self.zones).filter(|(_, zone)| zone.members > 0).map(|(at, _)| at)
    }

    /// The ids in `zone`, in order.
    #[inline]
    pub(in crate::protocol) fn order(&self, zone: ZoneIndex) -> Ordered<'_> {
        Ordered { order: &self.zones[usize::from(zone)].order, ids: &self.ids }
    }

    /// The name of `zone`, empty for [`NO_ZONE`].
    pub(in crate::protocol) fn name(&self, zone: ZoneIndex) -> &str {
        &self.zones[usize::from(zone)].name
    }

    /// The hash of its name.
    #[inline]
    pub(in crate::protocol) fn hash(&self, zone: ZoneIndex) -> u64 {
        self.zones[usize::from(zone)].hash
    }

    /// What a delegation names it by.
    #[inline]
    pub(in crate::protocol) fn tag(&self, zone: ZoneIndex) -> u16 {
        self.zones[usize::from(zone)].tag
    }

    /// The zone that a delegation names by `tag`: `own` if it may be that one, since whoever asks takes us to be in
    /// the zone that it asks for. Nothing if nobody is in such a zone.
    #[inline]
    pub(in crate::protocol) fn tagged(&self, tag: u16, own: ZoneIndex) -> Option<ZoneIndex> {
        if self.tag(own) == tag {
            return Some(own);
        }
        self.occupied().find(|zone| self.tag(*zone) == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_lasts_as_long_as_somebody_is_in_it() {
        let mut zones = Zones::new();
        let names: Vec<String> = (1..ZONES_MAX).map(|nth| format!("zone-{nth}")).collect();
        for (index, name) in (1..).zip(&names) {
            let zone = zones.intern(name).expect("room");
            assert_eq!((zone, zones.name(zone)), (index, &**name));
            zones.assign(index.into(), index.into());
            zones.enter(zone, index.into(), false);
        }
        assert_eq!(zones.intern("another"), None);
        assert_eq!(zones.intern(""), Some(NO_ZONE));
        assert_eq!(zones.intern("zone-7"), Some(7));
        assert_eq!(zones.occupied().count(), ZONES_MAX - 1, "nobody is in the empty one");
        zones.exit(7, 7, false);
        assert_eq!(zones.intern("another"), Some(7));
        zones.assign(9, 900);
        zones.enter(7, 9, false);
        assert_eq!(zones.order(7).range(0..=u64::MAX).collect::<Vec<_>>(), [(900, 9)]);
    }

    #[test]
    fn a_tag_is_the_own_zones_if_it_may_be() {
        let mut zones = Zones::new();
        zones.assign(0, 1);
        let [a, b, empty] = ["a", "b", "nobody"].map(|name| {
            let zone = zones.intern(name).expect("room");
            zones.enter(zone, 0, false);
            zone
        });
        zones.exit(empty, 0, false);
        assert_eq!(zones.tagged(zone_tag("a"), b), Some(a));
        assert_eq!(zones.tagged(zone_tag("b"), b), Some(b));
        assert_eq!(zones.tagged(zone_tag("nobody"), b), None);
        assert_eq!(zones.tagged(zone_tag(""), b), None);
        assert_eq!(zones.tagged(zone_tag(""), NO_ZONE), Some(NO_ZONE), "alone there");
        // Two zones of one tag: the second is found by those in it.
        let twin = (0_u32..)
            .map(|nth| format!("twin-{nth}"))
            .find(|name| zone_tag(name) == zone_tag("a"))
            .expect("one in 65,536 is");
        let twin = zones.intern(&twin).expect("room");
        zones.assign(1, 2);
        zones.enter(twin, 1, false);
        assert_eq!(zones.tagged(zone_tag("a"), twin), Some(twin));
        assert_eq!(zones.tagged(zone_tag("a"), b), Some(a));
    }
}
