//! What is asked of the member: each request once, as a future. [`Cluster`](super::Cluster) waits for it on the
//! calling thread, [`AsyncCluster`](super::AsyncCluster) hands it out.
//!
//! A request is on its way to the member's thread with its first poll. To drop the future afterwards gives up the
//! answer, not the request.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use swimring_codec::memberlist::{KeyError, Keyring};
use swimring_codec::native::{DIRECT_STREAM_MAX, DirectRole};
use swimring_codec::{MemberId, State};

use super::detail::MemberDetail;
use super::error::ClusterError;
use super::event::{ClusterEvent, MemberInfo};
use super::lossy_channel::lossy_channel;
use super::mailbox::Order;
use super::message::SentMessage;
use super::sent_event::SentEvent;
use super::shared::{LOCAL, Shared};
use super::state::{StateEntry, Whose};
use super::state_watch::StateWatch;
use super::subscription::Events;
use super::view::{RawView, owned};
use crate::protocol::{Member, MemberError, SharedState, StateError, check_event};
use crate::worker::QueueRefusal;

/// The members in a state that `wanted` accepts, sorted by name.
pub(super) async fn members(
    shared: &Shared,
    wanted: fn(State) -> bool,
) -> Result<Vec<MemberInfo>, ClusterError> {
    let view = of_member(shared, move |member, state| RawView::of(member, state, wanted)).await?;
    Ok(view.into_members())
}

/// The member called `name`.
pub(super) async fn member(shared: &Shared, name: &str) -> Result<Option<MemberInfo>, ClusterError> {
    let id = MemberId::of_name(name);
    let find = move |member: &Member, state: &SharedState| {
        let index = state.directory().find(id)?;
        member.member(index, state).map(|known| owned(&known))
    };
    of_member(shared, find).await
}

/// The member itself.
pub(super) async fn local(shared: &Shared) -> Result<MemberInfo, ClusterError> {
    let own = |member: &Member, state: &SharedState| {
        member.member(member.index(), state).map(|known| owned(&known))
    };
    of_member(shared, own).await?.ok_or(ClusterError::Stopped)
}

/// What is known of the member called `name`.
pub(super) async fn detail(shared: &Shared, name: &str) -> Result<Option<MemberDetail>, ClusterError> {
    let id = MemberId::of_name(name);
    let seen = shared.ask(move |host, _| {
        let (member, now) = (host.member(LOCAL)?, host.now());
        Some(host.observer.detail(now, member, host.shared(), id))
    });
    seen.await?.ok_or(ClusterError::Stopped)
}

/// What is known of the live members, sorted by name.
pub(super) async fn details(shared: &Shared) -> Result<Vec<MemberDetail>, ClusterError> {
    let seen = shared.ask(move |host, _| {
        let (member, state, now) = (host.member(LOCAL)?, host.shared(), host.now());
        let live = member.members(state).filter(|known| known.state.is_live());
        let ids = live.map(|known| state.directory().id(known.index));
        Some(ids.filter_map(|id| host.observer.detail(now, member, state, id)).collect::<Vec<_>>())
    });
    let mut details = seen.await?.ok_or(ClusterError::Stopped)?;
    details.sort_unstable_by(|one, other| one.member.name.cmp(&other.member.name));
    Ok(details)
}

/// What `look` finds in the member.
pub(super) async fn of_member<R: Send + 'static>(
    shared: &Shared,
    look: impl FnOnce(&Member, &SharedState) -> R + Send + 'static,
) -> Result<R, ClusterError> {
    let seen = shared.ask(move |host, _| Some(look(host.member(LOCAL)?, host.shared()))).await?;
    seen.ok_or(ClusterError::Stopped)
}

/// Events from now on.
pub(super) async fn subscribe(shared: &Shared) -> Result<Events, ClusterError> {
    Ok(shared.subscribe(|_| ()).await?.1)
}

/// The live members, and the events from exactly then on.
pub(super) async fn watch(shared: &Shared) -> Result<(Vec<MemberInfo>, Events), ClusterError> {
    let (view, events) = shared
        .subscribe(|host| {
            host.member(LOCAL).map(|member| RawView::of(member, host.shared(), |state| state.is_live()))
        })
        .await?;
    Ok((view.ok_or(ClusterError::Stopped)?.into_members(), events))
}

