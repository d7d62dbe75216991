//! Serf's own agent.
