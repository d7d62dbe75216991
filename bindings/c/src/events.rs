//! What happens: events, and what other members' applications send to this one.

use std::ffi::{CString, c_char};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use swimring::{ClusterEvent, Events, MemberInfo, Question};

use crate::bytes::bytes_of;
use crate::cluster::SwimringCluster;
use crate::error::{SWIMRING_ENDED, SWIMRING_OK, SWIMRING_TIMEOUT, boxed, code, fail, live, text};

/// What kind of thing has happened.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum SwimringEventKind {
    /// A member is new, or back.
    Joined,
    /// A member changed its metadata or address.
    Updated,
    /// A live member has started anew.
    Restarted,
    /// A member is suspected; it still counts as live.
    Suspected,
    /// A suspected member is alive after all.
    Recovered,
    /// A member was declared dead.
    Failed,
    /// A member said goodbye.
    Left,
    /// A member that had failed or left is forgotten.
    Reaped,
    /// A user event: `name` and `payload`, from `member` where that is known.
    User,
    /// A message to this member alone: `payload`, from `member`.
    Message,
    /// A question to this member: `payload`, from `member`; `swimring_event_reply` answers it.
    Question,
    /// Others suspected this member, and it refuted.
    Accused,
    /// Others cannot reach this member at its address.
    Unreachable,
    /// Another process has this member's name.
    NameConflict,
    /// A member that is not in the view was refused, and stays out of it.
    NotAdmitted,
    /// So many events were lost to this subscription as `lost` says: look at the members again.
    Lagged,
    /// Something that later releases tell of.
    Other,
}

/// Something that happened.
pub struct SwimringEvent {
    kind: SwimringEventKind,
    member: CString,
    address: CString,
    name: CString,
    payload: Vec<u8>,
    lost: u64,
    question: Option<Question>,
}

impl SwimringEvent {
    fn new(kind: SwimringEventKind) -> SwimringEvent {
        let (member, address, name) = Default::default();
        SwimringEvent { kind, member, address, name, payload: Vec::new(), lost: 0, question: None }
    }

    fn about(kind: SwimringEventKind, member: &MemberInfo) -> SwimringEvent {
        let (name, address) = (text(&*member.name), text(member.address.to_string()));
        SwimringEvent { member: name, address, ..SwimringEvent::new(kind) }
    }

    fn of(event: ClusterEvent) -> SwimringEvent {
        use SwimringEventKind as Kind;
        match event {
            ClusterEvent::Joined(member) => SwimringEvent::about(Kind::Joined, &member),
            ClusterEvent::Updated(member) => SwimringEvent::about(Kind::Updated, &member),
            ClusterEvent::Restarted(member) => SwimringEvent::about(Kind::Restarted, &member),
            ClusterEvent::Suspected { member, .. } => SwimringEvent::about(Kind::Suspected, &member),
            ClusterEvent::Recovered { member, .. } => SwimringEvent::about(Kind::Recovered, &member),
            ClusterEvent::Failed { member, .. } => SwimringEvent::about(Kind::Failed, &member),
            ClusterEvent::Left(member) => SwimringEvent::about(Kind::Left, &member),
            ClusterEvent::Reaped { name } => {
                SwimringEvent { member: text(&*name), ..SwimringEvent::new(Kind::Reaped) }
            }
            ClusterEvent::User(event) => SwimringEvent {
                member: text(event.origin.as_deref().unwrap_or_default()),
                name: text(&*event.name),
                payload: event.payload.to_vec(),
                ..SwimringEvent::new(Kind::User)
            },
            ClusterEvent::Message(message) => SwimringEvent {
                member: text(&*message.from),
                payload: message.payload.to_vec(),
                ..SwimringEvent::new(Kind::Message)
            },
            ClusterEvent::Question(question) => SwimringEvent {
                member: text(question.from()),
                payload: question.payload().to_vec(),
                question: Some(question),
                ..SwimringEvent::new(Kind::Question)
            },
            ClusterEvent::Accused => SwimringEvent::new(Kind::Accused),
            ClusterEvent::Unreachable { address } => {
                SwimringEvent { address: text(address.to_string()), ..SwimringEvent::new(Kind::Unreachable) }
            }
            ClusterEvent::NameConflict { address } => {
                SwimringEvent { address: text(address.to_string()), ..SwimringEvent::new(Kind::NameConflict) }
            }
            ClusterEvent::NotAdmitted { candidate, .. } => SwimringEvent {
                member: text(&*candidate.name),
                address: text(candidate.address.to_string()),
                ..SwimringEvent::new(Kind::NotAdmitted)
            },
            ClusterEvent::Lagged(lost) => SwimringEvent { lost, ..SwimringEvent::new(Kind::Lagged) },
            _ => SwimringEvent::new(Kind::Other),
        }
    }
}

/// A subscription to what happens.
pub struct SwimringEvents(Events);

