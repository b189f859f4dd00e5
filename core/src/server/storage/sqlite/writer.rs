//! The one thread that writes. What is waiting when it is free goes into one
//! transaction, so that many uploads share one wait for the disk.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::super::{Result, StorageError};

/// Most jobs in one transaction.
const MAX_TOGETHER: usize = 256;

pub(super) struct Writer {
    /// `None` only while it is dropped.
    queue: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> io::Result<Self> {
        let (queue, waiting) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("tagtrust-sqlite".to_owned())
            .spawn(move || work_through(&connection, &waiting))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Does all of this work or, if it fails, nothing of it. Comes back when it
    /// is on the disk. Once queued it is done even if nobody waits any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Work { work: Some(work), result: Err(stopped()), answer });
        self.queue.as_ref().ok_or_else(stopped)?.send(job).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    /// Finishes what is queued.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn stopped() -> StorageError {
    StorageError::Unavailable("the database's writer has stopped".to_owned())
}

fn work_through(connection: &Connection, waiting: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = waiting.recv() {
        let mut jobs = vec![first];
        jobs.extend(waiting.try_iter().take(MAX_TOGETHER - 1));
        let committed = commit_together(connection, &mut jobs);
        for job in jobs {
            job.answer(&committed);
        }
    }
}

/// All jobs that succeed in one transaction; if that fails, none.
fn commit_together(connection: &Connection, jobs: &mut [Box<dyn Job>]) -> Result<()> {
    execute(connection, "BEGIN IMMEDIATE")?;
    let done =
        jobs.iter_mut().try_for_each(|job| job.run(connection)).and_then(|()| execute(connection, "COMMIT"));
    if !connection.is_autocommit() {
        let _ = execute(connection, "ROLLBACK");
    }
    done
}

fn execute(connection: &Connection, statement: &str) -> Result<()> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}

trait Job: Send {
    /// An error says that the whole transaction is lost.
    fn run(&mut self, connection: &Connection) -> Result<()>;

    /// The job's own result, if the transaction was committed.
    fn answer(self: Box<Self>, committed: &Result<()>);
}

struct Work<F, T> {
    work: Option<F>,
    result: Result<T>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: FnOnce(&Connection) -> Result<T> + Send> Job for Work<F, T> {
    fn run(&mut self, connection: &Connection) -> Result<()> {
        let Some(work) = self.work.take() else { return Ok(()) };
        execute(connection, "SAVEPOINT job")?;
        self.result = work(connection);
        if let Err(failed) = &self.result {
            // SQLite itself gave up the whole transaction, as it does when the disk is full.
            if connection.is_autocommit() {
                return Err(failed.clone());
            }
            execute(connection, "ROLLBACK TO job")?;
        }
        execute(connection, "RELEASE job")
    }

    fn answer(self: Box<Self>, committed: &Result<()>) {
        // Who asked may be gone.
        let _ = self.answer.send(committed.clone().and(self.result));
    }
}
