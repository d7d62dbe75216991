//! What Swimring's command lines share, so that each says the same things in the same way.
//!
//! - what is typed: [`values`] reads numbers, durations, rates and addresses; [`layers`] looks in the environment and in
//!   a file for what was not typed; [`refusal`] says in one line why a command line was refused;
//!   [`manual`] makes completions and manual pages of it;
//! - what is shown: [`quantiles`] of what was measured, [`text`] writes numbers, [`table`] aligns them, and [`html`] has them on a page; [`columns`] knows how wide the page is and
//!   [`style`] whether it has colours; [`output`] writes to streams that may be closed or full;
//! - how it ends: [`exit`] statuses for scripts, [`interrupt`] for Ctrl-C and its relatives;
//! - what made a result: [`environment`], with the commit that the program was built from ([`build!`]);
//! - what it costs: [`cpu`] and memory of this process, by [`procfs`].
//!
//! It knows nothing of membership: no other crate of the workspace is among its dependencies.
#![deny(missing_docs, clippy::print_stdout, clippy::print_stderr)]
#![forbid(unsafe_code)]

pub mod columns;
pub mod cpu;
pub mod environment;
pub mod exit;
pub mod html;
pub mod interrupt;
pub mod layers;
pub mod manual;
pub mod output;
pub mod procfs;
pub mod quantiles;
pub mod refusal;
pub mod style;
pub mod table;
pub mod text;
pub mod values;
