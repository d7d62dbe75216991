//! A member: starting, joining, looking at the others, saying something to them, leaving.

use std::ffi::{CString, c_char, c_void};
use std::time::Duration;

use swimring::{Cluster, ClusterBuilder, ClusterError, ClusterOptions, MemberInfo, State};

use crate::admission::{Gate, SwimringAdmit};
use crate::bytes::{SwimringBytes, bytes_of, hand_over};
use crate::error::{boxed, code, fail, given, live, text};

/// A member of a cluster.
pub struct SwimringCluster {
    pub(crate) cluster: Cluster,
    name: CString,
    address: CString,
    /// Before the program's function that says who is admitted, if there is one.
    gate: Option<Gate>,
}

impl SwimringCluster {
    fn start(settings: &str, gate: Option<Gate>) -> Result<SwimringCluster, ClusterError> {
        let mut options = ClusterOptions::default();
        options.read_toml(settings)?;
        options.admission = gate.as_ref().map(Gate::hook);
        let cluster = ClusterBuilder::new().options(|chosen| *chosen = options).start()?;
        let (name, address) = (text(cluster.name()), text(cluster.address().to_string()));
        Ok(SwimringCluster { cluster, name, address, gate })
    }
}

/// Starts a member. `settings` is TOML, the same as a settings file: `name = "web-1"`, `bind = "10.0.0.1:7946"`,
/// `retry_join = ["seed:7946"]`; all keys are in docs/SETTINGS.md. NULL if it cannot start.
///
/// # Safety
/// `settings` is NULL or a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_start(settings: *const c_char) -> *mut SwimringCluster {
    // SAFETY: as the caller promises.
    let settings = unsafe { given(settings, "settings") };
    boxed(
        settings
            .and_then(|settings| SwimringCluster::start(settings, None).map_err(|error| error.to_string())),
    )
}

/// The same, with a function that is asked about every member that is not known before it is taken into the view: true admits it.
/// It is called on a thread of the library, one candidate at a time, and may block: that holds up the candidates behind it and nothing
/// else. What it has not said within `admission_timeout_ms` the setting `admit_on_timeout` decides; its word is remembered for
/// `admission_memory_ms`. `swimring_free` waits for a call that is under way, after which there is none, and so is not called from
/// `admit`.
///
/// # Safety
/// `settings` is NULL or a text; `admit` may be called with `context` on another thread until `swimring_free` has returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_start_admitting(
    settings: *const c_char,
    admit: SwimringAdmit,
    context: *mut c_void,
) -> *mut SwimringCluster {
    // SAFETY: as the caller promises.
    let (settings, gate) = unsafe { (given(settings, "settings"), Gate::before(admit, context)) };
    boxed(settings.and_then(|settings| {
        SwimringCluster::start(settings, Some(gate?)).map_err(|error| error.to_string())
    }))
}

/// Stops the member at once, without a word, and frees it. Its port is free afterwards, and its subscriptions come to their end.
///
/// # Safety
/// `cluster` is NULL or was returned by `swimring_start` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_free(cluster: *mut SwimringCluster) {
    if !cluster.is_null() {
        // SAFETY: as the caller promises, it was made with `Box::into_raw`.
        let cluster = unsafe { Box::from_raw(cluster) };
        cluster.cluster.shutdown();
        cluster.gate.iter().for_each(Gate::shut);
    }
}

/// The member's name; valid until it is freed.
///
/// # Safety
/// `cluster` was returned by `swimring_start` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_name(cluster: *const SwimringCluster) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { live(cluster, "cluster") }.map_or(std::ptr::null(), |cluster| cluster.name.as_ptr())
}

/// The member's address, as `10.0.0.1:7946`; valid until it is freed.
///
/// # Safety
/// `cluster` was returned by `swimring_start` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_address(cluster: *const SwimringCluster) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { live(cluster, "cluster") }.map_or(std::ptr::null(), |cluster| cluster.address.as_ptr())
}

/// Joins through the `count` members at `seeds`, each an address or a name with a port, and waits until one has answered, no
/// longer than `timeout_ms`.
///
/// # Safety
/// `cluster` was returned by `swimring_start` and not freed; `seeds` leads to `count` texts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_join(
    cluster: *const SwimringCluster,
    seeds: *const *const c_char,
    count: usize,
    timeout_ms: u32,
) -> i32 {
    // SAFETY: as the caller promises.
    let (cluster, seeds) = unsafe { (live(cluster, "cluster"), texts(seeds, count)) };
    code(cluster.and_then(|cluster| {
        let joined = cluster.cluster.join_within(seeds?, Duration::from_millis(timeout_ms.into())).wait();
        joined.map(drop).map_err(|error| error.to_string())
    }))
}

