//! Lines on stderr as notary-server writes them, one JSON object or logfmt each.

use std::io::Write;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use log::{LevelFilter, Log, Metadata, Record};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How a line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Json,
    Logfmt,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "logfmt" => Ok(Self::Logfmt),
            _ => Err(format!("invalid value {text:?} for -logf: only 'json' and 'logfmt' are supported")),
        }
    }
}

/// Entries of the access log: whoever turned that on gets them at every level.
const ACCESS: &str = "tagtrust::access";

const LEVELS: [LevelFilter; 6] = [
    LevelFilter::Off,
    LevelFilter::Error,
    LevelFilter::Warn,
    LevelFilter::Info,
    LevelFilter::Debug,
    LevelFilter::Trace,
];

struct Logger {
    format: Format,
    /// Index in `LEVELS`.
    level: AtomicUsize,
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

pub(crate) fn start(format: Format, level: LevelFilter) {
    let logger = LOGGER.get_or_init(|| Logger { format, level: AtomicUsize::new(level as usize) });
    // Fails only if it was called before.
    let _ = log::set_logger(logger);
    set_level(level);
}

pub(crate) fn set_level(level: LevelFilter) {
    if let Some(logger) = LOGGER.get() {
        logger.level.store(level as usize, Ordering::Relaxed);
    }
    log::set_max_level(level.max(LevelFilter::Info));
}

/// One level more, or one less. Gives the new one.
pub(crate) fn shift_level(more: bool) -> LevelFilter {
    let level = LOGGER.get().map_or(0, |logger| logger.level.load(Ordering::Relaxed));
    let shifted = if more { level.saturating_add(1) } else { level.saturating_sub(1) };
    let level = LEVELS.get(shifted).copied().unwrap_or(LevelFilter::Trace);
    set_level(level);
    level
}

/// Why the server does not start, whatever the level.
pub(crate) fn fatal(message: &str) {
    if let Some(logger) = LOGGER.get() {
        logger.write("fatal", message);
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() as usize <= self.level.load(Ordering::Relaxed) || metadata.target() == ACCESS
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let level = match record.level() {
                log::Level::Error => "error",
                log::Level::Warn => "warning",
                log::Level::Info => "info",
                log::Level::Debug => "debug",
                log::Level::Trace => "trace",
            };
            self.write(level, &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

impl Logger {
    fn write(&self, level: &str, message: &str) {
        let line = line(self.format, level, message, OffsetDateTime::now_utc());
        // In one piece. There is nobody to tell if it cannot be written.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

fn line(format: Format, level: &str, message: &str, now: OffsetDateTime) -> String {
    let time = now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default();
    match format {
        Format::Json => {
            format!("{}\n", serde_json::json!({"level": level, "msg": message, "time": time}))
        }
        // What a JSON text escapes is escaped as well here: control characters
        // above all, so that a message stays one line.
        Format::Logfmt => {
            format!("time=\"{time}\" level={level} msg={}\n", serde_json::Value::from(message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_like_notary_servers_and_stay_lines() {
        let now = OffsetDateTime::from_unix_timestamp_nanos(1_795_317_374_123_456_789).unwrap();
        assert_eq!(
            line(Format::Json, "info", "a \"b\"\nc", now),
            "{\"level\":\"info\",\"msg\":\"a \\\"b\\\"\\nc\",\"time\":\"2026-11-22T03:16:14Z\"}\n"
        );
        assert_eq!(
            line(Format::Logfmt, "error", "a \"b\"\nc", now),
            "time=\"2026-11-22T03:16:14Z\" level=error msg=\"a \\\"b\\\"\\nc\"\n"
        );
    }

    #[test]
    fn the_access_log_does_not_depend_on_the_level() {
        let logger = Logger { format: Format::Json, level: AtomicUsize::new(LevelFilter::Error as usize) };
        let at = |level, target| logger.enabled(&Metadata::builder().level(level).target(target).build());
        assert!(at(log::Level::Error, "tagtrust") && !at(log::Level::Warn, "tagtrust"));
        assert!(at(log::Level::Info, ACCESS));
    }
}
