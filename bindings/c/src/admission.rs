//! Asking the program who may come into the view, with a function of its own.
//!
//! The library calls it on a thread of its own, one candidate at a time; the protocol goes on meanwhile. Nothing says when such a thread
//! has ended, so there is a gate before the function: it is shut when the member is freed, after the call that is under way, and what
//! the function was given may be freed then.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use swimring::{AdmissionHook, Candidate, WireKind};

use crate::error::text;

/// The wire that a candidate was heard of on.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum SwimringWire {
    /// Swimring's own, encrypted or not.
    Native,
    /// memberlist's.
    Memberlist,
    /// memberlist's with Serf's messages.
    Serf,
    /// One of later releases.
    Other,
}

/// A member that is not in the view, and may be admitted. It is what somebody says of it; that it has its public key has been checked.
#[repr(C)]
pub struct SwimringCandidate {
    /// Its name.
    pub name: *const c_char,
    /// The address at which it says that it receives, as `10.0.0.1:7946`.
    pub address: *const c_char,
    /// Its zone; empty for none.
    pub zone: *const c_char,
    /// Its metadata.
    pub metadata: *const u8,
    /// Bytes of metadata.
    pub metadata_len: usize,
    /// The 32 bytes of its public key; NULL where members have no identities.
    pub public_key: *const u8,
    /// The wire that it was heard of on.
    pub wire: SwimringWire,
}

/// Says whether a candidate, which lives as long as the call, may come into the view. `context` is what `swimring_start_admitting` was given.
pub type SwimringAdmit =
    Option<unsafe extern "C" fn(candidate: *const SwimringCandidate, context: *mut c_void) -> bool>;

/// A function of the program, and what it is given.
struct Function {
    call: unsafe extern "C" fn(*const SwimringCandidate, *mut c_void) -> bool,
    context: *mut c_void,
}

// SAFETY: whoever gives both promises that they may be used on another thread (`swimring_start_admitting`).
unsafe impl Send for Function {}

/// What the function is called through, one call at a time, until it is shut.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Mutex<Option<Function>>>);

impl Gate {
    /// # Safety
    /// `call` may be called with `context` on any thread until the gate is shut.
    pub(crate) unsafe fn before(admit: SwimringAdmit, context: *mut c_void) -> Result<Gate, String> {
        let call = admit.ok_or("admit is NULL")?;
        Ok(Gate(Arc::new(Mutex::new(Some(Function { call, context })))))
    }

    /// Waits for a call that is under way. There will be no other.
    pub(crate) fn shut(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn hook(&self) -> AdmissionHook {
        let gate = self.clone();
        AdmissionHook::new(move |candidate| gate.ask(candidate))
    }

    fn ask(&self, candidate: &Candidate) -> bool {
        let (name, zone) = (text(&*candidate.name), text(&*candidate.zone));
        let address: CString = text(candidate.address.to_string());
        let said = SwimringCandidate {
            name: name.as_ptr(),
            address: address.as_ptr(),
            zone: zone.as_ptr(),
            metadata: candidate.metadata.as_ptr(),
            metadata_len: candidate.metadata.len(),
            public_key: candidate.public_key.as_ref().map_or(ptr::null(), |key| key.0.as_ptr()),
            wire: match candidate.wire {
                WireKind::Native => SwimringWire::Native,
                WireKind::Memberlist => SwimringWire::Memberlist,
                WireKind::Serf => SwimringWire::Serf,
                _ => SwimringWire::Other,
            },
        };
        let function = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Once it is shut the member is being freed: whatever is said is said to nobody.
        // SAFETY: the gate is not shut, and what `said` leads to lives until the call ends.
        function.as_ref().is_some_and(|function| unsafe { (function.call)(&said, function.context) })
    }
}
