//! Resolving names: with the system's resolver, which blocks for as long as it likes, or with another that the
//! application gives, on threads that nobody waits for.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use swimring_codec::canonical;

use super::attempt::{JoinProgress, ProgressSender};

/// Most names being resolved at once. A resolver that hangs keeps its thread, and a member that retries
/// for ever must not gather them without limit.
const RESOLVERS_MAX: usize = 32;

/// Finds the addresses that a seed's name stands for.
///
/// The default, [`SystemResolver`], asks the system. Another can ask a service catalogue, read SRV records, or
/// hold a table:
///
/// ```
/// use std::collections::HashMap;
/// use std::io;
/// use std::net::SocketAddr;
/// use swimring::{Cluster, Resolve};
///
/// #[derive(Debug)]
/// struct Table(HashMap<String, Vec<SocketAddr>>);
///
/// impl Resolve for Table {
///     fn resolve(&self, host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
///         self.0.get(host).cloned().ok_or_else(|| io::Error::other("no such name in the table"))
///     }
/// }
///
/// # fn main() -> Result<(), swimring::ClusterError> {
/// let table = Table(HashMap::from([("pool".to_owned(), vec![([10, 0, 0, 1], 7946).into()])]));
/// let cluster = Cluster::builder("web-1").bind("127.0.0.1:0").resolver(table).start()?;
/// # drop(cluster);
/// # Ok(())
/// # }
/// ```
pub trait Resolve: fmt::Debug + Send + Sync {
    /// All addresses of `host`, in any order; `port` is the one that the seed names, and a resolver that knows
    /// better may give others. It may block: it has a thread of its own for each name, 32 at most.
    ///
    /// # Errors
    /// The reason, which the join gives for the seed.
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver: the hosts file, DNS, and what else it is set up to ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        (host, port).to_socket_addrs().map(Iterator::collect)
    }
}

/// The resolver, and how many names it is resolving.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct Resolvers {
    resolver: Arc<dyn Resolve>,
    under_way: Arc<AtomicUsize>,
}

impl Resolvers {
    pub(in crate::cluster) fn new(resolver: Arc<dyn Resolve>) -> Resolvers {
        Resolvers { resolver, under_way: Arc::default() }
    }

    /// Resolves `host`, and tells the join of `progress` what it found for `seed`. False if too many are under way.
    pub(super) fn resolve(&self, host: &str, port: u16, seed: usize, progress: ProgressSender) -> bool {
        let taken = Place::take(self);
        let Some(place) = taken else { return false };
        let host = host.to_owned();
        let resolving = std::thread::Builder::new().name("swimring-resolve".to_owned()).spawn(move || {
            let resolved = place.0.resolver.resolve(&host, port);
            let result = resolved
                .map(|found| found.into_iter().map(canonical).collect::<Vec<SocketAddr>>())
                .map_err(|error| error.to_string());
            drop(place);
            progress.send(JoinProgress::Resolved { seed, result });
        });
        resolving.is_ok()
    }
}

/// A place among the resolvers, free again when dropped.
struct Place(Resolvers);

impl Place {
    fn take(resolvers: &Resolvers) -> Option<Place> {
        if resolvers.under_way.fetch_add(1, Ordering::Relaxed) >= RESOLVERS_MAX {
            resolvers.under_way.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Place(resolvers.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
