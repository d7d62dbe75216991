//! Reading what people write into settings files, and telling them what is wrong with it in their words.
//!
//! Everything that reads such files uses these: a member's own settings, and the files of the programs around
//! it. A file is read up to a bound, whatever its size is said to be; a value of the wrong kind is told what kind
//! it has to be; a name that is not known is answered with the nearest that are; a key is never repeated.

mod fault;
mod files;
mod names;
mod protocol;
mod secret;
mod suggest;
pub mod value;

pub use fault::toml_fault;
pub use files::read_bounded;
pub use names::doubt;
pub(crate) use names::ours;
pub use protocol::{Unsettable, set_protocol, setting_value};
pub use secret::secret_key;
pub use suggest::hint;
