//! Swimring for programs in Python: one member of a cluster, as a class.
//!
//! What takes time lets other Python threads run. `swimring/__init__.py` has what is better written in Python: iterating
//! events with `for` and with `async for`, and awaiting what the program says of candidates.

mod admission;
mod cluster;
mod events;
mod state;

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(_swimring, SwimringError, PyException, "What a member could not do, in a sentence.");

/// `error` as Python raises it.
pub(crate) fn raised(error: impl ToString) -> PyErr {
    SwimringError::new_err(error.to_string())
}

#[pymodule]
fn _swimring(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<admission::Answer>()?;
    module.add_class::<admission::Candidate>()?;
    module.add_class::<cluster::Cluster>()?;
    module.add_class::<cluster::Member>()?;
    module.add_class::<events::Event>()?;
    module.add_class::<events::Subscription>()?;
    module.add_class::<state::State>()?;
    module.add("SwimringError", module.py().get_type::<SwimringError>())
}
