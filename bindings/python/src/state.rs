//! Shared state: keys and values that members and the cluster have.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use swimring::ClusterState;

use crate::raised;

/// Whose it is, or None for the cluster's; key; value.
type Item = (Option<String>, String, Py<PyBytes>);

/// Keys and values that members and the cluster have.
#[pyclass(module = "swimring", frozen)]
pub struct State(pub(crate) ClusterState);

#[pymethods]
impl State {
    /// Sets a key of this member, or of the cluster if `of_cluster`. Gives its version.
    #[pyo3(signature = (key, value, *, of_cluster=false))]
    fn set(&self, py: Python<'_>, key: &str, value: Vec<u8>, of_cluster: bool) -> PyResult<u64> {
        let set = py
            .detach(|| if of_cluster { self.0.set_for_cluster(key, value) } else { self.0.set(key, value) });
        set.map_err(raised)
    }

    /// The value of a key of `member`, or of the cluster if there is none; None if it has no value.
    #[pyo3(signature = (key, member=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        member: Option<&str>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let found = py.detach(|| match member {
            Some(member) => self.0.get(member, key),
            None => self.0.get_of_cluster(key),
        });
        Ok(found.map_err(raised)?.map(|entry| PyBytes::new(py, &entry.value)))
    }

    /// Deletes a key of this member, or of the cluster if `of_cluster`. False if it has no value.
    #[pyo3(signature = (key, *, of_cluster=false))]
    fn delete(&self, py: Python<'_>, key: &str, of_cluster: bool) -> PyResult<bool> {
        let deleted =
            py.detach(|| if of_cluster { self.0.delete_for_cluster(key) } else { self.0.delete(key) });
        deleted.map_err(raised)
    }

    /// All that begins with `prefix`: a list of (member, or None for the cluster's; key; value).
    #[pyo3(signature = (prefix=""))]
    fn items(&self, py: Python<'_>, prefix: &str) -> PyResult<Vec<Item>> {
        let entries = py.detach(|| self.0.iter(prefix)).map_err(raised)?;
        let item = |entry: swimring::StateEntry| {
            let value = PyBytes::new(py, &entry.value).unbind();
            (entry.member.as_deref().map(str::to_owned), entry.key.to_string(), value)
        };
        Ok(entries.map(item).collect())
    }
}
