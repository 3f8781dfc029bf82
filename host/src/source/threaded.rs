//! A source's instance on a thread of its own. Whoever asks it waits no longer than is wanted: once the work is to stop,
//! or a statement has had its time, the instance is asked to end, and one that does not is left behind with its thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rivet_sdk::{
    BatchSink, Bounds, BoundsRequest, Description, Error, ErrorKind, ExportRequest, ExportStats, Identity, Interrupt,
    Relation, Result, Retry, Scalar, SessionPolicy, Snapshot, Source, Split, SplitRequest, TableFilter, TableSummary,
    TypeMapping, capability,
};

use super::factories::{InstanceContext, SourceFactory};
use super::relay::{ExportMessage, Relay};
use crate::threads;

/// How often who waits looks at the clock and at the wish to stop.
const TICK: Duration = Duration::from_millis(50);
/// How long an instance that was asked to end may take.
const GRACE: Duration = Duration::from_secs(10);
/// How long an instance may take to close its connection.
const CLOSE: Duration = Duration::from_secs(5);

type Work = Box<dyn FnOnce(&mut dyn Source) + Send>;

/// The instance, as its thread is asked for it.
pub struct ThreadedSource {
    plugin: String,
    /// None once nothing more is asked.
    calls: Option<Sender<Work>>,
    /// Ends with the instance.
    gone: Receiver<()>,
    interrupt: Option<Once>,
    /// What it was opened with, the flag of who opened it among that.
    context: InstanceContext,
    /// What the instance itself is told.
    cancelled: Arc<AtomicBool>,
    /// Whether it ends statements by itself.
    keeps_limits: bool,
    asked: Option<(Instant, Why)>,
    /// It did not end.
    left_behind: bool,
}

/// A handle that asks once, whoever is the first to: an instance that was interrupted is not used again.
#[derive(Clone)]
struct Once(Arc<Mutex<Option<Box<dyn Interrupt>>>>);

impl Interrupt for Once {
    fn interrupt(&self) -> Result<()> {
        let handle = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        handle.map_or(Ok(()), |handle| handle.interrupt())
    }
}

/// Why an instance is asked to end what it does.
#[derive(Debug, Clone, Copy)]
enum Why {
    Stopped,
    /// It had so long.
    Late(Duration),
}

/// A call that is waited for.
struct Call<A> {
    what: &'static str,
    answers: Receiver<A>,
    began: Instant,
    /// Time that the caller took for itself.
    outside: Duration,
    limit: Option<Duration>,
}

impl ThreadedSource {
    /// Opens an instance, and tells it `limits`.
    pub fn open(factory: &SourceFactory, context: &InstanceContext, limits: SessionPolicy) -> Result<Self> {
        let manifest = factory.manifest();
        let keeps_limits = manifest.can(capability::LIMITS);
        let (own_factory, given) = (factory.clone(), context.clone());
        let open = move |cancelled| {
            let mut source = own_factory.open_here(&InstanceContext { cancelled, ..given })?;
            if keeps_limits {
                source.limit(&limits)?;
            }
            // The last share in its connection goes after it.
            Ok((source, own_factory))
        };
        Self::start(&manifest.name, keeps_limits, context, open)
    }

