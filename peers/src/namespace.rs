//! A network namespace.
