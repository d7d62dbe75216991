//! Who is there: what one member believes of each other, in little memory.
//!
//! `table` is one member's view, an `entry` for each other, `directory` the identities that all members of a worker share.
//! Members that agree hold differences against a `shared_view`, and `compaction` keeps it so. A `sketch` says where two views differ. `departed` remembers the dead. `zones` says
//! who is where. `statements` are what members have signed of themselves, `verified` what of shared state was found to be signed. `identity`, `packed_texts` and `references` are how the directory packs what it knows, `recent_hashes` what it need not hash again; `keyed_hash`, `permutation`,
//! `id_order`, `linked_lists` and `pairing_heap` are the structures below.

pub(in crate::protocol) mod departed;
pub(in crate::protocol) mod directory;
#[cfg(test)]
mod directory_test;
pub(in crate::protocol) mod entry;
pub(in crate::protocol) mod id_order;
pub(in crate::protocol) mod identity;
pub(in crate::protocol) mod keyed_hash;
pub(in crate::protocol) mod linked_lists;
pub(in crate::protocol) mod packed_texts;
pub(in crate::protocol) mod pairing_heap;
pub(in crate::protocol) mod permutation;
mod recent_hashes;
pub(in crate::protocol) mod references;
pub(in crate::protocol) mod shared_view;
pub(in crate::protocol) mod sketch;
#[cfg(test)]
mod sketch_test;
pub(in crate::protocol) mod statements;
pub(in crate::protocol) mod table;
#[cfg(test)]
mod table_test;
pub(in crate::protocol) mod verified;
pub(in crate::protocol) mod zones;

/// Makes room for one more in `items`, and for a sixteenth of what is there: what a member knows of others it keeps,
/// and twice the room would be as much memory again.
pub(in crate::protocol) fn grow_for_one<T>(items: &mut Vec<T>) {
    if items.len() == items.capacity() {
        items.reserve_exact((items.len() / GROWTH).max(GROWTH));
    }
}

/// What part of the items that are there room is made for.
const GROWTH: usize = 16;
