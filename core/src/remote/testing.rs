//! Peers on loopback that answer as a test tells them, byte for byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Certificates made with openssl for `127.0.0.1`, `::1` and `localhost`,
/// valid for a hundred years; the authority's key is gone.
pub(crate) fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/remote/testdata").join(name)
}

/// One request as it came.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// `GET /v2/`
    pub(super) line: String,
    pub(super) headers: String,
    pub(super) body: String,
    /// Which connection, counted from 0.
    pub(super) connection: usize,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

pub(super) struct Peer {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
}

pub(super) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Peer {
    /// Answers every request with what `answer` writes; the connection stays
    /// open while it returns true.
    pub(super) fn new(
        answer: impl Fn(&Seen, &mut dyn Stream) -> std::io::Result<bool> + Send + Sync + 'static,
    ) -> Self {
        Self::over(|tcp| Box::new(tcp), answer)
    }

    /// Answers every request to the path with a status, header lines and a body;
    /// everything else with 404.
    pub(super) fn with(
        answer: impl Fn(&Seen) -> Option<(u16, String, String)> + Send + Sync + 'static,
    ) -> Self {
        Self::new(move |seen, stream| {
            let (status, headers, body) = answer(seen).unwrap_or((404, String::new(), "{}".into()));
            write!(stream, "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())?;
            Ok(true)
        })
    }

    pub(super) fn over(
        wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + Sync + 'static,
        answer: impl Fn(&Seen, &mut dyn Stream) -> std::io::Result<bool> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (log, stopped, shared) = (Arc::clone(&seen), Arc::clone(&stop), Arc::new((wrap, answer)));
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (log, shared) = (Arc::clone(&log), Arc::clone(&shared));
                thread::spawn(move || {
                    let mut stream = BufReader::new((shared.0)(stream.unwrap()));
                    while let Some(request) = read_request(&mut stream, connection) {
                        log.lock().unwrap().push(request.clone());
                        if !(shared.1)(&request, stream.get_mut()).unwrap_or(false) {
                            return;
                        }
                        if stream.get_mut().flush().is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, seen, stop }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The requests' first lines, in order.
    pub(super) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn read_request(stream: &mut BufReader<Box<dyn Stream>>, connection: usize) -> Option<Seen> {
    // Somebody who speaks TLS is not kept waiting.
    if stream.fill_buf().ok()?.first() == Some(&0x16) {
        return None;
    }
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let mut seen =
        Seen { line: line.trim().strip_suffix(" HTTP/1.1")?.to_owned(), connection, ..Seen::default() };
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        seen.headers.push_str(&header);
    }
    if seen.header("expect") == Some("100-continue") {
        stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    seen.body = String::from_utf8(body).unwrap();
    Some(seen)
}