/// Subscribes to what happens from now on. Whoever does not keep up loses events, and is told how many. NULL if it cannot be.
///
/// # Safety
/// `cluster` was returned by `swimring_start` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_subscribe(cluster: *const SwimringCluster) -> *mut SwimringEvents {
    // SAFETY: as the caller promises.
    let cluster = unsafe { live(cluster, "cluster") };
    let events = cluster.and_then(|cluster| cluster.cluster.subscribe().map_err(|error| error.to_string()));
    boxed(events.map(SwimringEvents))
}

/// Waits for the next event, no longer than `timeout_ms`, and puts it into `event`, to be freed with
/// `swimring_event_free`. SWIMRING_TIMEOUT if none has come, SWIMRING_ENDED if none will.
///
/// # Safety
/// `events` was returned by `swimring_subscribe`, not freed, and is used by no other thread meanwhile; `event` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_events_next(
    events: *mut SwimringEvents,
    timeout_ms: u32,
    event: *mut *mut SwimringEvent,
) -> i32 {
    // SAFETY: as the caller promises.
    let (Some(events), Some(event)) = (unsafe { events.as_mut() }, unsafe { event.as_mut() }) else {
        return fail("events or event is NULL");
    };
    match events.0.recv_timeout(Duration::from_millis(timeout_ms.into())) {
        Ok(happened) => {
            *event = Box::into_raw(Box::new(SwimringEvent::of(happened)));
            SWIMRING_OK
        }
        Err(RecvTimeoutError::Timeout) => SWIMRING_TIMEOUT,
        Err(RecvTimeoutError::Disconnected) => SWIMRING_ENDED,
    }
}

/// Ends a subscription.
///
/// # Safety
/// `events` is NULL or was returned by `swimring_subscribe` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_events_free(events: *mut SwimringEvents) {
    if !events.is_null() {
        // SAFETY: as the caller promises, it was made with `Box::into_raw`.
        drop(unsafe { Box::from_raw(events) });
    }
}

/// What kind of thing has happened.
///
/// # Safety
/// `event` was returned by `swimring_events_next` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_event_kind(event: *const SwimringEvent) -> SwimringEventKind {
    // SAFETY: as the caller promises.
    unsafe { live(event, "event") }.map_or(SwimringEventKind::Other, |event| event.kind)
}

/// The member that it is about, or that it comes from; empty if there is none. Valid until the event is freed.
///
/// # Safety
/// `event` was returned by `swimring_events_next` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_event_member(event: *const SwimringEvent) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { live(event, "event") }.map_or(std::ptr::null(), |event| event.member.as_ptr())
}

/// The address that it is about; empty if there is none. Valid until the event is freed.
///
/// # Safety
/// `event` was returned by `swimring_events_next` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_event_address(event: *const SwimringEvent) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { live(event, "event") }.map_or(std::ptr::null(), |event| event.address.as_ptr())
}

/// The name of a user event; empty otherwise. Valid until the event is freed.
///
/// # Safety
/// `event` was returned by `swimring_events_next` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_event_name(event: *const SwimringEvent) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { live(event, "event") }.map_or(std::ptr::null(), |event| event.name.as_ptr())
}

/// The payload, and how many bytes it has in `len`. Valid until the event is freed.
///
/// # Safety
/// `event` was returned by `swimring_events_next` and not freed; `len` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_event_payload(event: *const SwimringEvent, len: *mut usize) -> *const u8 {
    // SAFETY: as the caller promises.
    let (event, len) = unsafe { (live(event, "event"), len.as_mut()) };
    let payload = event.map_or(&[][..], |event| &event.payload[..]);
    if let Some(len) = len {
        *len = payload.len();
    }
    payload.as_ptr()
}

/// How many events were lost, for an event of that kind; 0 otherwise.
///
/// # Safety
/// `event` was returned by `swimring_events_next` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_event_lost(event: *const SwimringEvent) -> u64 {
    // SAFETY: as the caller promises.
    unsafe { live(event, "event") }.map_or(0, |event| event.lost)
}

/// Replies to a question, with up to 512 KiB. Returns once the reply is on its way.
///
/// # Safety
/// `event` was returned by `swimring_events_next` and not freed; `payload` leads to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_event_reply(
    event: *const SwimringEvent,
    payload: *const u8,
    len: usize,
) -> i32 {
    // SAFETY: as the caller promises.
    let (event, payload) = unsafe { (live(event, "event"), bytes_of(payload, len)) };
    code(event.and_then(|event| {
        let question = event.question.as_ref().ok_or("the event is no question")?;
        question.reply(payload?.to_vec()).map(drop).map_err(|error| error.to_string())
    }))
}

/// Frees an event.
///
/// # Safety
/// `event` is NULL or was returned by `swimring_events_next` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_event_free(event: *mut SwimringEvent) {
    if !event.is_null() {
        // SAFETY: as the caller promises, it was made with `Box::into_raw`.
        drop(unsafe { Box::from_raw(event) });
    }
}
