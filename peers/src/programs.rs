//! Where the programs are that `peers/build` makes.

use std::path::PathBuf;

use crate::Error;

/// The directory of the built programs: `peers/bin`, or what `SWIMRING_PEERS_BIN` says.
#[must_use]
pub fn directory() -> PathBuf {
    match std::env::var_os("SWIMRING_PEERS_BIN") {
        Some(path) => path.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("bin"),
    }
}

/// The file of a program: `memberlist` (which is `memberlist-peer`), `serf` or `consul`.
///
/// # Errors
/// [`Error::NotBuilt`] if it is not there.
pub fn program(name: &'static str) -> Result<PathBuf, Error> {
    let path = directory().join(if name == "memberlist" { "memberlist-peer" } else { name });
    if path.is_file() { Ok(path) } else { Err(Error::NotBuilt { name, path }) }
}
