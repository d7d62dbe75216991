//! Log lines for what happens in the cluster: one for each change, with what led to it, so that an
//! operator can explain a flap from this member's log alone. Nothing is logged per packet.

use super::event::{ClusterEvent, MemberInfo, Suspicion};

/// Most lines in a second. A whole cluster that joins or fails at once is worth a few lines, not
/// thousands; the rest is counted in one.
const LINES_PER_SECOND: u32 = 100;

/// Writes the lines of one member.
pub(super) struct Log {
    /// Name of the member whose log this is.
    local: std::sync::Arc<str>,
    left: u32,
    unwritten: u64,
}

impl Log {
    pub(super) fn new(local: std::sync::Arc<str>) -> Log {
        Log { local, left: LINES_PER_SECOND, unwritten: 0 }
    }

    /// A second has passed.
    pub(super) fn tick(&mut self) {
        self.left = LINES_PER_SECOND;
        let unwritten = std::mem::take(&mut self.unwritten);
        if unwritten > 0 {
            tracing::info!(
                local = &*self.local,
                changes = unwritten,
                "more changes than are logged one by one"
            );
        }
    }

    /// Writes the line of `event`.
    pub(super) fn event(&mut self, event: &ClusterEvent) {
        if let ClusterEvent::Lagged(lost) = event {
            self.unwritten += lost;
            return;
        }
        if self.left == 0 {
            self.unwritten += 1;
            return;
        }
        self.left -= 1;
        match event {
            ClusterEvent::Joined(member) => self.member("member joined", member),
            ClusterEvent::Updated(member) => self.member("member updated", member),
            ClusterEvent::Restarted(member) => self.member("member restarted", member),
            ClusterEvent::Left(member) => self.member("member left", member),
            ClusterEvent::Suspected { member, accuser } => {
                let (name, incarnation) = (&*member.name, member.incarnation.get());
                tracing::info!(local = &*self.local, member = name, incarnation, %accuser, "member suspected");
            }
            ClusterEvent::Recovered { member, suspicion } => {
                self.suspected("member recovered: it refuted", member, suspicion);
            }
            ClusterEvent::Failed { member, suspicion: Some(suspicion), declared_here } => {
                let what = if *declared_here {
                    "member failed: it did not refute in time"
                } else {
                    "member failed: another member's suspicion ran out first"
                };
                self.suspected(what, member, suspicion);
            }
            ClusterEvent::Failed { member, suspicion: None, .. } => {
                self.member("member failed: others suspected it and it did not refute in time", member);
            }
            ClusterEvent::Reaped { name } => {
                tracing::info!(local = &*self.local, member = &**name, "member reaped");
            }
            ClusterEvent::NotAdmitted { candidate, reason } => tracing::warn!(
                local = &*self.local, candidate = &*candidate.name, address = %candidate.address,
                "a member was not admitted: {reason}"
            ),
            ClusterEvent::Accused => {
                tracing::info!(local = &*self.local, "others suspected this member, and it refuted");
            }
            ClusterEvent::Unreachable { address } => tracing::warn!(
                local = &*self.local, %address,
                "others cannot reach this member at the address it announces: its own pings are answered, and \
                 nobody's arrive; check `advertise`, and firewalls on the way"
            ),
            ClusterEvent::NameConflict { address } => tracing::warn!(
                local = &*self.local, %address,
                "another process has this member's name: names have to be unique in a cluster"
            ),
            ClusterEvent::User(_)
            | ClusterEvent::Message(_)
            | ClusterEvent::Question(_)
            | ClusterEvent::Lagged(_) => {}
        }
    }

    fn member(&self, what: &'static str, member: &MemberInfo) {
        let (name, incarnation) = (&*member.name, member.incarnation.get());
        tracing::info!(local = &*self.local, member = name, address = %member.address, incarnation, "{what}");
    }

    fn suspected(&self, what: &'static str, member: &MemberInfo, suspicion: &Suspicion) {
        let (name, incarnation) = (&*member.name, member.incarnation.get());
        tracing::info!(
            local = &*self.local, member = name, address = %member.address, incarnation,
            accuser = %suspicion.accuser, suspected_ms = suspicion.lasted.as_millis() as u64,
            confirmations = suspicion.confirmations, "{what}"
        );
    }
}
