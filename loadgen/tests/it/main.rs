//! All integration tests of the crate in one program: linking is most of what a test program costs.

mod attach;
mod command_line;
mod documents;
mod ending;
mod narrow_paths;
mod refusals;
mod runs;
mod streams;
mod support;