/// Sends a user event.
pub(super) async fn send_event(
    shared: &Shared,
    name: &str,
    payload: &[u8],
) -> Result<SentEvent, ClusterError> {
    // Before anything is copied.
    check_event(name, payload)?;
    let (name, payload) = (name.to_owned(), payload.to_vec());
    let sent = shared.ask(move |host, trains| {
        if !host.observer.awaited.has_room() {
            return Some(Err(ClusterError::Busy));
        }
        let sent = host.command(LOCAL, trains, |member, now, state, out| {
            member.send_event(now, &name, &payload, state, out)
        })?;
        Some(sent.map(|sequence| host.observer.awaited.sent(sequence)).map_err(ClusterError::from))
    });
    sent.await?.ok_or(ClusterError::Stopped)?
}

/// Publishes new metadata.
pub(super) async fn update_metadata(shared: &Shared, metadata: Vec<u8>) -> Result<(), ClusterError> {
    let updated = shared.ask(move |host, trains| {
        let updated = host.command(LOCAL, trains, |member, now, state, out| {
            member.update_metadata(now, &metadata, state, out)?;
            Ok(member.member(member.index(), state).map(|own| owned(&own)))
        })?;
        Some(updated.map(|own| own.map(|own| host.observer.publish(ClusterEvent::Updated(own)))))
    });
    updated.await?.ok_or(ClusterError::Stopped)?.map_err(|error: MemberError| error.into()).map(drop)
}

/// Sets a key of shared state, if its version is as `expected`, where something is.
pub(super) async fn set_state(
    shared: &Shared,
    whose: Whose,
    key: &str,
    value: Bytes,
    expected: Option<Option<u64>>,
) -> Result<u64, ClusterError> {
    let version = change_state(shared, whose, key, Some(value), expected).await?;
    // A value that is set has a version.
    Ok(version.unwrap_or_default())
}

/// Deletes a key of shared state. False if it has no value.
pub(super) async fn delete_state(shared: &Shared, whose: Whose, key: &str) -> Result<bool, ClusterError> {
    Ok(change_state(shared, whose, key, None, None).await?.is_some())
}

async fn change_state(
    shared: &Shared,
    whose: Whose,
    key: &str,
    value: Option<Bytes>,
    expected: Option<Option<u64>>,
) -> Result<Option<u64>, ClusterError> {
    let key: Arc<str> = key.into();
    let changed = shared.ask(move |host, trains| {
        host.command(LOCAL, trains, |member, now, state, out| {
            let owner = if whose == Whose::Own { member.id() } else { MemberId::NONE };
            let version = member.state_value(owner, &key).map(|value| value.version);
            if expected.is_some_and(|expected| expected != version) {
                return Err(StateError::Changed { version });
            }
            member.change_state(now, owner, &key, value, state, out)
        })
    });
    Ok(changed.await?.ok_or(ClusterError::Stopped)??)
}

/// A key of the map of `owner`, or of the cluster.
pub(super) async fn get_state(
    shared: &Shared,
    owner: MemberId,
    key: &str,
) -> Result<Option<StateEntry>, ClusterError> {
    let key: Arc<str> = key.into();
    let find = move |member: &Member, state: &SharedState| {
        StateEntry::of(state, owner, &key, &member.state_value(owner, &key)?)
    };
    of_member(shared, find).await
}

/// All keys that begin with `prefix`.
pub(super) async fn list_state(shared: &Shared, prefix: &str) -> Result<Vec<StateEntry>, ClusterError> {
    let prefix = prefix.to_owned();
    of_member(shared, move |member, state| entries(member, state, &prefix)).await
}

fn entries(member: &Member, state: &SharedState, prefix: &str) -> Vec<StateEntry> {
    let owners = std::iter::once(MemberId::NONE).chain(member.state_owners());
    let entries = owners.flat_map(|owner| {
        let entries = member.state_entries(owner, prefix).into_iter();
        entries.filter_map(move |(key, value)| StateEntry::of(state, owner, &key, &value))
    });
    entries.collect()
}

/// All keys that begin with `prefix`, and their changes from exactly then on.
pub(super) async fn watch_state(
    shared: &Shared,
    prefix: &str,
) -> Result<(Vec<StateEntry>, StateWatch), ClusterError> {
    let (sender, receiver) = lossy_channel(shared.events_queued_max);
    let prefix = prefix.to_owned();
    let watched = shared.ask(move |host, _| {
        let seen = entries(host.member(LOCAL)?, host.shared(), &prefix);
        Some(host.observer.watchers.add(prefix, sender).then_some(seen))
    });
    let watched = watched.await?.ok_or(ClusterError::Stopped)?;
    let seen = watched.ok_or(ClusterError::TooManySubscribers(super::dispatcher::SUBSCRIBERS_MAX))?;
    Ok((seen, StateWatch::new(receiver)))
}

