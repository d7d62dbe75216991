//! Starting workers, and calling them.
//!
//! [`Fleet::start`] binds every socket first, so that a busy port is one clear error before any thread
//! runs; then starts the stream thread and one thread per worker. Everything else is a *call*: a closure
//! that runs on the worker's thread between two turns and may do there what [`Host`] offers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel;
use rand::TryRng;
use rand::rngs::SysRng;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use swimring_codec::memberlist::STREAM_MAX;
use swimring_codec::native::{SEAL_OVERHEAD, cluster_with_identities};
use thiserror::Error;

use super::calls::{Calls, Refused};
use super::event_loop::{self, Place};
use super::host::{Host, HostParts, Secret};
use super::observer::Observer;
use super::options::FleetOptions;
use super::pace::Pace;
use super::pressure::Pressure;
use super::scanning::Scanners;
use super::streams::{VIEWS_ASIDE, view_bytes};
use crate::net::{Driver, Endpoint, NetError, NetOptions, Trains, Waker};
use crate::protocol::{CheckedWire, SettingsError, WireOptions, WireOptionsError};
use crate::stream::{Framing, StreamCounters, StreamError, StreamOptions, StreamService, Wake};

fn why(cause: &Option<String>) -> String {
    cause.as_ref().map_or_else(String::new, |cause| format!(": {cause}"))
}

/// Why a fleet could not start or be called.
#[derive(Error)]
#[non_exhaustive]
pub enum FleetError {
    /// A setting of the protocol cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// An option of the wire format cannot be used.
    #[error(transparent)]
    Wire(#[from] WireOptionsError),
    /// The socket or the driver could not be opened.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The stream service.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// An option of the fleet cannot be used.
    #[error("{setting} {expected}")]
    Option {
        /// Its name.
        setting: &'static str,
        /// The values that would do.
        expected: String,
    },
    /// The system refused a thread.
    #[error("cannot start a worker thread: {0}; lower workers or raise the limit on processes")]
    Thread(std::io::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers, which encryption needs: {0}")]
    Random(String),
    /// A worker has ended.
    #[error("worker {worker} has stopped{}", why(cause))]
    Stopped {
        /// Its number.
        worker: usize,
        /// The error that its driver ended with, if that was the cause.
        cause: Option<String>,
    },
    /// A worker has too many calls waiting.
    #[error("worker {0} has too many calls waiting: call it more slowly")]
    Busy(usize),
}

crate::error_text::debug_is_the_sentence!(FleetError);

struct Worker<O> {
    calls: Arc<Calls<O>>,
    waker: Waker,
    thread: Option<JoinHandle<Result<O, NetError>>>,
    address: SocketAddr,
}

/// A running set of workers. Dropping it stops them.
pub struct Fleet<O: Observer> {
    workers: Vec<Worker<O>>,
    streams: Option<StreamService>,
    origin: Instant,
}

impl Wake for Waker {
    fn wake(&self) {
        Waker::wake(self);
    }
}

impl<O: Observer> Fleet<O> {
    /// Starts `options.workers` workers; `observer(i)` hears what happens on worker `i`.
    ///
    /// # Errors
    /// [`FleetError`], each naming the setting and what it has to be.
    #[allow(clippy::disallowed_methods, reason = "the fleet's clock starts here")]
    pub fn start(
        options: &FleetOptions,
        mut observer: impl FnMut(usize) -> O,
    ) -> Result<Fleet<O>, FleetError> {
        let format = check(options)?;
        let options = &derive(options);
        let mut endpoints = Vec::with_capacity(options.workers);
        let mut listeners = Vec::with_capacity(options.workers);
        for worker in 0..options.workers {
            let mut endpoint = Endpoint::bind(address_of(options, worker)?, &options.net)?;
            listeners.extend(endpoint.take_listener());
            endpoints.push(endpoint);
        }
        let origin = Instant::now();
        let pressure = Arc::new(Pressure::new(options.workers));
        // A waker exists once its driver does, and a driver only on its own thread.
        let mut starting = Vec::with_capacity(options.workers);
        for (worker, endpoint) in endpoints.into_iter().enumerate() {
            let place = (worker, &pressure);
            let parts = HostParts::new(
                options,
                &format,
                worker,
                (endpoint.local_address(), origin),
                [secret()?, secret()?, secret()?],
            );
            starting.push(start_worker(options, place, endpoint, parts, observer(worker))?);
        }
        let mut workers = Vec::with_capacity(options.workers);
        let mut ports_to = Vec::with_capacity(options.workers);
        for Starting { worker, ready, port } in starting {
            let index = workers.len();
            let waker = ready.recv().map_err(|_| FleetError::Stopped { worker: index, cause: None })??;
            let StartingWorker { calls, thread, address } = worker;
            workers.push(Worker { calls, waker, thread: Some(thread), address });
            ports_to.push(port);
        }
        let wakers = workers.iter().map(|worker| Arc::new(worker.waker.clone()) as Arc<dyn Wake>).collect();
        let (streams, ports) = StreamService::start(listeners, wakers, options.stream.clone())?;
        for (to, port) in ports_to.into_iter().zip(ports) {
            // The worker waits for it.
            let _ = to.send(port);
        }
        Ok(Fleet { workers, streams: Some(streams), origin })
    }

    /// How many workers there are.
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Never: a fleet has at least one worker.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Where the members of `worker` receive.
    pub fn address(&self, worker: usize) -> SocketAddr {
        self.workers[worker].address
    }

    /// How long the fleet has been running, on the clock its members see.
    #[allow(clippy::disallowed_methods, reason = "the fleet's clock")]
    pub fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.origin)
    }

