//! What the protocol counts: everything it sheds, refuses or does, by name.

use crate::protocol::wire::Unusable;

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident),* $(,)?) => {
        /// Counters of the protocol, summed over the members that share a [`super::SharedState`].
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters { $($(#[doc = $doc])* pub $name: u64,)* }

        impl Counters {
            /// Every counter with its name, in order of declaration.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }

            /// Every counter's name and what it counts, in order of declaration.
            pub const DESCRIPTIONS: &[(&str, &str)] = &[$((stringify!($name), concat!($($doc),*))),*];

            /// Adds `other` to this.
            pub fn add(&mut self, other: &Counters) {
                $(self.$name += other.$name;)*
            }

            /// What was counted since `earlier`.
            pub fn since(&self, earlier: &Counters) -> Counters {
                Counters { $($name: self.$name - earlier.$name,)* }
            }
        }
    };
}

counters! {
    /// Frames handled.
    frames_received,
    /// Frames written.
    frames_sent,
    /// Frames not written because the sink was full.
    frames_shed,
    /// Frames of another cluster.
    frames_foreign,
    /// Frames and stream messages that could not be decoded, of any kind.
    decode_errors,
    /// Probes begun.
    probes_sent,
    /// Of those, probes that returned another member's ping, with adaptive suspicion.
    probes_returned,
    /// Probes of the members beside us in the order of ids, after many deaths at once.
    neighbours_probed,
    /// Pings that will not be returned because too many are waiting for that.
    watches_shed,
    /// Probes answered directly.
    probes_acked,
    /// Probes answered through another member.
    probes_acked_indirectly,
    /// Probes answered over a stream only.
    probes_acked_by_stream,
    /// Probes nobody answered.
    probes_failed,
    /// Of the failed probes, those whose target's host took a connection on which nothing was answered: a member that
    /// stands still.
    probes_silent,
    /// Of the failed probes, those whose target's host refused the connection, or said that the target does not live
    /// there: a member that is gone.
    probes_refused,
    /// Of the failed probes, those that proved nothing because the driver had lost or left unread what others
    /// sent meanwhile, and were repeated.
    probes_inconclusive,
    /// Indirect pings sent.
    indirect_pings_sent,
    /// Indirect pings passed on for others.
    relays_started,
    /// Indirect pings refused because too many were under way.
    relays_shed,
    /// Nacks sent.
    nacks_sent,
    /// Acks to nothing that was asked, or too late.
    acks_unexpected,
    /// Suspicions begun.
    suspicions_started,
    /// Independent confirmations of a suspicion.
    suspicions_confirmed,
    /// Suspicions refuted.
    suspicions_refuted,
    /// Suspicions whose subject we had probed in vain ourselves, with adaptive suspicion.
    suspicions_witnessed,
    /// Suspects that were probed out of turn because nothing more was heard of them.
    suspicions_checked,
    /// Times a suspect was told and asked directly by a member that had probed it in vain.
    appeals_sent,
    /// Such suspects that answered.
    appeals_answered,
    /// Members declared dead at the end of an adaptive window.
    witnesses_declared,
    /// Suspicions not begun because too many were under way.
    suspicions_shed,
    /// Accusations against ourselves that were refuted.
    refutations,
    /// Accusations against ourselves while our own pings were answered and nobody's arrived: the address that we
    /// announce is wrong, or blocked.
    accused_unreachable,
    /// Accusations against ourselves left for later because too many came at once.
    refutations_deferred,
    /// Past accusations against ourselves that were answered by saying again that we live.
    restatements,
    /// Members declared dead.
    members_failed,
    /// Members added.
    members_joined,
    /// Members not added because the table was full.
    members_shed,
    /// Introductions of members in networks that are not allowed.
    candidates_outside,
    /// Members about which the application was asked whether they are admitted.
    candidates_asked,
    /// Of those, members that it admitted.
    candidates_admitted,
    /// Of those, members that it refused.
    candidates_refused,
    /// Of those, members about which it said nothing in time.
    candidates_unanswered,
    /// Answers that came after that.
    candidates_answered_late,
    /// Introductions of members about which the application is being asked, or which are refused for a while.
    candidates_repeated,
    /// Introductions of members about which the application was not asked because it was being asked about too many.
    candidates_shed,
    /// Updates about members we do not know.
    unknown_subject,
    /// Updates that raise an incarnation further than is plausible.
    implausible_incarnation,
    /// Alive updates of an address or metadata that we have not been told.
    missed_introduction,
    /// Introductions not kept because too many versions of one identity are about.
    versions_shed,
    /// Introductions not kept because their members are in a zone that would be one too many.
    zones_shed,
    /// Claims by someone else to be us.
    name_conflicts,
    /// Introductions of live members from another address than theirs, refused as memberlist's peers do.
    address_conflicts,
    /// Claims of members about themselves whose signatures were right.
    identities_verified,
    /// Claims dropped because they had no signature, where members have identities.
    identities_unsigned,
    /// Claims dropped because their signatures were wrong.
    identities_forged,
    /// Introductions and keys of the cluster dropped because their names belong to other keys.
    identities_key_changed,
    /// Introductions and keys of the cluster dropped because their keys, with their names, are not admitted.
    identities_not_admitted,
    /// Claims dropped without a look because too many signatures were wrong in this second.
    identities_shed,
    /// Members told that someone else claims their name, on memberlist's wire.
    conflicts_told,
    /// Introductions that said something else of a live member in the incarnation in which it was held.
    lives_clashed,
    /// Times that a member said goodbye for its last life, which had another address, on memberlist's wire.
    past_lives_left,
    /// Pings for someone else who had our address, not answered.
    pings_misdirected,
    /// User messages not kept because they are longer than a packet.
    user_messages_too_long,
    /// User messages of a kind that is not for us.
    user_messages_ignored,
    /// Updates and user events delegated, every copy counted, those that were sent again too.
    delegations_sent,
    /// Frames that they were sent in.
    delegation_frames_sent,
    /// Times that a member had sent so many frames with delegations that the next were spaced further apart.
    delegations_spaced,
    /// Deaths that were held back while the driver was behind in reading, every copy counted.
    delegations_held,
    /// Of the copies, those sent to a member in another zone.
    delegations_crossed,
    /// Of all, copies sent again because no acknowledgement came in time.
    delegations_retried,
    /// Delegations given up after every attempt: who was meant is left to repair.
    delegations_given_up,
    /// Delegations dropped because something newer is told, or nobody is there to be told.
    delegations_dropped,
    /// Delegations not begun because too many were under way.
    delegations_shed,
    /// Frames with delegations that were acknowledged.
    delegations_acknowledged,
    /// Acknowledgements sent to who delegated something to us.
    delegation_acks_sent,
    /// Acknowledgements of nothing that is under way, or too late.
    delegation_acks_unexpected,
    /// Broadcasts queued.
    broadcasts_queued,
    /// Broadcasts sent, every copy counted.
    broadcast_copies_sent,
    /// Broadcasts dropped from a full queue.
    broadcasts_shed,
    /// Gossip rounds put off because the driver could not keep up.
    gossip_deferred,
    /// User events delivered, our own not among them.
    events_delivered,
    /// Copies of user events that were known already.
    events_repeated,
    /// User events not delivered because too many were remembered.
    events_shed,
    /// User events no longer told, or not repaired, because somebody may have forgotten them.
    events_expired,
    /// User events of our own refused because members were behind with those that were told.
    events_refused,
    /// Members asked what user events they know because roots had differed for a while.
    event_questions_sent,
    /// Ids of user events told to members that know others.
    event_ids_sent,
    /// User events asked for because somebody knew them and we did not.
    events_wanted,
    /// User events sent to members that asked for them.
    events_resent,
    /// User events taken in that telling had left out.
    events_repaired,
    /// Of those, events not delivered because they are older than our membership.
    events_before_join,
    /// Frames to find or repair user events that were not sent because too many had been in that second.
    event_repairs_shed,
    /// Times that many who had joined at once were told of by the view of the member that they had joined through.
    views_offered,
    /// Times that a member that had joined itself had the one that it joined through tell of all that had joined through it.
    views_handed_over,
    /// Views that were to be had before others are told, and were not: told without.
    views_unfetched,
    /// Sketches of a view sent because roots had differed for a while.
    view_sketches_sent,
    /// Sketches received of views that differ from ours by more than they can tell.
    view_sketches_unread,
    /// Ranges of ids listed or summed because of such a sketch.
    view_ranges_sent,
    /// Entries asked for because another view had them and ours had not.
    view_entries_wanted,
    /// Entries sent to members whose views lacked them, accusations of members that they held alive among them.
    view_entries_sent,
    /// Frames to find or repair differences of views that were not sent because too many had been in that second.
    view_repairs_shed,
    /// Changes of shared state told, several in one, or by their version alone.
    state_changes_told,
    /// Changes of shared state not told for want of room for events: roots show them.
    state_changes_untold,
    /// Changes of others' shared state taken in.
    state_changes_received,
    /// Changes of others' shared state refused because they are beyond a bound.
    state_changes_refused,
    /// Changes of shared state that did not follow on what was there, or were told by their version alone: they are fetched.
    state_gaps,
    /// Times that a member was sent the roots of shared state.
    state_roots_sent,
    /// Exchanges of shared state begun on a stream.
    state_exchanges_begun,
    /// Exchanges of shared state answered.
    state_exchanges_answered,
    /// Direct messages sent in datagrams.
    direct_sent,
    /// Direct messages received in datagrams.
    direct_received,
    /// Direct messages dropped or refused because their sender is not held live.
    direct_strangers,
    /// Direct messages queued for a stream, questions and replies among them.
    direct_queued,
    /// Direct messages not queued because too many wait.
    direct_queue_full,
    /// Direct messages over streams that arrived, of questions those that were replied to.
    direct_delivered,
    /// Direct messages over streams that were given up, of questions those that were not replied to in time.
    direct_undelivered,
    /// Direct messages over streams that the application was given.
    direct_taken,
    /// Direct messages over streams refused because the application's queue was full or it subscribes to nothing.
    direct_refused,
    /// Direct messages over streams that had come before, and were answered again.
    direct_repeated,
    /// Push/pulls begun.
    push_pulls_started,
    /// Push/pulls that ended after the two roots.
    push_pulls_agreed,
    /// Push/pulls declined because news was under way, which roots differ by for a moment.
    push_pulls_declined,
    /// Records received in push/pulls.
    push_pull_records,
    /// Those of them that were known by their bytes, and not read.
    push_pull_records_passed,
    /// Times a member was told that its driver had lost time.
    stalls,
    /// Attempts to reach a dead or forgotten member.
    reconnects_tried,
    /// Base views made, of which members' views are differences.
    bases_made,
    /// Base views not made because too many were in use.
    bases_deferred,
    /// Times a member's view was moved to a newer base.
    views_rebased,
}

impl Counters {
    /// Counts a message that was not taken in.
    pub(in crate::protocol) fn unusable(&mut self, message: Unusable) {
        match message {
            Unusable::Undecodable => self.decode_errors += 1,
            Unusable::Misdirected => self.pings_misdirected += 1,
        }
    }
}
