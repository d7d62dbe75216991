//! Shared state: keys and values that members and the cluster have.

use std::ffi::c_char;

use swimring::ClusterError;

use crate::bytes::{SwimringBytes, bytes_of, hand_over};
use crate::cluster::SwimringCluster;
use crate::error::{SWIMRING_NONE, code, fail, given, live};

/// Sets a key: of this member, or of the cluster if `of_cluster`. Up to 64 KiB.
///
/// # Safety
/// `cluster` was returned by `swimring_start` and not freed; `key` is a text and `value` leads to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_state_set(
    cluster: *const SwimringCluster,
    of_cluster: bool,
    key: *const c_char,
    value: *const u8,
    len: usize,
) -> i32 {
    // SAFETY: as the caller promises.
    let (cluster, key, value) =
        unsafe { (live(cluster, "cluster"), given(key, "key"), bytes_of(value, len)) };
    code(cluster.and_then(|cluster| {
        let (state, key, value) = (cluster.cluster.state(), key?, value?.to_vec());
        let set = if of_cluster { state.set_for_cluster(key, value) } else { state.set(key, value) };
        set.map(drop).map_err(|error| error.to_string())
    }))
}

/// Puts the value of a key into `value`, to be freed with `swimring_bytes_free`: of the member called `member`, or of the
/// cluster if that is NULL. SWIMRING_NONE if it has none.
///
/// # Safety
/// `cluster` was returned by `swimring_start` and not freed; `member` is NULL or a text, `key` is a text, and `value` can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_state_get(
    cluster: *const SwimringCluster,
    member: *const c_char,
    key: *const c_char,
    value: *mut *mut SwimringBytes,
) -> i32 {
    // SAFETY: as the caller promises.
    let (cluster, key) = unsafe { (live(cluster, "cluster"), given(key, "key")) };
    // SAFETY: as the caller promises.
    let member = if member.is_null() { Ok(None) } else { unsafe { given(member, "member") }.map(Some) };
    let found = cluster.and_then(|cluster| {
        let state = cluster.cluster.state();
        let found = match member? {
            Some(member) => state.get(member, key?),
            None => state.get_of_cluster(key?),
        };
        found.map_err(|error: ClusterError| error.to_string())
    });
    match found {
        // SAFETY: as the caller promises.
        Ok(Some(entry)) => code(unsafe { hand_over(entry.value.to_vec(), value) }),
        Ok(None) => SWIMRING_NONE,
        Err(error) => fail(error),
    }
}

/// Deletes a key: of this member, or of the cluster if `of_cluster`. SWIMRING_NONE if it has no value.
///
/// # Safety
/// `cluster` was returned by `swimring_start` and not freed; `key` is a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_state_delete(
    cluster: *const SwimringCluster,
    of_cluster: bool,
    key: *const c_char,
) -> i32 {
    // SAFETY: as the caller promises.
    let (cluster, key) = unsafe { (live(cluster, "cluster"), given(key, "key")) };
    let deleted = cluster.and_then(|cluster| {
        let (state, key) = (cluster.cluster.state(), key?);
        let deleted = if of_cluster { state.delete_for_cluster(key) } else { state.delete(key) };
        deleted.map_err(|error| error.to_string())
    });
    match deleted {
        Ok(true) => crate::error::SWIMRING_OK,
        Ok(false) => SWIMRING_NONE,
        Err(error) => fail(error),
    }
}
