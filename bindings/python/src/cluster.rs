//! A member: starting, joining, looking at the others, saying something to them, leaving.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use swimring::{ClusterBuilder, ClusterOptions, MemberInfo};

use crate::admission::hook;
use crate::events::Subscription;
use crate::raised;
use crate::state::State;

/// A member of a cluster.
#[pyclass(module = "swimring", frozen, subclass)]
pub struct Cluster(swimring::Cluster);

/// A member as another one sees it.
#[pyclass(module = "swimring", frozen, get_all)]
pub struct Member {
    /// Its name.
    name: String,
    /// Its address, as `10.0.0.1:7946`.
    address: String,
    /// Its zone; empty for none.
    zone: String,
    /// Its metadata.
    metadata: Py<PyBytes>,
    /// `alive`, `suspect`, `dead` or `left`.
    state: String,
}

impl Member {
    fn of(py: Python<'_>, info: &MemberInfo) -> Member {
        Member {
            name: info.name.to_string(),
            address: info.address.to_string(),
            zone: info.zone.to_string(),
            metadata: PyBytes::new(py, &info.metadata).unbind(),
            state: format!("{:?}", info.state).to_lowercase(),
        }
    }
}

#[pymethods]
impl Member {
    fn __repr__(&self) -> String {
        format!("Member({}, {}, {})", self.name, self.address, self.state)
    }
}

fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| raised("timeout is to be a number of seconds from 0 on"))
}

#[pymethods]
impl Cluster {
    /// Starts a member. `settings` is TOML, as in a settings file; `_ask` is called with each candidate and its answer.
    #[new]
    #[pyo3(signature = (
        name=None, *, cluster=None, bind=None, seeds=None, metadata=None, settings=None, _ask=None
    ))]
    #[allow(clippy::too_many_arguments, reason = "in Python they are named")]
    fn new(
        py: Python<'_>,
        name: Option<String>,
        cluster: Option<String>,
        bind: Option<String>,
        seeds: Option<Vec<String>>,
        metadata: Option<Vec<u8>>,
        settings: Option<&str>,
        _ask: Option<Py<PyAny>>,
    ) -> PyResult<Cluster> {
        let mut options = ClusterOptions::default();
        if let Some(settings) = settings {
            options.read_toml(settings).map_err(raised)?;
        }
        options.name = name.or(options.name);
        options.cluster = cluster.unwrap_or(options.cluster);
        options.seeds = seeds.unwrap_or(options.seeds);
        options.metadata = metadata.unwrap_or(options.metadata);
        options.admission = _ask.map(|ask| hook(ask, options.protocol.admission_timeout));
        let mut builder = ClusterBuilder::new().options(|chosen| *chosen = options);
        if let Some(bind) = bind {
            builder = builder.bind(bind);
        }
        py.detach(|| builder.start()).map(Cluster).map_err(raised)
    }

    /// The member's name.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// The member's address, as `10.0.0.1:7946`.
    #[getter]
    fn address(&self) -> String {
        self.0.address().to_string()
    }

    /// The keys and values that members and the cluster have.
    #[getter]
    fn state(&self) -> State {
        State(self.0.state())
    }

    /// Joins through any of `seeds`; waits until one has answered, `timeout` seconds at most.
    #[pyo3(signature = (seeds, timeout=10.0))]
    fn join(&self, py: Python<'_>, seeds: Vec<String>, timeout: f64) -> PyResult<()> {
        let timeout = seconds(timeout)?;
        py.detach(|| self.0.join_within(seeds, timeout).wait()).map(drop).map_err(raised)
    }

    /// The live members, this one among them.
    fn members(&self, py: Python<'_>) -> PyResult<Vec<Member>> {
        let members = py.detach(|| self.0.members()).map_err(raised)?;
        Ok(members.iter().map(|member| Member::of(py, member)).collect())
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        py.detach(|| self.0.len()).map_err(raised)
    }

    /// Subscribes to what happens from now on.
    fn _subscribe(&self, py: Python<'_>) -> PyResult<Subscription> {
        py.detach(|| self.0.subscribe()).map(Subscription::new).map_err(raised)
    }

    /// Publishes new metadata, at most 512 bytes.
    fn update_metadata(&self, py: Python<'_>, metadata: Vec<u8>) -> PyResult<()> {
        py.detach(|| self.0.update_metadata(metadata)).map_err(raised)
    }

    /// Sends a user event to every other member: name and payload have at most 512 bytes together.
    #[pyo3(signature = (name, payload=Vec::new()))]
    fn send_event(&self, py: Python<'_>, name: &str, payload: Vec<u8>) -> PyResult<()> {
        py.detach(|| self.0.send_event(name, payload)).map(drop).map_err(raised)
    }

    /// Sends one datagram to the application of `member`, once; it may be lost.
    fn send(&self, py: Python<'_>, member: &str, payload: Vec<u8>) -> PyResult<()> {
        py.detach(|| self.0.send(member, payload)).map_err(raised)
    }

    /// Sends up to 512 KiB to the application of `member`, in order, and waits until it is there, `timeout` seconds at most.
    #[pyo3(signature = (member, payload, timeout=10.0))]
    fn send_reliable(&self, py: Python<'_>, member: &str, payload: Vec<u8>, timeout: f64) -> PyResult<()> {
        let timeout = seconds(timeout)?;
        py.detach(|| self.0.send_reliable(member, payload)?.wait(timeout)).map_err(raised)
    }

    /// Asks the application of `member`, and waits for its reply, `timeout` seconds at most.
    #[pyo3(signature = (member, payload, timeout=10.0))]
    fn ask<'py>(
        &self,
        py: Python<'py>,
        member: &str,
        payload: Vec<u8>,
        timeout: f64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let timeout = seconds(timeout)?;
        let reply = py.detach(|| self.0.ask(member, payload, timeout)).map_err(raised)?;
        Ok(PyBytes::new(py, &reply))
    }

    /// Says goodbye, and waits until that has been told, `timeout` seconds at most.
    #[pyo3(signature = (timeout=5.0))]
    fn leave(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        let timeout = seconds(timeout)?;
        py.detach(|| self.0.leave(timeout).wait()).map_err(raised)
    }

    /// Stops the member at once, without a word.
    fn shutdown(&self, py: Python<'_>) {
        py.detach(|| self.0.shutdown());
    }
}
