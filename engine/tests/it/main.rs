//! All integration tests of the crate in one program: linking is most of what a test program costs.

mod addresses;
mod architecture_bounds;
mod cluster_api;
mod cluster_events;
mod cluster_join;
mod cluster_life;
mod cluster_seeds;
mod cluster_support;
mod documents;
mod fleet;
mod memberlist_cluster;
mod memberlist_member;
mod memberlist_no_allocation;
mod native_no_allocation;
mod net_drivers;
mod net_no_allocation;
mod net_own_addresses;
mod net_paths;
mod other_versions;
mod process_stops;
mod protocol_rooms;
mod stream_exchanges;
mod stream_limits;
mod stream_scanned;
mod stream_slow_peers;
mod stream_support;