/// From sending a direct message over a stream to giving it up.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends a direct message in a datagram.
pub(super) async fn send(shared: &Shared, to: &str, payload: &[u8]) -> Result<(), ClusterError> {
    let (to, payload) = (MemberId::of_name(to), payload.to_vec());
    let sent = shared.ask(move |host, trains| {
        host.command(LOCAL, trains, |member, now, state, out| {
            member.send_direct(now, to, &payload, state, out)
        })
    });
    Ok(sent.await?.ok_or(ClusterError::Stopped)??)
}

/// What is sent over a stream.
#[derive(Clone)]
enum Errand {
    Message,
    Question,
    Reply(u64),
}

/// Sends over a stream, and waits for room if `patient`.
async fn send_over_stream(
    shared: &Shared,
    to: MemberId,
    (errand, timeout, patient): (Errand, Duration, bool),
    payload: Bytes,
) -> Result<SentMessage, ClusterError> {
    if payload.len() > DIRECT_STREAM_MAX {
        return Err(MemberError::MessageTooLong(payload.len()).into());
    }
    loop {
        let (room, mut has_room) = lossy_channel(1);
        let (errand, payload) = (errand.clone(), payload.clone());
        let sent = shared.ask(move |host, _| {
            let ticket = host.observer.messages.next_ticket();
            let role = match errand {
                Errand::Message => DirectRole::Message,
                Errand::Question => DirectRole::Question(ticket),
                Errand::Reply(number) => DirectRole::Reply(number),
            };
            // Before: it may end at once.
            let sent = host.observer.messages.sent(ticket);
            match host.send_message(to, (ticket, role, timeout), payload.to_vec()) {
                Ok(()) => Ok(Some(sent)),
                Err(QueueRefusal::Full) if patient => {
                    host.observer.messages.forget(ticket);
                    let waits = host.observer.messages.await_room(room);
                    if waits { Ok(None) } else { Err(ClusterError::QueueFull) }
                }
                Err(refusal) => {
                    host.observer.messages.forget(ticket);
                    Err(refusal.into())
                }
            }
        });
        match sent.await?? {
            Some(sent) => return Ok(sent),
            // Nothing is sent when the member stops: then the next try says so.
            None => drop(poll_fn(|cx| has_room.poll_recv(cx)).await),
        }
    }
}

/// Sends a direct message over a stream.
pub(super) async fn send_reliable(
    shared: &Shared,
    to: &str,
    payload: Bytes,
    patient: bool,
) -> Result<SentMessage, ClusterError> {
    let how = (Errand::Message, MESSAGE_TIMEOUT, patient);
    send_over_stream(shared, MemberId::of_name(to), how, payload).await
}

/// Replies to the question `number` of `asker`.
pub(super) async fn reply(
    shared: &Shared,
    asker: MemberId,
    number: u64,
    payload: Bytes,
) -> Result<SentMessage, ClusterError> {
    let how = (Errand::Reply(number), MESSAGE_TIMEOUT, false);
    send_over_stream(shared, asker, how, payload).await
}

/// Asks a member something, and waits for its reply.
pub(super) async fn ask(
    shared: &Shared,
    to: &str,
    payload: Bytes,
    timeout: Duration,
    patient: bool,
) -> Result<Bytes, ClusterError> {
    let how = (Errand::Question, timeout, patient);
    send_over_stream(shared, MemberId::of_name(to), how, payload).await?.reply().await
}

/// Changes the keys that packets and streams are sealed with.
pub(super) async fn change_keys(
    shared: &Shared,
    change: impl Fn(&mut Keyring) -> Result<(), KeyError> + Send + 'static,
) -> Result<(), ClusterError> {
    let changed =
        shared.ask(
            move |host, _| {
                if host.encrypts() { host.change_keys(change) } else { Err(KeyError::NotEncrypted) }
            },
        );
    changed.await?.map_err(ClusterError::Key)
}

/// Waits until what has been said by now is in the snapshot.
pub(super) async fn flush_snapshot(shared: &Shared) -> Result<(), ClusterError> {
    let snapshot = shared.snapshot.as_ref();
    let snapshot = snapshot
        .ok_or_else(|| ClusterError::setting("snapshot_path", "has to be set for there to be a snapshot"))?;
    let mut written = snapshot.write()?;
    poll_fn(|cx| written.poll_recv(cx)).await.unwrap_or(Err(ClusterError::Stopped))
}

/// Shuts the member down.
pub(super) async fn shutdown(shared: &Shared) {
    let (sender, mut receiver) = lossy_channel(1);
    shared.close();
    shared.mailbox.post(Order::Shutdown(sender));
    // Nothing is ever sent: the other end is dropped when the port is free.
    poll_fn(|cx| receiver.poll_recv(cx)).await;
    // Left to do where the background thread panicked.
    shared.stop();
}
