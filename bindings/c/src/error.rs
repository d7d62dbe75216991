//! What went wrong: a code that each function returns, and a sentence that is kept for its thread.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};

/// It is done.
pub const SWIMRING_OK: i32 = 0;
/// It failed: `swimring_last_error` says why.
pub const SWIMRING_ERROR: i32 = -1;
/// The time is up, and nothing has come.
pub const SWIMRING_TIMEOUT: i32 = 1;
/// The member has stopped: nothing will come any more.
pub const SWIMRING_ENDED: i32 = 2;
/// There is no such key or member.
pub const SWIMRING_NONE: i32 = 3;

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Why the last function that failed on this thread did, in a sentence; empty if none has. Valid until the next one fails.
#[unsafe(no_mangle)]
pub extern "C" fn swimring_last_error() -> *const c_char {
    LAST.with_borrow(|last| last.as_ptr())
}

/// Keeps `error` for [`swimring_last_error`].
pub(crate) fn fail(error: impl ToString) -> i32 {
    LAST.set(text(error.to_string()));
    SWIMRING_ERROR
}

/// The code of `done`, whose error is kept.
pub(crate) fn code<E: ToString>(done: Result<(), E>) -> i32 {
    done.map_or_else(fail, |()| SWIMRING_OK)
}

/// What `made` holds as a pointer to be freed; NULL and the error kept otherwise.
pub(crate) fn boxed<T, E: ToString>(made: Result<T, E>) -> *mut T {
    match made {
        Ok(made) => Box::into_raw(Box::new(made)),
        Err(error) => {
            fail(error);
            std::ptr::null_mut()
        }
    }
}

/// A text for C, which ends at the first zero byte.
pub(crate) fn text(text: impl Into<Vec<u8>>) -> CString {
    let mut bytes = text.into();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    CString::new(bytes).unwrap_or_default()
}

/// A text from C.
///
/// # Safety
/// `given` is NULL or ends with a zero byte, and lives as long as what is returned is used.
pub(crate) unsafe fn given<'a>(given: *const c_char, what: &str) -> Result<&'a str, String> {
    if given.is_null() {
        return Err(format!("{what} is NULL"));
    }
    // SAFETY: not NULL, and as the caller promises.
    let given = unsafe { CStr::from_ptr(given) };
    given.to_str().map_err(|_| format!("{what} is not UTF-8"))
}

/// What a pointer from C leads to.
///
/// # Safety
/// `given` is NULL or was returned by a function of this library and not freed.
pub(crate) unsafe fn live<'a, T>(given: *const T, what: &str) -> Result<&'a T, String> {
    // SAFETY: as the caller promises.
    unsafe { given.as_ref() }.ok_or_else(|| format!("{what} is NULL"))
}
