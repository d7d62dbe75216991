//! Asking the program who may come into the view.
//!
//! The library's thread gives Python each candidate with an *answer*, and awaits that. What the program says at once, or on an event loop
//! later (`swimring/__init__.py`), goes through it. A candidate of which nothing is said stays without one, as the library decides.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use swimring::AdmissionHook;

/// A member that is not in the view, and may be admitted.
#[pyclass(module = "swimring", frozen, get_all)]
pub struct Candidate {
    /// Its name.
    name: String,
    /// The address at which it says that it receives, as `10.0.0.1:7946`.
    address: String,
    /// Its zone; empty for none.
    zone: String,
    /// Its metadata.
    metadata: Py<PyBytes>,
    /// Its public key, 64 hexadecimal digits; None where members have no identities.
    public_key: Option<String>,
    /// `native`, `memberlist` or `serf`.
    wire: String,
}

impl Candidate {
    fn of(py: Python<'_>, candidate: &swimring::Candidate) -> Candidate {
        Candidate {
            name: candidate.name.to_string(),
            address: candidate.address.to_string(),
            zone: candidate.zone.to_string(),
            metadata: PyBytes::new(py, &candidate.metadata).unbind(),
            public_key: candidate.public_key.map(|key| key.to_string()),
            wire: format!("{:?}", candidate.wire).to_lowercase(),
        }
    }
}

#[pymethods]
impl Candidate {
    fn __repr__(&self) -> String {
        format!("Candidate({}, {})", self.name, self.address)
    }
}

/// What has been said of a candidate, and who is to be told.
#[derive(Default)]
struct Said {
    admitted: Option<bool>,
    waker: Option<Waker>,
}

/// What the program says of one candidate goes in here.
#[pyclass(module = "swimring", frozen)]
pub struct Answer {
    said: Arc<Mutex<Said>>,
    /// Seconds that there are for it.
    #[pyo3(get)]
    timeout: f64,
}

#[pymethods]
impl Answer {
    /// Admits the candidate, or refuses it. The first word counts.
    fn say(&self, admitted: bool) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.admitted.get_or_insert(admitted);
        if let Some(waker) = said.waker.take() {
            waker.wake();
        }
    }
}

/// What asks `ask`, a function of a candidate and its answer, and waits `timeout` at most.
pub(crate) fn hook(ask: Py<PyAny>, timeout: Duration) -> AdmissionHook {
    AdmissionHook::new_async(move |candidate| {
        let said = Arc::<Mutex<Said>>::default();
        let answer = Answer { said: Arc::clone(&said), timeout: timeout.as_secs_f64() };
        // Nothing is asked of an interpreter that is ending.
        Python::try_attach(|py| {
            if let Err(error) = ask.call1(py, (Candidate::of(py, &candidate), answer)) {
                error.write_unraisable(py, Some(ask.bind(py)));
            }
        });
        poll_fn(move |cx| {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            match said.admitted {
                Some(admitted) => Poll::Ready(admitted),
                None => {
                    said.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
    })
}
