//! Figures of one process, in CPU time. They need a trust server with signed
//! repositories: `make bench` starts one and says where it is.

use std::env;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BatchSize, Criterion, Throughput};
use ring::digest::{SHA256, SHA512, digest};
use rustix::time::{ClockId, clock_gettime};
use tagtrust::metadata::{Envelope, role};
use tagtrust::trust::{Expiry, Pinning, TrustedRoot, TrustedSet};
use tagtrust::{Client, ClientBuilder};

fn main() {
    let Some(lab) = Lab::of_environment() else {
        println!("needs a trust server with signed repositories: run `make bench`");
        return;
    };
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    trusted_set(&mut criterion, &lab);
    client(&mut criterion, &lab);
    criterion.final_summary();
}

/// What tests/bench/bench.py has made.
struct Lab {
    server: String,
    ca_file: PathBuf,
    trust_dir: PathBuf,
    /// A repository with few tags.
    small: String,
    /// A cached repository with many tags in `targets`.
    large: String,
}

impl Lab {
    fn of_environment() -> Option<Self> {
        let variable = |name: &str| env::var(format!("TAGTRUST_BENCH_{name}")).ok();
        Some(Self {
            server: variable("SERVER")?,
            ca_file: variable("CA_FILE")?.into(),
            trust_dir: variable("TRUST_DIR")?.into(),
            small: variable("SMALL")?,
            large: variable("LARGE")?,
        })
    }

    fn client(&self) -> ClientBuilder {
        Client::builder().server(&self.server).ca_file(&self.ca_file).trust_dir(&self.trust_dir)
    }

    /// A bare ureq agent that trusts the same authority.
    fn agent(&self) -> ureq::Agent {
        let pem = std::fs::read(&self.ca_file).unwrap();
        let authority = ureq::tls::Certificate::from_pem(&pem).unwrap();
        let tls = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::new_with_certs(&[authority]))
            .build();
        ureq::Agent::config_builder().tls_config(tls).build().new_agent()
    }
}

/// The files of a large repository from memory, and what no verifier can do
/// without: SHA-256 and SHA-512 of the file, and a signature check, which is
/// its SHA-256 again.
fn trusted_set(criterion: &mut Criterion<CpuTime>, lab: &Lab) {
    let gun = lab.large.as_str();
    let file =
        |role: &str| std::fs::read(lab.trust_dir.join(format!("tuf/{gun}/metadata/{role}.json"))).unwrap();
    let files = [role::ROOT, role::TIMESTAMP, role::SNAPSHOT, role::TARGETS].map(file);
    let now = SystemTime::now();
    let accept = |root| {
        TrustedRoot::accept(gun, root, None, Some(&Pinning::trust_on_first_use()), Expiry::Enforced, now)
            .unwrap()
    };
    let verify = |[root, timestamp, snapshot, targets]: [Vec<u8>; 4]| {
        let mut set = TrustedSet::new(Arc::new(accept(root)));
        set.add_timestamp(timestamp, None, now).unwrap();
        set.add_snapshot(snapshot, None, now).unwrap();
        set.add_role(targets, None, now).unwrap();
        set
    };
    let [root, .., targets] = files.clone();
    let root = accept(root);
    let (_, key) = &root.root().role(role::TARGETS).unwrap().keys[0];
    let envelope = Envelope::read(targets.clone()).unwrap();
    let signature = &envelope.signatures[0];

    let mut group = criterion.benchmark_group("large");
    group.sample_size(30);
    group
        .bench_function("trusted-set", |b| b.iter_batched(|| files.clone(), verify, BatchSize::PerIteration));
    group.bench_function("floor", |b| {
        b.iter(|| {
            black_box(digest(&SHA256, &targets));
            black_box(digest(&SHA512, &targets));
            assert!(key.verify(&signature.method, envelope.signed(), &signature.bytes));
        });
    });
    group.finish();
}

fn client(criterion: &mut Criterion<CpuTime>, lab: &Lab) {
    let reference = format!("{}:v5", lab.small);
    let mut group = criterion.benchmark_group("client");

    let offline = lab.client().offline_max_age(Duration::from_secs(3600)).build().unwrap();
    group.throughput(Throughput::Elements(1));
    group.bench_function("no-request", |b| b.iter(|| offline.verify(&reference).unwrap()));

    let online = lab.client().build().unwrap();
    let agent = lab.agent();
    let url = format!("{}/v2/{}/_trust/tuf/timestamp.json", lab.server, lab.small);
    let get = || agent.get(&url).call().unwrap().into_body().read_to_vec().unwrap();
    group.bench_function("request", |b| b.iter(get));
    group.bench_function("besides-the-request", |b| {
        b.iter_custom(|times| {
            // In turns, so that whatever else the machine does is in both.
            let (mut verifying, mut getting) = (Duration::ZERO, Duration::ZERO);
            for _ in 0..times {
                verifying += cpu_time_of(|| online.verify(&reference).unwrap());
                getting += cpu_time_of(get);
            }
            verifying.saturating_sub(getting)
        });
    });
    group.finish();
}

/// CPU time of the whole process: other programs on the machine matter little.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let now = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
    }

    fn end(&self, start: Duration) -> Duration {
        self.start() - start
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn cpu_time_of<T>(work: impl FnOnce() -> T) -> Duration {
    let start = CpuTime.start();
    black_box(work());
    CpuTime.end(start)
}
