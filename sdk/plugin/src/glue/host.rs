//! What the host lends: its log, and each instance's context.

use std::sync::{Arc, OnceLock};

use log::{Level, LevelFilter, Log, Metadata, Record};
use rivet_abi::stable::{RErr, ROk, RStr};
use rivet_abi::{AbiResult, ContextRef, HostRef};

use super::{guard, to_abi};
use crate::{Context, Error, HostServices, Result};

/// The module's `init`: sends `log` records to the host and catches panic texts. Repeating it
/// changes nothing.
pub extern "C" fn init(host: HostRef, settings: RStr<'_>) -> AbiResult<()> {
    to_abi(guard::catch("init", || {
        static HOST: OnceLock<Forwarder> = OnceLock::new();
        let settings: serde_json::Value = super::json::read(settings.as_str())?;
        let level = settings.get("log_level").and_then(serde_json::Value::as_u64);
        log::set_max_level(level_filter(level));
        let mut first = false;
        let forwarder = HOST.get_or_init(|| {
            first = true;
            Forwarder(host)
        });
        if first {
            guard::install_panic_hook();
            log::set_logger(forwarder).map_err(|error| Error::internal(format!("log forwarding: {error}")))?;
        }
        Ok(())
    }))
}

fn level_filter(level: Option<u64>) -> LevelFilter {
    match level {
        Some(0) => LevelFilter::Off,
        Some(1) => LevelFilter::Error,
        Some(2) | None => LevelFilter::Warn,
        Some(3) => LevelFilter::Info,
        Some(4) => LevelFilter::Debug,
        Some(_) => LevelFilter::Trace,
    }
}

struct Forwarder(HostRef);

impl Log for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => 1,
            Level::Warn => 2,
            Level::Info => 3,
            Level::Debug => 4,
            Level::Trace => 5,
        };
        self.0.log(level, record.target().into(), record.args().to_string().as_str().into());
    }

    fn flush(&self) {}
}

/// The host's context as the SDK's.
pub(super) fn context(remote: ContextRef) -> Context {
    Context::new(Arc::new(RemoteServices(remote)))
}

struct RemoteServices(ContextRef);

impl HostServices for RemoteServices {
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    fn reserve(&self, bytes: u64) -> Result<()> {
        match self.0.reserve(bytes) {
            ROk(()) => Ok(()),
            RErr(error) => Err(Error::from_json(&error)),
        }
    }

    fn try_reserve(&self, bytes: u64) -> bool {
        self.0.try_reserve(bytes)
    }

    fn release(&self, bytes: u64) {
        self.0.release(bytes);
    }
}
