//! A PostgreSQL for the tests of this process: Debian's package, started in a
//! directory of its own, gone with the process.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The password of the user `postgres`, who needs it only over TCP.
pub(crate) const PASSWORD: &str = "wachtwoord";

/// Where the server can be reached.
pub(crate) struct Instance {
    /// Of its unix socket; with `ca.crt`, `client.crt` and `client.key` in it.
    pub(crate) directory: PathBuf,
    pub(crate) port: u16,
    /// The script stops the server when its input is closed, however the process ends.
    _script: Child,
}

/// The URL of a new database. `None`, and said so, where there is no PostgreSQL;
/// in CI that is a failure.
pub(crate) fn new_database() -> Option<String> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let instance = instance()?;
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    psql("postgres", &format!("CREATE DATABASE {name}"));
    Some(format!(
        "postgres:///{name}?host={}&port={}&user=postgres",
        instance.directory.display(),
        instance.port
    ))
}

/// Runs SQL in a database of the instance.
pub(crate) fn psql(database: &str, sql: &str) {
    let instance = instance().unwrap();
    let run = Command::new("psql")
        .args(["-v", "ON_ERROR_STOP=1", "-qXU", "postgres", "-d", database, "-c", sql, "-h"])
        .arg(&instance.directory)
        .args(["-p", &instance.port.to_string()])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

pub(crate) fn instance() -> Option<&'static Instance> {
    static INSTANCE: OnceLock<Option<Instance>> = OnceLock::new();
    let instance = INSTANCE.get_or_init(|| programs().map(|programs| start(&programs)));
    if instance.is_none() {
        assert!(std::env::var_os("CI").is_none(), "PostgreSQL is not installed");
        eprintln!("skipped: PostgreSQL is not installed");
    }
    instance.as_ref()
}

fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let programs = versions.flatten().map(|version| version.path().join("bin"));
    programs.filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists()).max()
}

/// Says the directory when the server is ready, stops it at the end of the input.
const SCRIPT: &str = r#"
set -e
dir=$(mktemp -d /tmp/tagtrust-postgres.XXXXXX)
cd "$dir"
exec 2> log
trap 'test -z "$server" || { kill -INT $server; wait $server; }; rm -rf "$dir"' EXIT
echo "$PASSWORD" > password
initdb --no-sync -U postgres -A trust --pwfile=password -E UTF8 --locale=C.UTF-8 -D data >&2
printf 'local all all trust\nhostssl clients all 127.0.0.1/32 cert\nhost all all 127.0.0.1/32 scram-sha-256\n' > data/pg_hba.conf
new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
openssl req -x509 $new -subj /CN=ca -keyout ca.key -out ca.crt
echo 'keyUsage=digitalSignature' > extensions
for name in server client; do
    openssl req $new -subj /CN=postgres -keyout $name.key -out $name.csr
    openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile extensions -out $name.crt
done
chmod 755 . && chmod 644 client.key
postgres -D data -p $PORT -k "$dir" -c listen_addresses=127.0.0.1 -c max_connections=300 -c fsync=on \
    -c shared_buffers=32MB -c ssl=on -c ssl_ca_file="$dir/ca.crt" -c ssl_cert_file="$dir/server.crt" \
    -c ssl_key_file="$dir/server.key" >&2 & server=$!
until psql -qXU postgres -h "$dir" -p $PORT -c 'SELECT 1' > /dev/null; do kill -0 $server; sleep 0.05; done
echo "$dir"
cat > /dev/null
"#;

fn start(programs: &Path) -> Instance {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    // PostgreSQL does not run as root.
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = match root {
        true => Command::new("setpriv"),
        false => Command::new("env"),
    };
    if root {
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    }
    let mut script = command
        .args(["sh", "-c", SCRIPT])
        .env("PATH", path)
        .env("PORT", port.to_string())
        .env("PASSWORD", PASSWORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // An interrupt ends the tests, and that ends the server.
        .process_group(0)
        .spawn()
        .unwrap();
    let mut directory = String::new();
    BufReader::new(script.stdout.take().unwrap()).read_line(&mut directory).unwrap();
    assert!(!directory.is_empty(), "PostgreSQL did not start");
    Instance { directory: directory.trim().into(), port, _script: script }
}