    /// Starts the thread, on which `open` gives the instance and what has to outlive it.
    fn start<K: 'static>(
        plugin: &str,
        keeps_limits: bool,
        context: &InstanceContext,
        open: impl FnOnce(Arc<AtomicBool>) -> Result<(Box<dyn Source>, K)> + Send + 'static,
    ) -> Result<Self> {
        let cancelled = Arc::<AtomicBool>::default();
        let own = Arc::clone(&cancelled);
        let (calls, to_do) = channel::<Work>();
        let (opened, answers) = sync_channel(1);
        let (going, gone) = channel();
        threads::start("source", move || {
            match open(own) {
                Err(error) => drop(opened.send(Err(error))),
                Ok((mut source, keep)) => {
                    // One that came too late is not wanted any more.
                    if opened.send(Ok(source.interrupt())).is_ok() {
                        serve(&mut *source, &to_do);
                    }
                    drop(source);
                    drop(keep);
                }
            }
            drop(going);
        })?;
        let mut source = Self {
            plugin: plugin.to_owned(),
            calls: Some(calls),
            gone,
            interrupt: None,
            context: context.clone(),
            cancelled,
            keeps_limits,
            asked: None,
            left_behind: false,
        };
        let call = Call { what: "open", answers, began: Instant::now(), outside: Duration::ZERO, limit: None };
        let interrupt = source.next(&call).and_then(|opened| source.outcome(&call, opened))?;
        source.interrupt = interrupt.map(|handle| Once(Arc::new(Mutex::new(Some(handle)))));
        Ok(source)
    }

    /// Has `work` done on the instance's thread.
    fn call<T: Send + 'static>(
        &mut self,
        what: &'static str,
        limit: Option<Duration>,
        work: impl FnOnce(&mut dyn Source) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answers) = sync_channel(1);
        // Nobody listens any more where it was left behind.
        let call = self.begin(what, limit, answers, move |source| drop(answer.send(work(source))))?;
        let answer = self.next(&call)?;
        self.outcome(&call, answer)
    }

    /// An export whose rows may be waited for so long in all; time that `sink` takes does not count.
    fn export_within(
        &mut self,
        request: &ExportRequest,
        sink: &mut dyn BatchSink,
        limit: Option<Duration>,
    ) -> Result<ExportStats> {
        let (messages, answers) = sync_channel(1);
        let (acknowledge, acknowledged) = channel();
        let request = request.clone();
        let mut call = self.begin("export", limit, answers, move |source| {
            let mut relay = Relay { messages, acknowledged };
            let over = source.export(&request, &mut relay);
            drop(relay.messages.send(ExportMessage::Over(over)));
        })?;
        loop {
            let message = self.next(&call)?;
            let began = Instant::now();
            let taken = match message {
                ExportMessage::Schema(schema) => sink.on_schema(schema),
                ExportMessage::Batch(batch) => sink.on_batch(batch),
                ExportMessage::Over(over) => return self.outcome(&call, over),
            };
            call.outside += began.elapsed();
            // An instance that ended without waiting for this says why.
            drop(acknowledge.send(taken));
        }
    }

    fn begin<A>(
        &mut self,
        what: &'static str,
        limit: Option<Duration>,
        answers: Receiver<A>,
        work: impl FnOnce(&mut dyn Source) + Send + 'static,
    ) -> Result<Call<A>> {
        if let Some((_, why)) = self.asked {
            return Err(self.refusal(what, why));
        }
        let sent = self.calls.as_ref().is_some_and(|calls| calls.send(Box::new(work)).is_ok());
        if !sent {
            return Err(self.broken(what));
        }
        Ok(Call { what, answers, began: Instant::now(), outside: Duration::ZERO, limit })
    }

    /// The next answer of a call; an error once it is not waited for any more.
    fn next<A>(&mut self, call: &Call<A>) -> Result<A> {
        loop {
            match call.answers.recv_timeout(TICK) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => return Err(self.broken(call.what)),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let spent = call.began.elapsed().saturating_sub(call.outside);
            match self.asked {
                Some((at, why)) if at.elapsed() >= GRACE => {
                    self.left_behind = true;
                    return Err(self.refusal(call.what, why));
                }
                Some(_) => {}
                None if self.context.is_over() => self.ask_to_end(Why::Stopped),
                None => {
                    if let Some(limit) = call.limit.filter(|limit| spent > *limit) {
                        self.ask_to_end(Why::Late(limit));
                    }
                }
            }
        }
    }

    /// Asks from a thread of its own: that, too, may hang.
    fn ask_to_end(&mut self, why: Why) {
        self.asked = Some((Instant::now(), why));
        self.cancelled.store(true, Ordering::SeqCst);
        let Some(interrupt) = self.interrupt.clone() else { return };
        let ask = move || {
            if let Err(error) = interrupt.interrupt() {
                log::warn!("a statement could not be cancelled on the server: {error}");
            }
        };
        if let Err(error) = threads::start("interrupt", ask) {
            log::warn!("a statement goes on on the server, for nobody can cancel it: {error}");
        }
    }

    /// What a call's last answer comes to, if the instance was asked to end meanwhile.
    fn outcome<A, T>(&self, call: &Call<A>, answer: Result<T>) -> Result<T> {
        match (self.asked, answer) {
            (None, answer) => answer,
            (Some((_, Why::Stopped)), Ok(value)) => Ok(value),
            (Some((_, why)), Err(error)) => Err(self.refusal(call.what, why).with_source(&error)),
            // An instance that was interrupted is not used again, so its answer is of no use.
            (Some((_, why @ Why::Late(_))), Ok(_)) => Err(self.refusal(call.what, why)),
        }
    }

    fn refusal(&self, what: &str, why: Why) -> Error {
        let plugin = &self.plugin;
        let error = match why {
            Why::Stopped if self.left_behind => Error::cancelled(format!(
                "interrupted: `{what}` of the plugin `{plugin}` did not end within {} s, and is left behind",
                GRACE.as_secs()
            ))
            .with_hint("its statement may go on on the server, until the server's own limit ends it"),
            Why::Stopped => Error::cancelled("interrupted"),
            Why::Late(limit) => Error::new(
                ErrorKind::Timeout,
                format!(
                    "`{what}` kept rivet waiting for more than {} s, and the plugin did not end it",
                    limit.as_secs()
                ),
            )
            .with_retry(Retry::Permanent)
            .with_hint("raise `statement_timeout_s`, or make the chunks smaller"),
        };
        match why {
            Why::Stopped => error,
            Why::Late(_) => error.with_context("plugin", plugin.clone()),
        }
    }

    fn broken(&mut self, what: &str) -> Error {
        self.left_behind = true;
        Error::new(ErrorKind::Panic, format!("the thread of the plugin `{}` ended in `{what}`", self.plugin))
            .with_hint("this is a defect of rivet or of the plugin; please report it")
    }

    /// How long a statement may keep us waiting that the source does not end by itself.
    fn limit_of(&self, session: &SessionPolicy) -> Option<Duration> {
        if self.keeps_limits { None } else { session.patience() }
    }
}