/// # Safety
/// `start` leads to `count` texts.
unsafe fn texts(start: *const *const c_char, count: usize) -> Result<Vec<String>, String> {
    if start.is_null() {
        return Err("seeds is NULL".to_owned());
    }
    // SAFETY: not NULL, and as the caller promises.
    let pointers = unsafe { std::slice::from_raw_parts(start, count) };
    // SAFETY: as the caller promises.
    pointers.iter().map(|seed| unsafe { given(*seed, "a seed") }.map(str::to_owned)).collect()
}

/// What a member is thought to be.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum SwimringState {
    /// It lives.
    Alive,
    /// It is suspected, and may refute; it still counts as live.
    Suspect,
    /// It was declared dead.
    Dead,
    /// It has left.
    Left,
}

/// A member as this one sees it. Texts and bytes live as long as the list.
#[repr(C)]
pub struct SwimringMember {
    /// Its name.
    pub name: *const c_char,
    /// Its address, as `10.0.0.1:7946`.
    pub address: *const c_char,
    /// Its zone; empty for none.
    pub zone: *const c_char,
    /// Its metadata.
    pub metadata: *const u8,
    /// Bytes of metadata.
    pub metadata_len: usize,
    /// What it is thought to be.
    pub state: SwimringState,
}

/// Members of one moment.
pub struct SwimringMembers(Vec<Listed>);

struct Listed {
    info: MemberInfo,
    name: CString,
    address: CString,
    zone: CString,
}

/// The live members, this one among them, in no particular order; NULL if the member has stopped.
///
/// # Safety
/// `cluster` was returned by `swimring_start` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_members(cluster: *const SwimringCluster) -> *mut SwimringMembers {
    // SAFETY: as the caller promises.
    let cluster = unsafe { live(cluster, "cluster") };
    let members = cluster.and_then(|cluster| cluster.cluster.members().map_err(|error| error.to_string()));
    boxed(members.map(|members| {
        let listed = |info: MemberInfo| Listed {
            name: text(&*info.name),
            address: text(info.address.to_string()),
            zone: text(&*info.zone),
            info,
        };
        SwimringMembers(members.into_iter().map(listed).collect())
    }))
}

/// How many members there are.
///
/// # Safety
/// `members` was returned by `swimring_members` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_members_count(members: *const SwimringMembers) -> usize {
    // SAFETY: as the caller promises.
    unsafe { live(members, "members") }.map_or(0, |members| members.0.len())
}

/// Fills `member` with the `nth`, counted from 0. SWIMRING_ERROR if there are not so many.
///
/// # Safety
/// `members` was returned by `swimring_members` and not freed; `member` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_members_get(
    members: *const SwimringMembers,
    nth: usize,
    member: *mut SwimringMember,
) -> i32 {
    // SAFETY: as the caller promises.
    let (members, member) = unsafe { (live(members, "members"), member.as_mut()) };
    code(members.and_then(|members| {
        let Listed { info, name, address, zone } =
            members.0.get(nth).ok_or("there are not so many members")?;
        let member = member.ok_or("member is NULL")?;
        *member = SwimringMember {
            name: name.as_ptr(),
            address: address.as_ptr(),
            zone: zone.as_ptr(),
            metadata: info.metadata.as_ptr(),
            metadata_len: info.metadata.len(),
            state: match info.state {
                State::Alive => SwimringState::Alive,
                State::Suspect => SwimringState::Suspect,
                State::Dead => SwimringState::Dead,
                State::Left => SwimringState::Left,
            },
        };
        Ok(())
    }))
}

/// Frees a list of members.
///
/// # Safety
/// `members` is NULL or was returned by `swimring_members` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_members_free(members: *mut SwimringMembers) {
    if !members.is_null() {
        // SAFETY: as the caller promises, it was made with `Box::into_raw`.
        drop(unsafe { Box::from_raw(members) });
    }
}