    /// What the stream service counted.
    pub fn stream_counters(&self) -> Option<Arc<StreamCounters>> {
        self.streams.as_ref().map(|streams| Arc::clone(streams.counters()))
    }

    /// Has `worker` run `call` between two turns of its loop.
    ///
    /// # Errors
    /// [`FleetError::Busy`] if too many calls are waiting, [`FleetError::Stopped`] if the worker has ended.
    pub fn call(
        &self,
        worker: usize,
        call: impl FnOnce(&mut Host<O>, &mut Trains) + Send + 'static,
    ) -> Result<(), FleetError> {
        self.workers[worker].calls.push(Box::new(call)).map_err(|refused| match refused {
            Refused::Full => FleetError::Busy(worker),
            Refused::Ended => self.stopped(worker),
        })?;
        self.workers[worker].waker.wake();
        Ok(())
    }

    /// Has `worker` run `call`, and waits for what it gives.
    ///
    /// # Errors
    /// As [`Fleet::call`].
    pub fn ask<R: Send + 'static>(
        &self,
        worker: usize,
        call: impl FnOnce(&mut Host<O>, &mut Trains) -> R + Send + 'static,
    ) -> Result<R, FleetError> {
        self.begin(worker, call)?.recv().map_err(|_| self.stopped(worker))
    }

    /// Has every worker run `call` at the same time, and waits for what they give, in their order.
    ///
    /// # Errors
    /// As [`Fleet::ask`].
    pub fn ask_all<R: Send + 'static>(
        &self,
        mut call: impl FnMut(usize) -> Box<dyn FnOnce(&mut Host<O>, &mut Trains) -> R + Send>,
    ) -> Result<Vec<R>, FleetError> {
        let begun = (0..self.len()).map(|worker| self.begin(worker, call(worker)));
        let begun = begun.collect::<Result<Vec<_>, _>>()?;
        let answers = begun.into_iter().enumerate();
        answers.map(|(worker, answer)| answer.recv().map_err(|_| self.stopped(worker))).collect()
    }

    fn stopped(&self, worker: usize) -> FleetError {
        FleetError::Stopped { worker, cause: self.workers[worker].calls.cause().map(str::to_owned) }
    }

    fn begin<R: Send + 'static>(
        &self,
        worker: usize,
        call: impl FnOnce(&mut Host<O>, &mut Trains) -> R + Send + 'static,
    ) -> Result<channel::Receiver<R>, FleetError> {
        let (answer, answered) = channel::bounded(1);
        self.call(worker, move |host, trains| {
            let _ = answer.send(call(host, trains));
        })?;
        Ok(answered)
    }

    /// Stops the workers and gives their observers back, in order.
    ///
    /// # Errors
    /// [`FleetError::Net`] if a worker's driver had failed.
    pub fn stop(&mut self) -> Result<Vec<O>, FleetError> {
        self.ask_to_stop();
        let mut observers = Vec::with_capacity(self.workers.len());
        for (index, worker) in self.workers.iter_mut().enumerate() {
            let Some(thread) = worker.thread.take() else { continue };
            observers.push(thread.join().map_err(|_| FleetError::Stopped { worker: index, cause: None })??);
        }
        Ok(observers)
    }

    fn ask_to_stop(&self) {
        for worker in 0..self.workers.len() {
            // A full queue is drained every turn.
            while let Err(FleetError::Busy(_)) = self.call(worker, |host, _| host.stop()) {
                std::thread::yield_now();
            }
        }
    }
}

