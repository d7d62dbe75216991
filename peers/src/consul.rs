//! Consul's own agent, as a server.
