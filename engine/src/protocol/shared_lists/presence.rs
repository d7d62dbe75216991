//! Presence: what the kernel of a silent member's host says of it.
//!
//! For its first seconds a member that has crashed and one that merely stands still (stopped, swapped out, starved of its
//! CPU) are equally silent. But a connection is accepted by the host's kernel and not by the process, up to the
//! listener's backlog: while the process stands still the handshake of a fallback probe is completed and nothing follows;
//! once the process is gone the kernel refuses it; and if the host is gone, or nothing reaches it, there is neither.
//! Where other members live on in the process of one that is gone, the process answers in the kernel's place that it
//! does not live there.
//!
//! Adaptive suspicion (`detection/adaptive.rs`) asks for this before it is quick. A host that is paused as a whole, and
//! comes back, cannot be told from one that has crashed.

/// What a probe over a stream has shown of a member that did not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::protocol) enum Presence {
    /// Nothing: there is no connection, and no refusal.
    #[default]
    Unknown,
    /// Its host took the connection: the process is there, and slow.
    Silent,
    /// Its host refused the connection, or says that the member does not live there.
    Gone,
}

impl Presence {
    /// What is known after `newer` was found out.
    pub(in crate::protocol) fn then(self, newer: Presence) -> Presence {
        if newer == Presence::Unknown { self } else { newer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_out_last_counts_and_finding_nothing_out_does_not() {
        for (before, newer, after) in [
            (Presence::Unknown, Presence::Silent, Presence::Silent),
            (Presence::Silent, Presence::Gone, Presence::Gone),
            (Presence::Gone, Presence::Silent, Presence::Silent),
            (Presence::Silent, Presence::Unknown, Presence::Silent),
        ] {
            assert_eq!(before.then(newer), after);
        }
    }
}