impl<O: Observer> Drop for Fleet<O> {
    fn drop(&mut self) {
        self.ask_to_stop();
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                let _ = thread.join();
            }
        }
    }
}

impl<O: Observer> std::fmt::Debug for Fleet<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

/// Gives the wire format, whose options are checked here and nowhere else.
fn check(options: &FleetOptions) -> Result<CheckedWire, FleetError> {
    options.settings.validate()?;
    let wire = options.wire.check()?;
    let option = |setting, expected: String| Err(FleetError::Option { setting, expected });
    if !(1..=1024).contains(&options.workers) {
        return option("workers", format!("has to be between 1 and 1024, and is {}", options.workers));
    }
    if !(Duration::from_millis(1)..=Duration::from_millis(100)).contains(&options.tick) {
        return option("tick", format!("has to be between 1 and 100 ms, and is {:?}", options.tick));
    }
    if options.own_addresses && !options.bind.ip().to_canonical().is_unspecified() {
        let given = options.bind.ip();
        return option("bind", format!("has to be 0.0.0.0 or [::] with own_addresses, and is {given}"));
    }
    if !(0.0..1.0).contains(&options.receive_loss) {
        let given = options.receive_loss;
        return option("receive_loss", format!("has to be at least 0 and below 1, and is {given}"));
    }
    if options.identities.is_some() && !options.wire.is_native() {
        return option("identities", "needs the native wire: members of the others have none".to_owned());
    }
    check_derived(options)?;
    Ok(wire)
}

/// Refuses options of sockets and streams that a fleet derives from others: what they say would be overridden.
fn check_derived(options: &FleetOptions) -> Result<(), FleetError> {
    let (net, stream) = (NetOptions::default(), StreamOptions::default());
    let memberlist = !options.wire.is_native();
    let derived = [
        ("net.own_addresses", options.net.own_addresses != net.own_addresses, "own_addresses"),
        ("net.frame_bytes_max", options.net.frame_bytes_max != net.frame_bytes_max, "settings"),
        ("stream.framing", !matches!(options.stream.framing, Framing::LengthPrefixed), "wire"),
        (
            "stream.message_bytes_max",
            memberlist && options.stream.message_bytes_max != stream.message_bytes_max,
            "wire",
        ),
    ];
    match derived.into_iter().find(|(_, is_set, _)| *is_set) {
        None => Ok(()),
        Some((setting, _, from)) => {
            Err(FleetError::Option { setting, expected: format!("follows from {from}: leave it as it is") })
        }
    }
}

