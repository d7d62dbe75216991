//! Names of others: what the settings of a member are called in other programs' configuration.
//!
//! Someone who comes from Consul, Serf or memberlist writes what they know. None of it is close to our name in
//! letters, so the nearest names would not find it.

/// What others call it, and what it is here.
const NAMES: [(&str, &str); 28] = [
    ("retry_join", "seeds"),
    ("retry_join_lan", "seeds"),
    ("start_join", "seeds"),
    ("join", "seeds"),
    ("peers", "seeds"),
    ("bind_addr", "bind"),
    ("bind_port", "bind"),
    ("listen", "bind"),
    ("port", "bind"),
    ("advertise_addr", "advertise"),
    ("advertise_addr_lan", "advertise"),
    ("advertise_port", "advertise"),
    ("node_name", "name"),
    ("node", "name"),
    ("cluster_name", "cluster"),
    ("tags", "metadata"),
    ("node_meta", "metadata"),
    ("meta", "metadata"),
    ("encrypt", "secret_keys"),
    ("encrypt_key", "secret_keys"),
    ("encrypt_verify_incoming", "gossip_verify_incoming"),
    ("encrypt_verify_outgoing", "gossip_verify_outgoing"),
    ("gossip_nodes", "gossip_fanout"),
    ("suspicion_mult", "suspicion_multiplier"),
    ("retransmit_mult", "retransmit_multiplier"),
    ("profile", "preset"),
    ("snapshot", "snapshot_path"),
    ("snapshot_file", "snapshot_path"),
];

/// What is odd about a name of somebody or something, to follow what it is the name of: that it is still a
/// template, or has blanks at an end.
pub fn doubt(name: &str) -> Option<String> {
    let template = ["${", "$(", "{{", "%{"].iter().any(|start| name.contains(start));
    if template {
        return Some(format!("is `{name}`, letter by letter: nothing puts a value in its place here"));
    }
    (name.trim() != name).then(|| format!("has blanks at an end: `{name}`"))
}

/// What the setting that others call `name` is called here.
pub(crate) fn ours(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    NAMES.iter().find(|(other, _)| *other == name).map(|(_, ours)| *ours)
}
