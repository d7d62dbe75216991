//! Consul's own agent as a server, asked through its HTTP interface.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::wait::wait_for;
use crate::{Error, http, programs};

/// Port of the HTTP interface.
const HTTP_PORT: u16 = 8500;
/// Port of the LAN gossip pool.
const GOSSIP_PORT: u16 = 8301;
/// How long a server may take to answer its first request.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a server may take to leave and end.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Settings of a [`ConsulServer`].
#[derive(Clone, Debug)]
pub struct ConsulOptions {
    /// Name of the member.
    pub name: String,
    /// The address for everything: gossip at port 8301, HTTP at 8500.
    pub bind: Ipv4Addr,
    /// Default `dc1`.
    pub datacenter: String,
    /// How many servers elect the first leader. Default 1.
    pub bootstrap_expect: usize,
    /// Whom it joins, tried until one answers. Default nobody.
    pub join: Vec<Ipv4Addr>,
    /// Gossip key of 16, 24 or 32 bytes, in base64. Default none: plaintext.
    pub encrypt: Option<String>,
    /// More settings, put over the others: Consul's own names. Default none.
    pub more: Value,
}

impl ConsulOptions {
    /// A server of this name and address; all else as by default.
    #[must_use]
    pub fn new(name: impl Into<String>, bind: Ipv4Addr) -> ConsulOptions {
        ConsulOptions {
            name: name.into(),
            bind,
            datacenter: "dc1".into(),
            bootstrap_expect: 1,
            join: Vec::new(),
            encrypt: None,
            more: Value::Null,
        }
    }

    /// Consul's configuration. The WAN pool is off: these tests are about one data centre.
    fn configuration(&self, directory: &Path) -> Value {
        let mut configuration = json!({
            "server": true,
            "node_name": self.name,
            "datacenter": self.datacenter,
            "bind_addr": self.bind,
            "client_addr": self.bind,
            "data_dir": directory.join("data"),
            "bootstrap_expect": self.bootstrap_expect,
            "retry_join": self.join,
            "retry_interval": "1s",
            "ports": { "serf_wan": -1 },
            "performance": { "raft_multiplier": 1 },
            "log_level": "INFO",
            "disable_update_check": true,
            "telemetry": { "disable_hostname": true },
        });
        if let Some(key) = &self.encrypt {
            configuration["encrypt"] = key.as_str().into();
        }
        for (setting, value) in self.more.as_object().into_iter().flatten() {
            configuration[setting] = value.clone();
        }
        configuration
    }
}

/// A member as `consul members` shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsulMember {
    /// Its name.
    pub name: String,
    /// Its `address:port`.
    pub addr: String,
    /// `alive`, `leaving`, `left` or `failed`.
    pub status: &'static str,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A running Consul server. Dropping it kills the process.
#[derive(Debug)]
pub struct ConsulServer {
    options: ConsulOptions,
    agent: Agent,
}

impl ConsulServer {
    /// Starts a server and waits until it answers; it may have no leader yet.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] without the program; [`Error::Ended`] if it does not like its settings or cannot bind;
    /// [`Error::Timeout`] if it does not answer.
    pub fn start(options: ConsulOptions) -> Result<ConsulServer, Error> {
        let program = programs::program("consul")?;
        let directory = Agent::directory()?;
        let file = directory.path().join("server.json");
        std::fs::write(&file, options.configuration(directory.path()).to_string())
            .map_err(Error::os("write Consul's configuration"))?;
        let arguments = ["agent".to_string(), format!("-config-file={}", file.display())];
        let agent = Agent::start(format!("consul {}", options.name), &program, &arguments, directory)?;
        let mut server = ConsulServer { options, agent };
        let what = format!("{} to answer", server.agent.name());
        wait_for(
            START_TIMEOUT,
            || what.clone(),
            || match (server.members(), server.agent.ended()) {
                (_, Some(ended)) => Err(ended),
                (Ok(_), None) => Ok(Some(())),
                (Err(_), None) => Ok(None),
            },
        )?;
        Ok(server)
    }

