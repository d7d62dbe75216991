//! What happens: events, and what other members' applications send to this one.

use std::sync::Mutex;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use swimring::{ClusterEvent, Events, MemberInfo, Question};

use crate::raised;

/// How long other Python threads' signals may wait while this one waits for an event.
const SLICE: Duration = Duration::from_millis(200);

/// Something that happened.
#[pyclass(module = "swimring", frozen)]
pub struct Event {
    #[pyo3(get)]
    kind: &'static str,
    #[pyo3(get)]
    member: Option<String>,
    #[pyo3(get)]
    address: Option<String>,
    #[pyo3(get)]
    name: Option<String>,
    #[pyo3(get)]
    lost: u64,
    payload: Vec<u8>,
    question: Option<Question>,
}

impl Event {
    fn new(kind: &'static str) -> Event {
        Event { kind, member: None, address: None, name: None, lost: 0, payload: Vec::new(), question: None }
    }

    fn about(kind: &'static str, member: &MemberInfo) -> Event {
        let (name, address) = (member.name.to_string(), member.address.to_string());
        Event { member: Some(name), address: Some(address), ..Event::new(kind) }
    }

    fn of(event: ClusterEvent) -> Event {
        match event {
            ClusterEvent::Joined(member) => Event::about("joined", &member),
            ClusterEvent::Updated(member) => Event::about("updated", &member),
            ClusterEvent::Restarted(member) => Event::about("restarted", &member),
            ClusterEvent::Suspected { member, .. } => Event::about("suspected", &member),
            ClusterEvent::Recovered { member, .. } => Event::about("recovered", &member),
            ClusterEvent::Failed { member, .. } => Event::about("failed", &member),
            ClusterEvent::Left(member) => Event::about("left", &member),
            ClusterEvent::Reaped { name } => Event { member: Some(name.to_string()), ..Event::new("reaped") },
            ClusterEvent::User(event) => Event {
                member: event.origin.as_deref().map(str::to_owned),
                name: Some(event.name.to_string()),
                payload: event.payload.to_vec(),
                ..Event::new("user")
            },
            ClusterEvent::Message(message) => Event {
                member: Some(message.from.to_string()),
                payload: message.payload.to_vec(),
                ..Event::new("message")
            },
            ClusterEvent::Question(question) => Event {
                member: Some(question.from().to_owned()),
                payload: question.payload().to_vec(),
                question: Some(question),
                ..Event::new("question")
            },
            ClusterEvent::Accused => Event::new("accused"),
            ClusterEvent::Unreachable { address } => {
                Event { address: Some(address.to_string()), ..Event::new("unreachable") }
            }
            ClusterEvent::NameConflict { address } => {
                Event { address: Some(address.to_string()), ..Event::new("name_conflict") }
            }
            ClusterEvent::NotAdmitted { candidate, .. } => Event {
                member: Some(candidate.name.to_string()),
                address: Some(candidate.address.to_string()),
                ..Event::new("not_admitted")
            },
            ClusterEvent::Lagged(lost) => Event { lost, ..Event::new("lagged") },
            _ => Event::new("other"),
        }
    }
}

#[pymethods]
impl Event {
    /// What came with it.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.payload)
    }

    /// Replies to a question, with up to 512 KiB.
    fn reply(&self, py: Python<'_>, payload: Vec<u8>) -> PyResult<()> {
        let question = self.question.as_ref().ok_or_else(|| raised("the event is no question"))?;
        py.detach(|| question.reply(payload)).map(drop).map_err(raised)
    }

    fn __repr__(&self) -> String {
        let about = self.member.as_deref().unwrap_or_default();
        format!("Event({}, {about})", self.kind)
    }
}

/// What happens from one moment on.
#[pyclass(module = "swimring", frozen)]
pub struct Subscription(Mutex<Events>);

impl Subscription {
    pub(crate) fn new(events: Events) -> Subscription {
        Subscription(Mutex::new(events))
    }
}

#[pymethods]
impl Subscription {
    /// The next event; None if `timeout` seconds pass before it. Raises StopIteration once the member has stopped.
    #[pyo3(signature = (timeout=None))]
    fn next(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Event>> {
        let mut left = timeout.map(|timeout| Duration::try_from_secs_f64(timeout).unwrap_or_default());
        loop {
            let slice = left.unwrap_or(SLICE).min(SLICE);
            let next = py.detach(|| {
                self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv_timeout(slice)
            });
            match next {
                Ok(event) => return Ok(Some(Event::of(event))),
                Err(RecvTimeoutError::Disconnected) => return Err(PyStopIteration::new_err(())),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Ctrl-C.
            py.check_signals()?;
            left = left.map(|left| left.saturating_sub(slice));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
        }
    }
}
