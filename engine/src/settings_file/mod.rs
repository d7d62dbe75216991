//! Reading what people write into settings files, and telling them what is wrong with it in their words.
//!
//! Everything that reads such files uses these: a member's own settings, and the files of the programs around
//! it. A file is read up to a bound, whatever its size is said to be; a value of the wrong kind is told what kind
//! it has to be; a name that is not known is answered with the nearest that are; a key is never repeated.

#[cfg(feature = "toml")]
mod fault;
mod files;
mod names;
#[cfg(feature = "toml")]
mod protocol;
#[cfg(feature = "toml")]
mod secret;
#[cfg(feature = "toml")]
mod suggest;
#[cfg(feature = "toml")]
pub mod value;

#[cfg(feature = "toml")]
pub use fault::toml_fault;
pub use files::read_bounded;
pub use names::doubt;
#[cfg(feature = "toml")]
pub(crate) use names::ours;
#[cfg(feature = "toml")]
pub use protocol::{Unsettable, set_protocol, setting_value};
#[cfg(feature = "toml")]
pub use secret::secret_key;
#[cfg(feature = "toml")]
pub use suggest::hint;
