//! Whose protocol members follow: Swimring's own, or that of hashicorp/memberlist 0.7.
//!
//! Both speak the same messages under the same settings, and differ in some twenty places: in what they do
//! with their own lateness, with accusations that are past, with what they hear in a push/pull. Each place
//! has a name here, and the code asks for it where the two part. Nothing but a simulation chooses anything
//! else than [`Behaviour::swimring`]: `upstream` is there to say what a pool of memberlist's, Serf's or
//! Consul's agents would do, and one item at a time says what each of our differences is worth.
//!
//! Times, limits and sizes that are settings of both are in [`super::Settings`], not here.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

macro_rules! behaviour {
    ($($(#[doc = $doc:literal])* $name:ident: $place:literal),* $(,)?) => {
        /// Where members do as upstream does instead of as Swimring does; see the module. Default nowhere.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct Behaviour { $($(#[doc = $doc])* pub $name: bool,)* }

        impl Behaviour {
            /// Every item: its name, upstream's file and function, and what is done there.
            pub const ITEMS: &[(&str, &str, &str)] = &[$((stringify!($name), $place, concat!($($doc),*))),*];

            /// Swimring's own.
            pub const fn swimring() -> Behaviour {
                Behaviour { $($name: false),* }
            }

            /// All of hashicorp/memberlist 0.7.
            pub const fn upstream() -> Behaviour {
                Behaviour { $($name: true),* }
            }

            /// Sets the item `name`. False if there is none of that name.
            pub fn set(&mut self, name: &str, upstream: bool) -> bool {
                match name {
                    $(stringify!($name) => self.$name = upstream,)*
                    _ => return false,
                }
                true
            }

            /// The names of the items that are as upstream.
            pub fn items(&self) -> impl Iterator<Item = &'static str> {
                [$((stringify!($name), self.$name)),*].into_iter().filter(|(_, is)| *is).map(|(name, _)| name)
            }
        }
    };
}

behaviour! {
    /// Probes begin at every interval whatever the local health, unless one is still under way, which lasts
    /// longer the worse it is; the next then begins when that one ends. Ours begin further apart as well.
    probe_when_free: "state.go: triggerFunc, probeNode",
    /// Local health does not lengthen the wait for the direct ack.
    fixed_probe_timeout: "state.go: probeNode",
    /// Local health is at most one less than its setting.
    lower_health_max: "awareness.go: ApplyDelta",
    /// The stream is tried together with the indirect pings, and what came of it is looked at when the probe
    /// ends. Ours is tried half way from then to the end, and ends the probe.
    stream_at_once: "state.go: probeNode",
    /// A relay sends its nack after a whole probe timeout, which is too late for a prober in good health, and
    /// forgets what it was asked then.
    late_nacks: "net.go: handleIndirectPing",
    /// The ping that tells a suspect of its suspicion carries no news, and is answered before the accusation
    /// is looked at, so the ack carries no refutation.
    bare_pings_to_suspects: "state.go: probeNode, net.go: handleCommand",
    /// Whoever pings us is not told that we hold it suspect or dead.
    suspects_untold: "net.go: handlePing",
    /// Accusations of a past incarnation of ours are not answered.
    past_accusations_ignored: "state.go: suspectNode, deadNode",
    /// An accusation at a higher incarnation confirms the suspicion under way, which keeps its incarnation.
    /// Ours begins anew.
    one_suspicion_at_a_time: "state.go: suspectNode",
    /// Whoever reads in a push/pull that someone is suspect or dead accuses it itself. Ours suspects it too,
    /// but confirms nothing.
    records_accuse: "state.go: mergeState",
    /// A record of a suspect says nothing of its life: who is held dead at a lower incarnation stays dead.
    suspect_records_say_no_more: "state.go: mergeState, suspectNode",
    /// Push/pulls come when they are due, also while news is under way, and none is made for a member that
    /// came back.
    push_pulls_on_time: "state.go: pushPullTrigger",
    /// Of news that was sent equally often the longest goes first, and of equally long the newest. Ours goes
    /// first in, first out.
    longest_news_first: "queue.go: limitedBroadcast.Less, GetBroadcasts",
    /// In pools below a hundred members news is told fewer times, by their size. Ours is told as often as among a hundred.
    fewer_copies_in_small_pools: "util.go: retransmitLimit",
    /// User events get the room that news about members leaves. Ours have a share.
    events_last: "broadcast.go: getBroadcasts",
    /// Time that was lost lengthens no deadline, and timers run before what arrived meanwhile is read.
    stalls_unnoticed: "suspicion.go: newSuspicion, state.go: probeNode",
    /// Any number of refutations in a second, of accusations at any incarnation.
    refutes_everything: "state.go: refute",
    /// Any number of indirect pings for others at once.
    relays_everything: "net.go: handleIndirectPing",
    /// Nobody pings the dead to see whether they came back. Serf's agents do it their own way.
    no_reconnects: "none: Serf has it in serf.go: reconnect",
}

/// Text that is no behaviour, and what would be one.
#[derive(Clone, PartialEq, Eq, Error)]
#[error("behaviour {0}")]
pub struct BehaviourError(String);

crate::error_text::debug_is_the_sentence!(BehaviourError);

impl FromStr for Behaviour {
    type Err = BehaviourError;

    /// `swimring`, `upstream`, or either followed by items that are to be the other's: `swimring+late_nacks`,
    /// `upstream-late_nacks-no_reconnects`.
    fn from_str(text: &str) -> Result<Behaviour, BehaviourError> {
        let refused = |expected: String| Err(BehaviourError(expected));
        let end = text.find(['+', '-']).unwrap_or(text.len());
        let mut behaviour = match &text[..end] {
            "swimring" => Behaviour::swimring(),
            "upstream" => Behaviour::upstream(),
            other => return refused(format!("has to begin with swimring or upstream, not {other:?}")),
        };
        let mut rest = &text[end..];
        while let Some(sign) = rest.chars().next() {
            let name = &rest[1..];
            let name = &name[..name.find(['+', '-']).unwrap_or(name.len())];
            if !behaviour.set(name, sign == '+') {
                let known: Vec<&str> = Behaviour::ITEMS.iter().map(|(name, ..)| *name).collect();
                return refused(format!("has no item {name:?}; it has {}", known.join(", ")));
            }
            rest = &rest[1 + name.len()..];
        }
        Ok(behaviour)
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.items().count() * 2 > Behaviour::ITEMS.len() {
            f.write_str("upstream")?;
            let missing = |name: &&str| !self.items().any(|item| item == *name);
            return Behaviour::ITEMS
                .iter()
                .map(|(name, ..)| *name)
                .filter(|name| missing(name))
                .try_for_each(|name| write!(f, "-{name}"));
        }
        f.write_str("swimring")?;
        self.items().try_for_each(|name| write!(f, "+{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_item_at_a_time_is_said_and_read_back() {
        assert_eq!("swimring".parse(), Ok(Behaviour::swimring()));
        assert_eq!("upstream".parse(), Ok(Behaviour::upstream()));
        for (name, place, what) in Behaviour::ITEMS {
            assert!(place.contains(": ") && !what.is_empty(), "{name}");
            let mut one = Behaviour::swimring();
            assert!(one.set(name, true) && one != Behaviour::swimring());
            assert_eq!(one.to_string(), format!("swimring+{name}"));
            assert_eq!(one.to_string().parse(), Ok(one));
            let mut all_but_one = Behaviour::upstream();
            all_but_one.set(name, false);
            assert_eq!(all_but_one.to_string(), format!("upstream-{name}"));
            assert_eq!(all_but_one.to_string().parse(), Ok(all_but_one));
        }
        let two = "upstream-late_nacks-no_reconnects".parse::<Behaviour>().unwrap();
        assert!(!two.late_nacks && !two.no_reconnects && two.probe_when_free);
        assert_eq!(two.to_string(), "upstream-late_nacks-no_reconnects");
    }

    #[test]
    fn what_is_unknown_is_refused_in_a_sentence() {
        let text = "memberlist".parse::<Behaviour>().unwrap_err().to_string();
        assert_eq!(text, "behaviour has to begin with swimring or upstream, not \"memberlist\"");
        let text = "swimring+nacks".parse::<Behaviour>().unwrap_err().to_string();
        assert!(text.starts_with("behaviour has no item \"nacks\"; it has probe_when_free, "), "{text}");
    }
}
