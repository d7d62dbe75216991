//! Spoiled and random input by the hundred thousand. A program of its own, since it looks at how the whole process
//! grows: other tests beside it would be counted, too.

mod memberlist_mutated;
mod mutated;
mod random;
mod sealed_mutated;
