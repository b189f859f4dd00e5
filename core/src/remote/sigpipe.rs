//! SIGPIPE, which by default ends a program in C when whoever is at the other
//! end of what it writes to is gone. Rust's sockets never raise it. Two things
//! do: the pipe to a credential helper that ended without reading, and glibc's
//! resolver when a name server breaks off a connection.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// Runs `start`, whose threads have SIGPIPE blocked for as long as they live.
/// `start` itself must raise none: it would come at the end.
pub(super) fn blocked<T>(start: impl FnOnce() -> T) -> T {
    struct Restore(Option<SigSet>);
    impl Drop for Restore {
        fn drop(&mut self) {
            // Cannot fail: this mask was the thread's.
            let _ = self.0.map(|before| before.thread_set_mask());
        }
    }
    let _before = Restore(SigSet::from(Signal::SIGPIPE).thread_swap_mask(SigmaskHow::SIG_BLOCK).ok());
    start()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn is_blocked() -> bool {
        SigSet::thread_get_mask().unwrap().contains(Signal::SIGPIPE)
    }

    #[test]
    fn threads_keep_it_blocked_and_the_caller_has_what_was_before() {
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let thread = blocked(|| thread::spawn(move || (wait.recv().is_ok(), is_blocked())));
        assert!(!is_blocked());
        go_on.send(()).unwrap();
        assert_eq!(thread.join().unwrap(), (true, true));
        blocked(|| blocked(|| assert!(is_blocked())));
        assert!(!is_blocked());
        SigSet::from(Signal::SIGPIPE).thread_block().unwrap();
        blocked(|| ());
        assert!(is_blocked());
    }

    #[test]
    fn a_panic_restores_it_too() {
        assert!(std::panic::catch_unwind(|| blocked(|| panic!("no more threads"))).is_err());
        assert!(!is_blocked());
    }
}
