//! All integration tests of the crate in one program: linking is most of what a test program costs.

mod command_line;
mod commands;
mod documents;
