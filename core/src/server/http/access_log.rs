//! One JSON object for each request that was answered. Nothing of a query and
//! no header but the user agent gets into it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::server::config::AccessLog;
use crate::{Error, Result};

/// Where the entries go.
pub(super) enum Log {
    Off,
    Logger,
    File {
        path: PathBuf,
        file: Mutex<File>,
        /// Whether the last entry could not be written: said once, not for every request.
        failing: AtomicBool,
    },
}

/// One line. What was asked is as it was sent, escapes included.
#[derive(Serialize)]
pub(super) struct Entry<'a> {
    pub(super) time: String,
    pub(super) client: IpAddr,
    pub(super) user: Option<&'a str>,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) status: u16,
    pub(super) bytes: u64,
    pub(super) duration_us: u64,
    pub(super) user_agent: Option<&'a str>,
}

impl Log {
    pub(super) fn open(config: &AccessLog) -> Result<Self> {
        Ok(match config {
            AccessLog::Off => Self::Off,
            AccessLog::Log => Self::Logger,
            AccessLog::File(path) => Self::File {
                path: path.clone(),
                file: Mutex::new(append_to(path)?),
                failing: AtomicBool::new(false),
            },
        })
    }

    /// Opens the file anew: the old one may have been moved away.
    pub(super) fn reopen(&self) -> Result<()> {
        if let Self::File { path, file, .. } = self {
            let new = append_to(path)?;
            *file.lock().unwrap_or_else(PoisonError::into_inner) = new;
        }
        Ok(())
    }

    pub(super) fn is_on(&self) -> bool {
        match self {
            Self::Off => false,
            Self::Logger => log::log_enabled!(target: "tagtrust::access", log::Level::Info),
            Self::File { .. } => true,
        }
    }

    pub(super) fn write(&self, entry: &Entry<'_>) {
        let Ok(mut line) = serde_json::to_string(entry) else { return };
        match self {
            Self::Off => {}
            Self::Logger => log::info!(target: "tagtrust::access", "{line}"),
            Self::File { path, file, failing } => {
                line.push('\n');
                // One write for each line, so that lines of several processes do not mix.
                let written = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
                let was_failing = failing.swap(written.is_err(), Relaxed);
                if let (Err(error), false) = (written, was_failing) {
                    log::error!("access log {}: {error}", path.display());
                }
            }
        }
    }
}

fn append_to(path: &Path) -> Result<File> {
    OpenOptions::new().append(true).create(true).open(path).map_err(|error| Error::InvalidConfiguration {
        what: format!("access log {}", path.display()),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::Ipv4Addr;

    use super::*;

    fn entry<'a>(path: &'a str, user_agent: &'a str) -> Entry<'a> {
        Entry {
            time: "2026-11-22T03:18:11Z".into(),
            client: Ipv4Addr::LOCALHOST.into(),
            user: None,
            method: "GET",
            path,
            status: 200,
            bytes: 2,
            duration_us: 11,
            user_agent: Some(user_agent),
        }
    }

    #[test]
    fn a_line_is_one_json_object_whatever_was_sent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let log = Log::open(&AccessLog::File(path.clone())).unwrap();
        log.write(&entry("/v2/", "curl\r\n{\"status\":500}\u{1b}[2J"));
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "{\"time\":\"2026-11-22T03:18:11Z\",\"client\":\"127.0.0.1\",\"user\":null,\"method\":\"GET\",\"path\":\"/v2/\",\
             \"status\":200,\"bytes\":2,\"duration_us\":11,\"user_agent\":\"curl\\r\\n{\\\"status\\\":500}\\u001b[2J\"}\n"
        );
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew_and_one_that_is_there_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("access.log"), directory.path().join("access.log.1"));
        let log = Log::open(&AccessLog::File(path.clone())).unwrap();
        log.write(&entry("/1", ""));
        fs::rename(&path, &moved).unwrap();
        log.write(&entry("/2", ""));
        log.reopen().unwrap();
        log.write(&entry("/3", ""));
        log.reopen().unwrap();
        log.write(&entry("/4", ""));
        let paths = |file| -> Vec<String> {
            let lines = fs::read_to_string(file).unwrap();
            let path = |line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["path"].as_str().unwrap().to_owned()
            };
            lines.lines().map(path).collect()
        };
        assert_eq!(paths(&moved), ["/1", "/2"]);
        assert_eq!(paths(&path), ["/3", "/4"]);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let refused = Log::open(&AccessLog::File(directory.path().to_owned()));
        let Err(Error::InvalidConfiguration { what, .. }) = refused else { panic!("opened") };
        assert!(what.contains(directory.path().to_str().unwrap()));
    }
}
