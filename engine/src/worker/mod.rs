//! One thread per core: a loop that drives the datagrams, streams and timers of the members it owns.
//!
//! A worker owns everything it touches: its socket, its timer wheel, its members and what they have in
//! common. Workers share nothing but how far behind each is (`pressure`); what one member has to say to another
//! goes over the network, whether it lives in the same worker or on another host. [`Fleet`] starts the workers and the stream thread beside
//! them and takes calls for them; [`Host`] is what a call may do on a worker; [`Observer`] hears what
//! happens to its members.

mod aside;
mod calls;
mod clock;
mod counters;
mod event_loop;
mod exchanges;
mod fleet;
mod held_joins;
mod host;
mod join_error;
mod members;
mod messages;
mod observer;
mod options;
mod other_versions;
mod pace;
mod packets;
mod pressure;
mod repeated_warning;
mod scanning;
mod sealing;
mod streams;
mod sweeping;
pub mod timer_wheel;
mod waiting_streams;
mod waiting_views;
mod zone_latency;

pub use counters::HostCounters;
pub use fleet::{Fleet, FleetError};
pub use host::Host;
pub use join_error::JoinFailure;
pub use members::HostedMember;
pub use messages::{MessageEnd, MessageFailure, QueueRefusal, ReceivedMessage, Reception};
pub use observer::{EventContext, Observer};
pub use options::FleetOptions;
pub use zone_latency::ZoneLatency;
