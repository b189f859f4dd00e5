//! What tests/bench/calls.c and tests/bench/calls.py do, called from Rust: see there.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use tagtrust::metadata::role;
use tagtrust::trust::{Expiry, TrustedRoot, TrustedSet};
use tagtrust::{Client, Pinning, Policy};

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["memory", metadata, repository, tag, count] => {
            let files = read(metadata);
            time(count, || in_memory(&files, repository, tag));
        }
        ["threads", metadata, repository, tag, count] => {
            let files = read(metadata);
            let [one, eight] =
                [1, 8].map(|threads| throughput(threads, count, || in_memory(&files, repository, tag)));
            println!("{one} {eight}");
        }
        ["client", server, ca_file, trust_dir, reference, count] => {
            let client = Client::builder()
                .server(*server)
                .ca_file(*ca_file)
                .trust_dir(*trust_dir)
                .offline_max_age(Duration::from_secs(3600))
                .build()
                .unwrap();
            time(count, || client.verify(reference).unwrap().digest);
        }
        _ => println!("run by `make bench`"),
    }
}

fn read(metadata: &str) -> [Vec<u8>; 4] {
    [role::ROOT, role::TIMESTAMP, role::SNAPSHOT, role::TARGETS]
        .map(|role| std::fs::read(Path::new(metadata).join(format!("{role}.json"))).unwrap())
}

fn in_memory(files: &[Vec<u8>; 4], repository: &str, tag: &str) -> String {
    let [root, timestamp, snapshot, targets] = files.clone();
    let (now, pinning) = (SystemTime::now(), Pinning::trust_on_first_use());
    let root = TrustedRoot::accept(repository, root, None, Some(&pinning), Expiry::Enforced, now).unwrap();
    let mut set = TrustedSet::new(Arc::new(root));
    set.add_timestamp(timestamp, None, now).unwrap();
    set.add_snapshot(snapshot, None, now).unwrap();
    set.add_role(targets, None, now).unwrap();
    set.verify(tag, &Policy::docker(), now).unwrap().digest
}

/// Prints the CPU time of one call in nanoseconds. The first is not counted.
fn time(count: &str, call: impl Fn() -> String) {
    let count: u32 = count.parse().unwrap();
    assert!(call().starts_with("sha256:"));
    let start = cpu_nanoseconds();
    for _ in 0..count {
        assert!(call().starts_with("sha256:"));
    }
    println!("{}", (cpu_nanoseconds() - start) / f64::from(count));
}

/// Verifications a second of all threads.
fn throughput(threads: u32, count: &str, call: impl Fn() -> String + Sync) -> f64 {
    let count: u32 = count.parse().unwrap();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..count / threads).for_each(|_| assert!(call().starts_with("sha256:"))));
        }
    });
    f64::from(count) / start.elapsed().as_secs_f64()
}

fn cpu_nanoseconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}
