//! Bytes on their way from C and to it.

use std::slice;

use crate::error::live;

/// Bytes that belong to whoever got them.
pub struct SwimringBytes(pub(crate) Vec<u8>);

/// The bytes; valid until they are freed.
///
/// # Safety
/// `bytes` was returned by this library and not freed; `len` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_bytes(bytes: *const SwimringBytes, len: *mut usize) -> *const u8 {
    // SAFETY: as the caller promises.
    let found = unsafe { live(bytes, "bytes") };
    let (start, found) = found.map_or((std::ptr::null(), 0), |bytes| (bytes.0.as_ptr(), bytes.0.len()));
    // SAFETY: as the caller promises.
    if let Some(len) = unsafe { len.as_mut() } {
        *len = found;
    }
    start
}

/// Frees bytes.
///
/// # Safety
/// `bytes` is NULL or was returned by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn swimring_bytes_free(bytes: *mut SwimringBytes) {
    if !bytes.is_null() {
        // SAFETY: as the caller promises, it was made with `Box::into_raw`.
        drop(unsafe { Box::from_raw(bytes) });
    }
}

/// Bytes from C; NULL stands for none if `len` is 0.
///
/// # Safety
/// `start` leads to `len` bytes that can be read, for as long as what is returned is used.
pub(crate) unsafe fn bytes_of<'a>(start: *const u8, len: usize) -> Result<&'a [u8], String> {
    match (start.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err("the bytes are NULL".to_owned()),
        // SAFETY: not NULL, and as the caller promises.
        (false, _) => Ok(unsafe { slice::from_raw_parts(start, len) }),
    }
}

/// Hands `bytes` over through `out`.
///
/// # Safety
/// `out` is NULL or can be written.
pub(crate) unsafe fn hand_over(bytes: Vec<u8>, out: *mut *mut SwimringBytes) -> Result<(), String> {
    // SAFETY: as the caller promises.
    let out = unsafe { out.as_mut() }.ok_or("there is nowhere to put the bytes: it is NULL")?;
    *out = Box::into_raw(Box::new(SwimringBytes(bytes)));
    Ok(())
}