/// The options of sockets and streams that follow from the others.
fn derive(options: &FleetOptions) -> FleetOptions {
    let mut options = options.clone();
    options.net.own_addresses = options.own_addresses;
    if options.identities.is_some() {
        options.cluster = cluster_with_identities(options.cluster);
    }
    options.net.frame_bytes_max = options.settings.frame_bytes_max;
    options.stream.networks = options.admission.networks.clone();
    // What is set aside has to be kept when it comes back, beside what else does.
    options.stream.pooled_bytes_max =
        options.stream.pooled_bytes_max.max(2 * VIEWS_ASIDE * view_bytes(&options));
    if let WireOptions::Encrypted(_) = &options.wire {
        options.stream.message_bytes_max += SEAL_OVERHEAD;
        let longest = options.stream.message_bytes_max;
        options.stream.queued_bytes_max = options.stream.queued_bytes_max.max(longest);
        options.stream.assembled_bytes_max = options.stream.assembled_bytes_max.max(longest);
        options.stream.exchange_bytes_max = options.stream.exchange_bytes_max.max(longest as u64);
    }
    if let WireOptions::Memberlist(wire) = &options.wire {
        options.net.segmentation = false;
        // Nothing arrives in trains, and to look for them costs.
        options.net.coalescing = false;
        options.stream.framing = Framing::Scanned(Arc::new(Scanners { labelled: !wire.label.is_empty() }));
        options.stream.message_bytes_max = STREAM_MAX;
        options.stream.queued_bytes_max = options.stream.queued_bytes_max.max(2 * STREAM_MAX);
    }
    options
}

fn address_of(options: &FleetOptions, worker: usize) -> Result<SocketAddr, FleetError> {
    let mut address = options.bind;
    if address.port() != 0 {
        let port = usize::from(address.port()) + worker;
        let Ok(port) = u16::try_from(port) else {
            let expected = format!("needs {} ports from {} on", options.workers, address.port());
            return Err(FleetError::Option { setting: "bind", expected });
        };
        address.set_port(port);
    }
    Ok(address)
}

struct StartingWorker<O> {
    calls: Arc<Calls<O>>,
    thread: JoinHandle<Result<O, NetError>>,
    address: SocketAddr,
}

struct Starting<O> {
    worker: StartingWorker<O>,
    ready: channel::Receiver<Result<Waker, NetError>>,
    port: channel::Sender<crate::stream::StreamPort>,
}

fn start_worker<O: Observer>(
    options: &FleetOptions,
    (worker, pressure): (usize, &Arc<Pressure>),
    endpoint: Endpoint,
    parts: HostParts,
    observer: O,
) -> Result<Starting<O>, FleetError> {
    let pressure = Arc::clone(pressure);
    let calls = Arc::new(Calls::new());
    let (ready, is_ready) = channel::bounded(1);
    let (port, port_arrives) = channel::bounded(1);
    let address = endpoint.local_address();
    let (options, calls_taken) = (options.clone(), Arc::clone(&calls));
    let thread = std::thread::Builder::new()
        .name(format!("swimring-{worker}"))
        .spawn(move || {
            // However the worker ends, its callers hear of it.
            let _ended = Ending(&calls_taken);
            if options.pin {
                pin(worker);
            }
            let driver = match Driver::open(endpoint, &options.net) {
                Ok(driver) => driver,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return Ok(observer);
                }
            };
            let _ = ready.send(Ok(driver.waker()));
            // The fleet gave up if the other end is gone.
            let Ok(port) = port_arrives.recv() else { return Ok(observer) };
            let host = Host::new(&options, parts, port, observer);
            let pace = Pace::new(options.tick, options.gossip_frames_per_second);
            let outcome =
                event_loop::run(driver, host, pace, &calls_taken, &Place { worker, pressure: &pressure });
            if let Err(error) = &outcome {
                tracing::error!(worker, %error, "a worker ends: its members are gone");
                calls_taken.failed(error.to_string());
            }
            outcome
        })
        .map_err(FleetError::Thread)?;
    Ok(Starting { worker: StartingWorker { calls, thread, address }, ready: is_ready, port })
}

/// Random bytes that nobody else knows.
fn secret() -> Result<Secret, FleetError> {
    let mut secret = [0; 32];
    SysRng.try_fill_bytes(&mut secret).map_err(|error| FleetError::Random(error.to_string()))?;
    Ok(secret)
}

/// Ends a worker's calls when dropped.
struct Ending<'a, O>(&'a Calls<O>);

impl<O> Drop for Ending<'_, O> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Keeps this thread on one of the cores that the process may use. Without effect where the system refuses it.
fn pin(worker: usize) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    if !cores.is_empty() {
        let mut own = CpuSet::new();
        own.set(cores[worker % cores.len()]);
        let _ = sched_setaffinity(None, &own);
    }
}
