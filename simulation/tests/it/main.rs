//! All integration tests of the crate in one program: linking is most of what a test program costs.

mod adaptive_suspicion;
mod delegated_broadcast;
mod documents;
mod event_repair;
mod experiment;
mod experiment_network;
mod fuzz;
mod identities;
mod late_members;
mod mass_kills;
mod memberlist_messages;
mod memberlist_support;
mod memberlist_upstream;
mod paper_lifeguard;
mod paper_support;
mod paper_swim;
mod protocol_life;
mod protocol_regressions;
mod rebasing;
mod shared_state;
mod signed_state;
mod simulation;
mod small_clusters;
mod upstream_behaviour;
mod view_repair;
mod zones;
