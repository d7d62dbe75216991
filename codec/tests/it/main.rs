//! All integration tests of the crate in one program: linking is most of what a test program costs.

mod arbitrary;
mod division;
mod golden;
mod limits;
mod memberlist_golden;
mod memberlist_properties;
mod memberlist_refusals;
mod no_allocation;
mod properties;
mod refusals;
mod sealed;
mod serf;
mod signed;
