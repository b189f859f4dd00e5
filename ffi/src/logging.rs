//! What the library says while it works.

use std::ffi::{c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::{LazyLock, PoisonError, RwLock};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::boundary::{attempt, call_out, not_in_callback, text};
use crate::callback::Data;
use crate::error::Error;
use crate::status::Status;

/// Gets a message: `level` is 1 for errors, 2 for warnings, 3 for information,
/// 4 for debugging, 5 for more of that; `target` is the part of the library.
///
/// A message is a line of English for people. It may quote what servers say. The
/// callback may be called from any thread, and from several at once.
pub type LogCallback = Option<
    extern "C-unwind" fn(data: *mut c_void, level: c_int, target: *const c_char, message: *const c_char),
>;

struct Listener {
    log: extern "C-unwind" fn(*mut c_void, c_int, *const c_char, *const c_char),
    data: Data,
}

/// Read for as long as a callback runs, so that nobody calls one that was replaced.
static LISTENER: RwLock<Option<Listener>> = RwLock::new(None);

/// True once our logger is the process's.
static INSTALLED: LazyLock<bool> = LazyLock::new(|| log::set_logger(&Logger).is_ok());

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries below say more, and not all of it is meant for logs.
        metadata.target().split("::").next() == Some("tagtrust")
    }

    fn log(&self, record: &Record<'_>) {
        // In a callback this thread may be reading already.
        if !self.enabled(record.metadata()) || not_in_callback().is_err() {
            return;
        }
        if let Some(listener) = &*LISTENER.read().unwrap_or_else(PoisonError::into_inner) {
            let (target, message) = (text(record.target()), text(&record.args().to_string()));
            let level = record.level() as c_int;
            call_out(|| (listener.log)(listener.data.0, level, target.as_ptr(), message.as_ptr()));
        }
    }

    fn flush(&self) {}
}

const LEVELS: [Level; 5] = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];

/// Says where messages of the library go, for the whole process: those up to
/// `max_level`, from 1 (errors) to 5. Without it, or with NULL for `callback`
/// (whatever the other two are), nowhere.
///
/// It may be called again at any time, but not from a callback. When it returns,
/// the callback of before is not running any more and will not be called again.
#[unsafe(no_mangle)]
pub extern "C" fn tagtrust_set_log(
    callback: LogCallback,
    data: *mut c_void,
    max_level: c_int,
    error: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    attempt(error, || {
        not_in_callback()?;
        let (listener, level) = match callback {
            None => (None, LevelFilter::Off),
            Some(log) => {
                let level = LEVELS.into_iter().find(|level| *level as c_int == max_level);
                let level = level.ok_or_else(|| Error::argument("max_level is not between 1 and 5"))?;
                (Some(Listener { log, data: Data(data) }), level.to_level_filter())
            }
        };
        if !*INSTALLED {
            return Err(Error::internal("the process has another logger"));
        }
        let mut current = LISTENER.write().unwrap_or_else(PoisonError::into_inner);
        *current = listener;
        // Before the next one comes: each listener goes with its level.
        log::set_max_level(level);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::ptr;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    /// The log is that of the process: one test at a time.
    static TURN: Mutex<()> = Mutex::new(());

    type Messages = Mutex<Vec<(c_int, String)>>;

    extern "C-unwind" fn keep(
        data: *mut c_void,
        level: c_int,
        target: *const c_char,
        message: *const c_char,
    ) {
        // SAFETY: the tests hand in messages, and the library strings.
        let (messages, target, message) =
            unsafe { (&*data.cast::<Messages>(), CStr::from_ptr(target), CStr::from_ptr(message)) };
        assert!(target.to_bytes().starts_with(b"tagtrust"));
        assert_eq!(set(None, ptr::null_mut(), 0), Status::INVALID_ARGUMENT);
        log::error!("not from a callback");
        messages.lock().unwrap().push((level, message.to_str().unwrap().to_owned()));
    }

    fn set(callback: LogCallback, data: *mut c_void, max_level: c_int) -> Status {
        tagtrust_set_log(callback, data, max_level, None)
    }

    #[test]
    fn a_callback_gets_our_messages_up_to_its_level_until_it_is_replaced() {
        let _turn = TURN.lock();
        let messages = Messages::default();
        let data = (&raw const messages).cast_mut().cast();
        assert_eq!(set(Some(keep), data, 2), Status::OK);
        log::error!("a\0b");
        log::warn!("c");
        log::info!("not at this level");
        log::error!(target: "rustls::tls", "of another library");
        assert_eq!(set(Some(keep), data, 3), Status::OK);
        log::info!("d");
        for wrong in [0, 6, -1, c_int::MAX] {
            assert_eq!(set(Some(keep), ptr::null_mut(), wrong), Status::INVALID_ARGUMENT);
        }
        log::info!("e");
        assert_eq!(set(None, ptr::null_mut(), 0), Status::OK);
        log::error!("to nobody");
        let got = messages.into_inner().unwrap();
        let expected = [(1, "a\u{fffd}b"), (2, "c"), (3, "d"), (3, "e")];
        assert_eq!(got, expected.map(|(level, message)| (level, message.to_owned())));
    }

    extern "C-unwind" fn must_be_on(data: *mut c_void, _: c_int, _: *const c_char, _: *const c_char) {
        // SAFETY: the test below hands in such a value.
        assert!(unsafe { &*data.cast::<AtomicBool>() }.load(Ordering::SeqCst));
    }

    #[test]
    fn a_callback_that_was_replaced_is_not_called_again() {
        let _turn = TURN.lock();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !stop.load(Ordering::SeqCst) {
                        log::error!("message");
                    }
                });
            }
            for _ in 0..50 {
                let on = AtomicBool::new(true);
                assert_eq!(set(Some(must_be_on), (&raw const on).cast_mut().cast(), 1), Status::OK);
                thread::yield_now();
                assert_eq!(set(None, ptr::null_mut(), 0), Status::OK);
                on.store(false, Ordering::SeqCst);
            }
            stop.store(true, Ordering::SeqCst);
        });
    }
}