    /// Starts a data centre of servers at consecutive addresses and waits until all see all and one leads.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_datacenter(
        servers: usize,
        first_address: Ipv4Addr,
        encrypt: Option<&str>,
    ) -> Result<Vec<ConsulServer>, Error> {
        let mut started = Vec::with_capacity(servers);
        let mut address = first_address;
        for index in 0..servers {
            started.push(ConsulServer::start(ConsulOptions {
                bootstrap_expect: servers,
                join: if index == 0 { Vec::new() } else { vec![first_address] },
                encrypt: encrypt.map(Into::into),
                ..ConsulOptions::new(format!("consul-{index}"), address)
            })?);
            address = (address.to_bits() + 1).into();
        }
        for server in &started {
            server.wait_for_alive(servers, START_TIMEOUT)?;
            server.wait_for_leader(START_TIMEOUT)?;
        }
        Ok(started)
    }

    /// The settings it was started with.
    #[must_use]
    pub fn options(&self) -> &ConsulOptions {
        &self.options
    }

    /// Where it gossips in the LAN pool.
    #[must_use]
    pub fn gossip_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.options.bind, GOSSIP_PORT)
    }

    /// The process's id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.agent.process_id()
    }

    /// All that the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.agent.log()
    }

    /// All members of the LAN pool that the server knows, as in `consul members`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn members(&self) -> Result<Vec<ConsulMember>, Error> {
        let path = "/v1/agent/members";
        let answer = self.get(path)?;
        answer
            .as_array()
            .and_then(|members| members.iter().map(parse_member).collect())
            .ok_or_else(|| self.unintelligible(path, &answer))
    }

    /// One member as the server sees it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn member(&self, name: &str) -> Result<Option<ConsulMember>, Error> {
        Ok(self.members()?.into_iter().find(|member| member.name == name))
    }

    /// Waits until the server shows a member with this status.
    ///
    /// # Errors
    /// [`Error::Timeout`], or as [`get`](Self::get).
    pub fn wait_for_status(
        &self,
        name: &str,
        status: &str,
        timeout: Duration,
    ) -> Result<ConsulMember, Error> {
        let what = || format!("{} to show {name} as {status}", self.agent.name());
        wait_for(timeout, what, || Ok(self.member(name)?.filter(|member| member.status == status)))
    }

    /// Waits until the server shows this many members alive.
    ///
    /// # Errors
    /// [`Error::Timeout`], or as [`get`](Self::get).
    pub fn wait_for_alive(&self, count: usize, timeout: Duration) -> Result<(), Error> {
        let what = || format!("{} to show {count} members alive", self.agent.name());
        wait_for(timeout, what, || {
            let alive = self.members()?.iter().filter(|member| member.status == "alive").count();
            Ok((alive == count).then_some(()))
        })
    }

    /// Address of the leader's servers' port, if the server knows of one.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn leader(&self) -> Result<Option<String>, Error> {
        let answer = self.get("/v1/status/leader")?;
        Ok(answer.as_str().filter(|address| !address.is_empty()).map(Into::into))
    }

    /// Waits until the server knows of a leader.
    ///
    /// # Errors
    /// [`Error::Timeout`], or as [`get`](Self::get).
    pub fn wait_for_leader(&self, timeout: Duration) -> Result<String, Error> {
        wait_for(timeout, || format!("{} to have a leader", self.agent.name()), || self.leader())
    }

    /// Names of the nodes in the catalog.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn catalog(&self) -> Result<Vec<String>, Error> {
        let path = "/v1/catalog/nodes";
        let answer = self.get(path)?;
        let names =
            |nodes: &Vec<Value>| nodes.iter().map(|node| Some(node["Node"].as_str()?.to_string())).collect();
        answer.as_array().and_then(names).ok_or_else(|| self.unintelligible(path, &answer))
    }

    /// Fires one of Consul's user events.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn event(&self, name: &str, payload: &[u8]) -> Result<(), Error> {
        self.request("PUT", &format!("/v1/event/fire/{name}"), payload).map(drop)
    }

    /// Names of the user events that this server has received.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn event_names(&self) -> Result<Vec<String>, Error> {
        let path = "/v1/event/list";
        let answer = self.get(path)?;
        let names = |events: &Vec<Value>| {
            events.iter().map(|event| Some(event["Name"].as_str()?.to_string())).collect()
        };
        answer.as_array().and_then(names).ok_or_else(|| self.unintelligible(path, &answer))
    }

    /// Lets the server leave and waits for its end.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`Error::Timeout`].
    pub fn leave(mut self) -> Result<(), Error> {
        self.request("PUT", "/v1/agent/leave", &[])?;
        self.agent.wait_for_end(LEAVE_TIMEOUT)
    }

    /// Ends the process at once, without a word to the cluster.
    ///
    /// # Errors
    /// [`Error::Ended`] if it had ended before.
    pub fn kill(mut self) -> Result<(), Error> {
        self.agent.signal(Signal::SIGKILL)?;
        self.agent.wait_for_end(LEAVE_TIMEOUT)
    }

    /// The answer of the HTTP interface at a path such as `/v1/agent/self`.
    ///
    /// # Errors
    /// [`Error::Os`] with Consul's words if it cannot be reached or answers with an error,
    /// [`Error::Unintelligible`] if the answer is not JSON.
    pub fn get(&self, path: &str) -> Result<Value, Error> {
        self.request("GET", path, &[])
    }

    fn request(&self, method: &str, path: &str, body: &[u8]) -> Result<Value, Error> {
        let address = SocketAddrV4::new(self.options.bind, HTTP_PORT);
        let answer = http::request(address.into(), method, path, body)
            .map_err(Error::os(format!("{method} {path} of {}", self.agent.name())))?;
        if answer.trim_ascii().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer)
            .map_err(|_| self.unintelligible(path, &String::from_utf8_lossy(&answer).into_owned().into()))
    }

    fn unintelligible(&self, path: &str, answer: &Value) -> Error {
        Error::Unintelligible {
            program: self.agent.name().into(),
            command: path.into(),
            answer: answer.to_string().chars().take(400).collect(),
        }
    }
}

