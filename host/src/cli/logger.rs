//! The host's own log, to stderr.

use log::{Level, LevelFilter, Log, Metadata, Record};
use serde_json::json;

use super::arguments::{Global, LogFormat};
use super::print;

/// Installs the logger that the global flags ask for.
pub fn install(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::Error,
        (false, 0) => LevelFilter::Warn,
        (false, 1) => LevelFilter::Info,
        (false, 2) => LevelFilter::Debug,
        (false, _) => LevelFilter::Trace,
    };
    let logger = Stderr { json: global.log_format == LogFormat::Json };
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level);
        // One line, through the printer that takes secrets out of it.
        std::panic::set_hook(Box::new(|panic| {
            let text = panic.to_string();
            log::error!("{}", text.split_whitespace().collect::<Vec<_>>().join(" "));
        }));
    }
}

struct Stderr {
    json: bool,
}

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries write down what they send, also in pieces in which no secret is found.
        metadata.level() <= log::max_level() && metadata.target().starts_with("rivet")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        if self.json {
            let time = jiff::Timestamp::now().to_string();
            print::note(
                &json!({ "time": time, "level": record.level().as_str(), "target": record.target(), "message": text })
                    .to_string(),
            );
        } else {
            print::note(&format!("{}: {text}", word(record.level())));
        }
    }

    fn flush(&self) {}
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}
