//! Serving, until a signal says otherwise.

use log::LevelFilter;
use sd_notify::NotifyState;
use tagtrust::server::Server;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::flags::Flags;
use super::{Failure, line, logger, read_config, say};

pub(crate) fn serve(flags: &Flags) -> Result<(), Failure> {
    let config = read_config(flags)?;
    logger::set_level(if flags.debug { LevelFilter::Debug } else { config.log_level });
    log::info!("tagtrust-server {}", env!("CARGO_PKG_VERSION"));
    // Before there is a server, so that no signal ends one half made.
    let mut signals = Signals::listen().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let server = Server::start(config.server).map_err(line)?;
    log::info!("Starting on {}", server.address());
    say(format!("tagtrust-server: listening on {}", server.url()));
    if let Some(certificate) = server.certificate_pem() {
        say(certificate.trim_end());
    }
    tell_systemd(&[NotifyState::Ready]);
    loop {
        match signals.next() {
            Asked::Stop => break,
            Asked::Reload => {
                if let Ok(now) = NotifyState::monotonic_usec_now() {
                    tell_systemd(&[NotifyState::Reloading, now]);
                }
                match server.reload() {
                    Ok(()) => log::info!("read certificates, users and access log anew"),
                    Err(error) => log::error!("goes on with what it has: {error}"),
                }
                tell_systemd(&[NotifyState::Ready]);
            }
            Asked::LogMore => log::info!("log level {}", logger::shift_level(true)),
            Asked::LogLess => log::info!("log level {}", logger::shift_level(false)),
        }
    }
    log::info!("Stopping");
    tell_systemd(&[NotifyState::Stopping]);
    server.stop();
    Ok(())
}

fn tell_systemd(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::warn!("systemd could not be told: {error}");
    }
}

/// What a signal asks for.
enum Asked {
    Stop,
    Reload,
    LogMore,
    LogLess,
}

struct Signals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user1: Signal,
    user2: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let [terminate, interrupt, hang_up, user1, user2] = [
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::user_defined1())?,
            signal(SignalKind::user_defined2())?,
        ];
        drop(entered);
        Ok(Self { runtime, terminate, interrupt, hang_up, user1, user2 })
    }

    fn next(&mut self) -> Asked {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.terminate.recv() => Asked::Stop,
                _ = self.interrupt.recv() => Asked::Stop,
                _ = self.hang_up.recv() => Asked::Reload,
                _ = self.user1.recv() => Asked::LogMore,
                _ = self.user2.recv() => Asked::LogLess,
            }
        })
    }
}
