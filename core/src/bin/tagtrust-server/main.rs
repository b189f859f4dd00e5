//! The trust server as a program: notary-server's options and configuration
//! file, and commands for the storage.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unreachable
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod flags;
mod logger;
mod serve;

use std::fmt::Display;
use std::io::Write;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tagtrust::server::takeover::Takeover;
use tagtrust::server::{NotaryConfig, maintenance};

use self::flags::{Command, Flags};

/// Exit status, as of Go's flag package. A configuration file that is missing is
/// no such fault, as in notary-server.
const WRONG_OPTIONS: u8 = 2;

/// Why nothing came of it, in one line.
type Failure = String;

fn main() -> ExitCode {
    harden();
    let flags = match Flags::parse(std::env::args_os().skip(1)) {
        Ok(flags) => flags,
        Err(fault) => {
            complain(format!("{fault}\n{}", flags::USAGE.trim_end()));
            return ExitCode::from(WRONG_OPTIONS);
        }
    };
    // Warnings from the configuration file on; then what that says counts.
    logger::start(flags.log_format, log::LevelFilter::Warn);
    let result = match flags.command {
        Command::Help => {
            say(flags::USAGE.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::Version => {
            say(format!("tagtrust-server {}", env!("CARGO_PKG_VERSION")));
            Ok(ExitCode::SUCCESS)
        }
        Command::Serve => match serve::serve(&flags) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(fault) => {
                logger::fatal(&fault);
                return ExitCode::FAILURE;
            }
        },
        _ => command(&flags),
    };
    result.unwrap_or_else(|fault| {
        complain(fault);
        ExitCode::FAILURE
    })
}

/// What is done once, and whether all is well afterwards.
fn command(flags: &Flags) -> Result<ExitCode, Failure> {
    let NotaryConfig { server: config, .. } = read_config(flags)?;
    match &flags.command {
        Command::Takeover { from, signer, dry_run } => {
            let takeover = Takeover::from(from).map_err(line)?;
            let takeover = match signer {
                Some(signer) => takeover.with_signer(signer).map_err(line)?,
                None => takeover,
            };
            let report = takeover.dry_run(*dry_run).run(&config).map_err(line)?;
            say(&report);
            Ok(status(report.is_clean()))
        }
        Command::Backup { file } => {
            maintenance::backup(&config, file).map_err(line)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Prune { keep } => {
            let Some(keep) = keep.map(NonZeroUsize::get).or(config.keep_versions) else {
                complain("prune needs the number of versions to keep: -keep=N");
                return Ok(ExitCode::from(WRONG_OPTIONS));
            };
            let gone = maintenance::prune(&config, keep).map_err(line)?;
            say(format!("{gone} files removed"));
            Ok(ExitCode::SUCCESS)
        }
        Command::Passphrase { alias } => {
            let count = maintenance::rotate_passphrase(&config, alias).map_err(line)?;
            say(format!("{count} keys encrypted with the passphrase {alias:?}"));
            Ok(ExitCode::SUCCESS)
        }
        Command::Check => {
            let report = maintenance::check(&config).map_err(line)?;
            for (gun, error) in &report.problems {
                say(format!("PROBLEM: {gun}: {error}"));
            }
            let (all, bad) = (report.repositories, report.problems.len());
            say(format!("{all} repositories, {bad} with problems"));
            Ok(status(bad == 0))
        }
        Command::Bootstrap => {
            maintenance::set_up(&config).map_err(line)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Serve | Command::Help | Command::Version => Ok(ExitCode::SUCCESS),
    }
}

fn status(fine: bool) -> ExitCode {
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read_config(flags: &Flags) -> Result<NotaryConfig, Failure> {
    let file = flags.config.as_ref().ok_or("the path of the configuration file is needed: -config=FILE")?;
    NotaryConfig::read(file).map_err(line)
}

fn line(error: tagtrust::Error) -> Failure {
    error.to_string()
}

/// On stdout, where a closed pipe is no reason to die.
fn say(what: impl Display) {
    let _ = writeln!(std::io::stdout(), "{what}");
}

fn complain(what: impl Display) {
    let _ = writeln!(std::io::stderr(), "tagtrust-server: {what}");
}

/// Private keys are in memory: nobody may read that, and it goes to no file.
/// And as many connections as the system lets this process have.
fn harden() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // What the system refuses stays as it was.
    let _ = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files });
}
