//! Resolving names with the system's resolver, which blocks for as long as it likes, on threads that
//! nobody waits for.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam::channel::Sender;

use swimring_codec::canonical;

use super::attempt::Note;

/// Most names being resolved at once. A resolver that hangs keeps its thread, and a member that retries
/// for ever must not gather them without limit.
const RESOLVERS_MAX: usize = 32;

/// Counts the names being resolved.
#[derive(Clone, Debug, Default)]
pub(in crate::cluster) struct Resolvers(Arc<AtomicUsize>);

impl Resolvers {
    /// Resolves `host`, and says in `notes` what came of it for `seed`. False if too many are under way.
    pub(super) fn resolve(&self, host: &str, port: u16, seed: usize, notes: Sender<Note>) -> bool {
        let taken = Place::take(self);
        let Some(place) = taken else { return false };
        let host = host.to_owned();
        let resolving = std::thread::Builder::new().name("swimring-resolve".to_owned()).spawn(move || {
            let _place = place;
            let resolved = (host.as_str(), port).to_socket_addrs();
            let result = resolved
                .map(|found| found.map(canonical).collect::<Vec<SocketAddr>>())
                .map_err(|error| error.to_string());
            // There is room for every seed; the join may have ended.
            let _ = notes.try_send(Note::Resolved { seed, result });
        });
        resolving.is_ok()
    }
}

/// A place among the resolvers, free again when dropped.
struct Place(Resolvers);

impl Place {
    fn take(resolvers: &Resolvers) -> Option<Place> {
        if resolvers.0.fetch_add(1, Ordering::Relaxed) >= RESOLVERS_MAX {
            resolvers.0.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Place(resolvers.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
