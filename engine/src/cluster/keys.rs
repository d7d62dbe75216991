//! The keys of a cluster that is encrypted, on either wire: changed while it runs.
//!
//! Every member needs a new key before anyone encrypts with it: install it everywhere, then use it
//! everywhere, then remove the old one.

use super::error::ClusterError;
use super::handle::Cluster;
use super::requests;
use super::waiting::block_on;

impl Cluster {
    /// Installs a key of 16, 24 or 32 bytes: what is encrypted with it can be read from now on. Without
    /// effect if it is installed already.
    ///
    /// # Errors
    /// [`ClusterError::Key`] if its length is another, there are too many, or this member does not encrypt; [`ClusterError::Busy`];
    /// [`ClusterError::Stopped`].
    pub fn install_key(&self, key: &[u8]) -> Result<(), ClusterError> {
        let key = key.to_vec();
        block_on(requests::change_keys(self.shared(), move |keys| keys.install(&key)))
    }

    /// Encrypts with an installed key from now on.
    ///
    /// # Errors
    /// [`ClusterError::Key`] if it is not installed; [`ClusterError::Busy`]; [`ClusterError::Stopped`].
    pub fn use_key(&self, key: &[u8]) -> Result<(), ClusterError> {
        let key = key.to_vec();
        block_on(requests::change_keys(self.shared(), move |keys| keys.use_key(&key)))
    }

    /// Removes a key: what is encrypted with it can no longer be read.
    ///
    /// # Errors
    /// [`ClusterError::Key`] if it is the one in use; [`ClusterError::Busy`]; [`ClusterError::Stopped`].
    pub fn remove_key(&self, key: &[u8]) -> Result<(), ClusterError> {
        let key = key.to_vec();
        block_on(requests::change_keys(self.shared(), move |keys| keys.remove(&key)))
    }
}
