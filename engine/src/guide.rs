//! From nothing to a service, in ten minutes: each step is a program that runs.
//!
//! 1. [One member](#one-member)
//! 2. [A second one](#a-second-one)
//! 3. [Who is there](#who-is-there)
//! 4. [Telling everybody](#telling-everybody)
//! 5. [What everybody is to know](#what-everybody-is-to-know)
//! 6. [Asking one](#asking-one)
//! 7. [Going away](#going-away)
//! 8. [Settings and numbers](#settings-and-numbers)
//! 9. [Secret, and there again](#secret-and-there-again)
//! 10. [Nobody else's word](#nobody-elses-word)
//! 11. [What to expect](#what-to-expect)
//!
//! # One member
//! A program is in the cluster through a [`Cluster`](crate::Cluster): a name that no other member has, and an address that
//! the others can reach. One port serves UDP and TCP; port 0 is any that is free, for tests and for this guide.
//!
//! ```
//! use swimring::Cluster;
//!
//! # fn main() -> Result<(), swimring::ClusterError> {
//! let web = Cluster::builder("web-1").cluster("shop").bind("127.0.0.1:0").start()?;
//! println!("{} is at {}", web.name(), web.address());
//! assert_eq!(web.len()?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! The cluster's name keeps clusters apart that could meet by mistake: members of another are not heard. Everything else
//! happens on a thread of the member's own. A handle is cheap to clone, and with the last one the member stops.
//!
//! # A second one
//! Joining is meeting anybody who is there. What is given may be an address, `HOST:PORT`, or a name that stands for several;
//! all are tried, and the error says what became of each.
//!
//! ```
//! # use swimring::Cluster;
//! # fn main() -> Result<(), swimring::ClusterError> {
//! # let web = Cluster::builder("web-1").cluster("shop").bind("127.0.0.1:0").start()?;
//! let store = Cluster::builder("store-1").cluster("shop").bind("127.0.0.1:0").start()?;
//! let report = store.join([web.address()]).wait()?;
//! assert_eq!(store.len()?, 2);
//! # let _ = report;
//! # Ok(())
//! # }
//! ```
//!
//! A service names its seeds at the start instead, [`retry_join`](crate::ClusterBuilder::retry_join): then it does not matter
//! who is started first, nor whether a seed is down, and a member that finds itself alone tries them again. In an
//! asynchronous program everything that waits is awaited on [`as_async`](crate::Cluster::as_async), on any executor:
//! `store.as_async().join([address]).await`.
//!
//! # Who is there
//! [`watch`](crate::Cluster::watch) gives the members of one moment and every change from then on, without a gap between: what
//! a routing table, a hash ring or a load balancer is kept up to date with.
//!
//! ```
//! # use std::time::Duration;
//! # use swimring::{Cluster, ClusterEvent};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let web = Cluster::builder("web-1").cluster("shop").bind("127.0.0.1:0").start()?;
//! # let store = Cluster::builder("store-1").cluster("shop").bind("127.0.0.1:0").start()?;
//! let (members, mut events) = web.watch()?;
//! let mut names: Vec<_> = members.into_iter().map(|member| member.name).collect();
//! store.join([web.address()]).wait()?;
//! match events.recv_timeout(Duration::from_secs(30))? {
//!     ClusterEvent::Joined(member) => names.push(member.name),
//!     ClusterEvent::Failed { member, .. } | ClusterEvent::Left(member) => names.retain(|name| *name != member.name),
//!     // Too many changes for this subscriber: the members there are now.
//!     ClusterEvent::Lagged(_) => names = web.members()?.into_iter().map(|member| member.name).collect(),
//!     // Suspected, recovered, restarted, and what members say to each other.
//!     _ => {}
//! }
//! assert_eq!(names.len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! A member that is only suspected still counts as there: it has time to refute, and mostly does. Each member says something of
//! itself in up to 512 bytes of [`metadata`](crate::ClusterBuilder::metadata), which all others see and it can change.
//! [`detail`](crate::Cluster::detail) tells the round trip to one, and when it was last heard.
//!
//! # Telling everybody
//! An event reaches all members once, within a few round trips. It has a name and a payload, together at most 512 bytes. It
//! is for the moment: who joins later does not hear of it.
//!
//! ```
//! # use std::time::Duration;
//! # use swimring::{Cluster, ClusterEvent};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let web = Cluster::builder("web-1").cluster("shop").bind("127.0.0.1:0").start()?;
//! # let store = Cluster::builder("store-1").cluster("shop").bind("127.0.0.1:0").start()?;
//! # store.join([web.address()]).wait()?;
//! let mut events = store.subscribe()?;
//! web.send_event("flush", b"prices")?;
//! let flushed = loop {
//!     if let ClusterEvent::User(event) = events.recv_timeout(Duration::from_secs(30))? {
//!         break event;
//!     }
//! };
//! assert_eq!((&*flushed.name, &flushed.payload[..]), ("flush", &b"prices"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # What everybody is to know
//! What is to last is [`state`](crate::Cluster::state): keys and values that every member has, late ones too, as soon as their
//! join is done. A member's own keys only it writes, so nothing can conflict; the cluster's keys everyone may write, and
//! the last wins.
//!
//! ```
//! # use std::time::Duration;
//! # use swimring::{Cluster, StateEvent};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let web = Cluster::builder("web-1").cluster("shop").bind("127.0.0.1:0").start()?;
//! # let store = Cluster::builder("store-1").cluster("shop").bind("127.0.0.1:0").start()?;
//! web.state().set_for_cluster("config/currency", "EUR")?;
//! web.state().set("load", "0.4")?;
//! store.join([web.address()]).wait()?;
//! let currency = store.state().get_of_cluster("config/currency")?.expect("it came with the join");
//! assert_eq!(currency.value, "EUR");
//!
//! let (_, mut changes) = store.state().watch("load")?;
//! web.state().set("load", "0.5")?;
//! let StateEvent::Set(entry) = changes.recv_timeout(Duration::from_secs(30))? else { panic!("it was set") };
//! assert_eq!((entry.member.as_deref(), &entry.value[..]), (Some("web-1"), &b"0.5"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! It is not a database: there are no transactions, and no lock can be made of it. While the cluster is cut in two, each part goes
//! on, and afterwards both have what either wrote.
//!
//! # Asking one
//! [`send`](crate::Cluster::send) is one datagram to one member, which may be lost. [`send_reliable`](crate::Cluster::send_reliable)
//! is acknowledged and in order, and [`ask`](crate::Cluster::ask) waits for a reply. The other side gets them as events.
//!
//! ```
//! # use std::time::Duration;
//! # use swimring::{Cluster, ClusterEvent};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let web = Cluster::builder("web-1").cluster("shop").bind("127.0.0.1:0").start()?;
//! # let store = Cluster::builder("store-1").cluster("shop").bind("127.0.0.1:0").start()?;
//! # store.join([web.address()]).wait()?;
//! let events = store.subscribe()?;
//! std::thread::spawn(move || {
//!     for event in events {
//!         if let ClusterEvent::Question(question) = event {
//!             let asked = String::from_utf8_lossy(question.payload()).into_owned();
//!             let _ = question.reply(format!("{asked}: 17 left"));
//!         }
//!     }
//! });
//! let reply = web.ask("store-1", "apples", Duration::from_secs(30))?;
//! assert_eq!(reply, "apples: 17 left");
//! # Ok(())
//! # }
//! ```
//!
//! # Going away
//! A member that [leaves](crate::Cluster::leave) says goodbye: the others see `Left` at once, instead of `Failed` after seconds.
//! So a service leaves when it is told to stop, and only then ends.
//!
//! ```
//! # use std::time::Duration;
//! # use swimring::Cluster;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let web = Cluster::builder("web-1").cluster("shop").bind("127.0.0.1:0").start()?;
//! web.leave(Duration::from_secs(5)).wait()?;
//! web.shutdown();
//! # Ok(())
//! # }
//! ```
//!
//! # Settings and numbers
//! The presets `lan`, `wan` and `local` have the constants that memberlist is used with; each can be changed, in code with
//! [`tune`](crate::ClusterBuilder::tune) or in a [file](crate::ClusterBuilder::file), and is checked at the start. What is counted
//! goes to the facade of the crate `metrics`, for any exporter, and what happens to the log of `tracing`.
//!
//! ```
//! use std::time::Duration;
//! use swimring::{Cluster, Preset};
//!
//! # fn main() -> Result<(), swimring::ClusterError> {
//! let member = Cluster::builder("web-1")
//!     .bind("127.0.0.1:0")
//!     .preset(Preset::Wan)
//!     .tune(|settings| settings.probe_interval = Duration::from_secs(10))
//!     .start()?;
//! # drop(member);
//! # Ok(())
//! # }
//! ```
//!
//! # Secret, and there again
//! With a key, which all members share, everything between them is encrypted and authenticated, and what is repeated is
//! refused. With a [snapshot](crate::ClusterBuilder::snapshot) a process that was killed is there again without seeds: it finds the
//! others, says no more than it had said before, and has its keys and the cluster's.
//!
//! ```
//! use swimring::{Cluster, EncryptionOptions, WireOptions};
//!
//! # fn main() -> Result<(), swimring::ClusterError> {
//! # let path = std::env::temp_dir().join(format!("swimring-guide-{}", std::process::id()));
//! // 16, 24 or 32 bytes; in a settings file `secret_keys = ["..."]`, in base64.
//! let key = [17; 32];
//! let web = Cluster::builder("web-1")
//!     .bind("127.0.0.1:0")
//!     .wire(WireOptions::Encrypted(EncryptionOptions::with_key(key)))
//!     .snapshot(&path)
//!     .start()?;
//! web.state().set("load", "0.4")?;
//! // Otherwise within a second.
//! web.flush_snapshot()?;
//! # drop(web);
//! # for ending in ["", ".lock"] {
//! #     let _ = std::fs::remove_file(format!("{}{ending}", path.display()));
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # Who may come in
//! Whoever reaches a member and knows the cluster's name is a member, or with keys whoever has one. A member can be choosier:
//! [`allowed_networks`](crate::ClusterBuilder::allowed_networks) keeps out who is elsewhere, and
//! [`admit`](crate::ClusterBuilder::admit) asks the service about each member that is not known. The hook has a thread of its own
//! and may block, as nothing waits for it: what it has not said within `admission_timeout_ms` is no, or with
//! `admit_on_timeout` yes. [`admit_async`](crate::ClusterBuilder::admit_async) is the same for an answer that is awaited. Who is
//! refused is told of as [`ClusterEvent::NotAdmitted`](crate::ClusterEvent::NotAdmitted), and asked about again after
//! `admission_memory_ms`.
//!
//! ```
//! use std::time::Duration;
//! use swimring::{Cluster, ClusterEvent};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let web = Cluster::builder("web-1")
//!     .bind("127.0.0.1:0")
//!     .allowed_networks(["127.0.0.0/8", "10.0.0.0/8"])
//!     .admit(|candidate| candidate.metadata == "role=web".as_bytes())
//!     .start()?;
//! let events = web.subscribe()?;
//! let stranger = Cluster::builder("stranger").bind("127.0.0.1:0").start()?;
//! stranger.join([web.address()]).wait()?;
//! for event in events {
//!     if let ClusterEvent::NotAdmitted { candidate, reason } = event {
//!         assert_eq!(&*candidate.name, "stranger");
//!         println!("{} at {}: {reason}", candidate.name, candidate.address);
//!         break;
//!     }
//! }
//! assert_eq!(web.len()?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! It is each member's own judgement, and it is about the view: `SECURITY.md` says what it does not do. Give all members the same.
//!
//! # Nobody else's word
//! Whoever has the cluster's key can still say anything of anybody. Members that also have an [identity](crate::identity) each sign what
//! they say of themselves, and the others believe nobody else about it. The key is in a file of its own, made if it is not there. All
//! members of a cluster have one, or none.
//!
//! ```
//! use swimring::Cluster;
//!
//! # fn main() -> Result<(), swimring::ClusterError> {
//! # let folder = std::env::temp_dir().join(format!("swimring-guide-identity-{}", std::process::id()));
//! # let _ = std::fs::create_dir_all(&folder);
//! let web = Cluster::builder("web-1").bind("127.0.0.1:0").identity(folder.join("web-1.key")).start()?;
//! let store = Cluster::builder("store-1").bind("127.0.0.1:0").identity(folder.join("store-1.key")).start()?;
//! store.join([web.address()]).wait()?;
//! assert_ne!(store.local()?.public_key, None);
//! # let _ = std::fs::remove_dir_all(&folder);
//! # Ok(())
//! # }
//! ```
//!
//! What keeps strangers out is a list of the keys that are admitted, the same at all members:
//! [`admit_key`](crate::ClusterBuilder::admit_key), or `admitted_keys` in a settings file.
//!
//! # What to expect
//! A member that is killed is seen by all within some two to four seconds on a local network, one whose machine is gone within some
//! ten; one that only stands still for a few seconds is not declared dead. An event or a change of state is with
//! everybody within tens of milliseconds, in clusters of thousands too. What each of that costs, and how it was measured, stands in
//! the project's `docs/results`.
//!
//! Larger programs are among the crate's examples: `embed` keeps a hash ring, `request_reply` divides a store among members,
//! `key_value` shares state, `two_pools` connects data centres, and `service` puts all of it together in processes that are
//! killed, cut off and started again.