/// Does what is asked, until nobody can ask any more.
fn serve(source: &mut dyn Source, calls: &Receiver<Work>) {
    while let Ok(work) = calls.recv() {
        work(source);
    }
}

impl Drop for ThreadedSource {
    fn drop(&mut self) {
        self.calls = None;
        // What the server counts as a connection should be closed when the next one is opened.
        if !self.left_behind && self.gone.recv_timeout(CLOSE) == Err(RecvTimeoutError::Timeout) {
            log::warn!("the plugin `{}` takes long to close a connection, and is left behind", self.plugin);
        }
    }
}

impl Source for ThreadedSource {
    fn identity(&mut self) -> Result<Identity> {
        self.call("identity", None, |source| source.identity())
    }

    fn limit(&mut self, limits: &SessionPolicy) -> Result<()> {
        let limits = *limits;
        self.call("limit", None, move |source| source.limit(&limits))
    }

    fn export(&mut self, request: &ExportRequest, sink: &mut dyn BatchSink) -> Result<ExportStats> {
        self.export_within(request, sink, self.limit_of(&request.session))
    }

    fn query_scalar(&mut self, sql: &str) -> Result<Option<Scalar>> {
        let sql = sql.to_owned();
        self.call("query_scalar", None, move |source| source.query_scalar(&sql))
    }

    fn type_mappings(&mut self, request: &ExportRequest) -> Result<Vec<TypeMapping>> {
        let request = request.clone();
        self.call("type_mappings", None, move |source| source.type_mappings(&request))
    }

    fn tables(&mut self, filter: &TableFilter) -> Result<Vec<TableSummary>> {
        let filter = filter.clone();
        self.call("tables", None, move |source| source.tables(&filter))
    }

    fn describe(&mut self, relation: &Relation) -> Result<Description> {
        let relation = relation.clone();
        self.call("describe", None, move |source| source.describe(&relation))
    }

    fn split(&mut self, request: &SplitRequest) -> Result<Split> {
        let request = request.clone();
        self.call("split", None, move |source| source.split(&request))
    }

    fn bounds(&mut self, request: &BoundsRequest) -> Result<Bounds> {
        let request = request.clone();
        self.call("bounds", None, move |source| source.bounds(&request))
    }

    fn clock(&mut self) -> Result<Option<Scalar>> {
        self.call("clock", None, |source| source.clock())
    }

    fn snapshot(&mut self, workers: u32) -> Result<Option<Snapshot>> {
        self.call("snapshot", None, move |source| source.snapshot(workers))
    }

    fn join(&mut self, snapshot: &Snapshot) -> Result<()> {
        let snapshot = snapshot.clone();
        self.call("join", None, move |source| source.join(&snapshot))
    }

    fn release(&mut self) -> Result<()> {
        self.call("release", None, |source| source.release())
    }

    fn count(&mut self, request: &ExportRequest) -> Result<u64> {
        let limit = self.limit_of(&request.session);
        let request = request.clone();
        self.call("count", limit, move |source| source.count(&request))
    }

    fn pressure(&mut self) -> Result<Option<u64>> {
        self.call("pressure", None, |source| source.pressure())
    }

    fn interrupt(&self) -> Option<Box<dyn Interrupt>> {
        self.interrupt.clone().map(|once| Box::new(once) as _)
    }
}

#[cfg(test)]
#[path = "threaded_tests.rs"]
mod tests;