fn parse_member(value: &Value) -> Option<ConsulMember> {
    let mut tags = BTreeMap::new();
    for (tag, text) in value["Tags"].as_object().into_iter().flatten() {
        tags.insert(tag.clone(), text.as_str()?.to_string());
    }
    let status = match value["Status"].as_u64()? {
        0 => "none",
        1 => "alive",
        2 => "leaving",
        3 => "left",
        4 => "failed",
        _ => return None,
    };
    let addr = format!("{}:{}", value["Addr"].as_str()?, value["Port"].as_u64()?);
    Some(ConsulMember { name: value["Name"].as_str()?.into(), addr, status, tags })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_as_consul_tells_them() {
        let value = json!({"Name": "consul-0", "Addr": "127.22.0.1", "Port": 8301, "Status": 4, "Tags": {"dc": "dc1"}});
        let member = parse_member(&value).unwrap();
        assert_eq!((member.addr.as_str(), member.status), ("127.22.0.1:8301", "failed"));
        assert_eq!(member.tags["dc"], "dc1");
    }

    #[test]
    fn more_settings_win() {
        let mut options = ConsulOptions::new("one", Ipv4Addr::LOCALHOST);
        options.more = json!({"log_level": "DEBUG"});
        let configuration = options.configuration(Path::new("/nowhere"));
        assert_eq!(configuration["log_level"], "DEBUG");
        assert_eq!(configuration["node_name"], "one");
        assert!(configuration.get("encrypt").is_none());
    }
}
