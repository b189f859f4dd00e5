//! SIGPIPE, which by default ends a program in C when the other end of a
//! connection is gone. No peer of ours may do that to our caller.

#[cfg(target_os = "linux")]
pub(crate) use linux::NoBrokenPipe;

/// Elsewhere the standard library tells sockets not to send it.
#[cfg(not(target_os = "linux"))]
pub(crate) struct NoBrokenPipe;

#[cfg(not(target_os = "linux"))]
impl NoBrokenPipe {
    pub(crate) fn new() -> Self {
        Self
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::mem::MaybeUninit;
    use std::ptr;

    /// Blocks SIGPIPE in this thread, and in all threads that are started meanwhile.
    pub(crate) struct NoBrokenPipe {
        before: libc::sigset_t,
    }

    impl NoBrokenPipe {
        pub(crate) fn new() -> Self {
            let mut before = MaybeUninit::uninit();
            // SAFETY: the first set is one, and the second is written.
            unsafe {
                libc::pthread_sigmask(libc::SIG_BLOCK, &broken_pipe(), before.as_mut_ptr());
                Self { before: before.assume_init() }
            }
        }
    }

    impl Drop for NoBrokenPipe {
        fn drop(&mut self) {
            let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: all of these are valid, and nobody asks who sent the signal.
            unsafe {
                if libc::sigismember(&self.before, libc::SIGPIPE) == 0 {
                    // One that came meanwhile is ours.
                    libc::sigtimedwait(&broken_pipe(), ptr::null_mut(), &at_once);
                    libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut());
                }
            }
        }
    }

    fn broken_pipe() -> libc::sigset_t {
        let mut set = MaybeUninit::uninit();
        // SAFETY: the first call writes the set.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
            set.assume_init()
        }
    }

    #[cfg(test)]
    mod tests {
        use std::thread;

        use super::*;

        fn is_blocked() -> bool {
            let mut now = MaybeUninit::uninit();
            // SAFETY: without a set only the current one is written.
            unsafe {
                libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), now.as_mut_ptr());
                libc::sigismember(now.as_ptr(), libc::SIGPIPE) == 1
            }
        }

        #[test]
        fn a_signal_that_comes_meanwhile_is_gone_and_the_caller_has_what_was_before() {
            let outer = NoBrokenPipe::new();
            let inner = NoBrokenPipe::new();
            assert!(is_blocked() && thread::spawn(is_blocked).join().unwrap());
            // SAFETY: it is blocked.
            unsafe { libc::raise(libc::SIGPIPE) };
            drop(inner);
            assert!(is_blocked());
            drop(outer);
            assert!(!is_blocked());
            let mut pending = MaybeUninit::uninit();
            // SAFETY: the set is written.
            let is_pending = unsafe {
                libc::sigpending(pending.as_mut_ptr());
                libc::sigismember(pending.as_ptr(), libc::SIGPIPE)
            };
            assert_eq!(is_pending, 0);
        }
    }
}