/// Publishes new metadata, at most 512 bytes.
///
/// # Safety
/// `cluster` was returned by `swimring_start` and not freed; `metadata` leads to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_update_metadata(
    cluster: *const SwimringCluster,
    metadata: *const u8,
    len: usize,
) -> i32 {
    // SAFETY: as the caller promises.
    let (cluster, metadata) = unsafe { (live(cluster, "cluster"), bytes_of(metadata, len)) };
    code(
        cluster.and_then(|cluster| {
            cluster.cluster.update_metadata(metadata?).map_err(|error| error.to_string())
        }),
    )
}

/// Sends a user event to every other member: name and payload have at most 512 bytes together. Returns once it is on its way.
///
/// # Safety
/// `cluster` was returned by `swimring_start` and not freed; `name` is a text and `payload` leads to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_send_event(
    cluster: *const SwimringCluster,
    name: *const c_char,
    payload: *const u8,
    len: usize,
) -> i32 {
    // SAFETY: as the caller promises.
    let (cluster, name, payload) =
        unsafe { (live(cluster, "cluster"), given(name, "name"), bytes_of(payload, len)) };
    code(cluster.and_then(|cluster| {
        cluster.cluster.send_event(name?, payload?).map(drop).map_err(|error| error.to_string())
    }))
}

/// Sends one datagram to the application of the member called `member`, once; it may be lost.
///
/// # Safety
/// `cluster` was returned by `swimring_start` and not freed; `member` is a text and `payload` leads to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_send(
    cluster: *const SwimringCluster,
    member: *const c_char,
    payload: *const u8,
    len: usize,
) -> i32 {
    // SAFETY: as the caller promises.
    let (cluster, member, payload) =
        unsafe { (live(cluster, "cluster"), given(member, "member"), bytes_of(payload, len)) };
    code(
        cluster
            .and_then(|cluster| cluster.cluster.send(member?, payload?).map_err(|error| error.to_string())),
    )
}

/// Sends up to 512 KiB to the application of the member called `member` over a stream, in order, and waits until it is there, no
/// longer than `timeout_ms`. 0 does not wait.
///
/// # Safety
/// `cluster` was returned by `swimring_start` and not freed; `member` is a text and `payload` leads to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_send_reliable(
    cluster: *const SwimringCluster,
    member: *const c_char,
    payload: *const u8,
    len: usize,
    timeout_ms: u32,
) -> i32 {
    // SAFETY: as the caller promises.
    let (cluster, member, payload) =
        unsafe { (live(cluster, "cluster"), given(member, "member"), bytes_of(payload, len)) };
    code(cluster.and_then(|cluster| {
        let sent = cluster.cluster.send_reliable(member?, payload?.to_vec());
        let mut sent = sent.map_err(|error| error.to_string())?;
        if timeout_ms == 0 {
            return Ok(());
        }
        sent.wait(Duration::from_millis(timeout_ms.into())).map_err(|error| error.to_string())
    }))
}

/// Asks the application of the member called `member`, and puts its reply into `reply`, to be freed with
/// `swimring_bytes_free`; waits no longer than `timeout_ms`.
///
/// # Safety
/// `cluster` was returned by `swimring_start` and not freed; `member` is a text, `payload` leads to `len` bytes, and `reply`
/// can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_ask(
    cluster: *const SwimringCluster,
    member: *const c_char,
    payload: *const u8,
    len: usize,
    timeout_ms: u32,
    reply: *mut *mut SwimringBytes,
) -> i32 {
    // SAFETY: as the caller promises.
    let (cluster, member, payload) =
        unsafe { (live(cluster, "cluster"), given(member, "member"), bytes_of(payload, len)) };
    let replied = cluster.and_then(|cluster| {
        let timeout = Duration::from_millis(timeout_ms.into());
        cluster.cluster.ask(member?, payload?.to_vec(), timeout).map_err(|error| error.to_string())
    });
    match replied {
        // SAFETY: as the caller promises.
        Ok(replied) => code(unsafe { hand_over(replied.to_vec(), reply) }),
        Err(error) => fail(error),
    }
}

/// Says goodbye, so that the others see this member as left instead of failed, and waits until that has been told, no longer
/// than `timeout_ms`.
///
/// # Safety
/// `cluster` was returned by `swimring_start` and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_leave(cluster: *const SwimringCluster, timeout_ms: u32) -> i32 {
    // SAFETY: as the caller promises.
    let cluster = unsafe { live(cluster, "cluster") };
    code(cluster.and_then(|cluster| {
        let left = cluster.cluster.leave(Duration::from_millis(timeout_ms.into())).wait();
        left.map_err(|error| error.to_string())
    }))
}
