//! Counters of one server, in the text format 0.0.4 of Prometheus. Names and
//! labels of the first ones are Notary's.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::route::{Route, Wanted};

/// Every status that an operation is answered with.
const CODES: [u16; 9] = [200, 400, 401, 403, 404, 408, 413, 500, 503];

/// The operations by Notary's names, each with its method.
const OPERATIONS: [(&str, &str); 8] = [
    ("UpdateTUF", "post"),
    ("GetRole", "get"),
    ("GetRoleByHash", "get"),
    ("GetRoleByVersion", "get"),
    ("GetKey", "get"),
    ("RotateKey", "post"),
    ("DeleteTUF", "delete"),
    ("Changefeed", "get"),
];

/// What one server has done since it started.
#[derive(Default)]
pub(super) struct Metrics {
    operations: [Operation; OPERATIONS.len()],
    /// Connections that are open now.
    pub(super) connections: Gauge,
    /// Uploads that are worked on now.
    pub(super) uploads: Gauge,
    pub(super) failed_handshakes: Counter,
    /// Requests that were answered with a status from 500 on, but not because of too much work.
    pub(super) errors: Counter,
    /// Requests that were refused because of too much work.
    pub(super) busy: Counter,
}

#[derive(Default)]
struct Operation {
    by_code: [Counter; CODES.len()],
    microseconds: Counter,
    request_bytes: Counter,
    response_bytes: Counter,
}

#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How many of something there are now.
#[derive(Default)]
pub(super) struct Gauge(AtomicU64);

impl Gauge {
    /// One more until the result is dropped.
    pub(super) fn enter(&self) -> impl Drop + '_ {
        self.0.fetch_add(1, Relaxed);
        Inside(self)
    }
}

struct Inside<'a>(&'a Gauge);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

/// One request that was answered.
pub(super) struct Exchange {
    pub(super) status: u16,
    pub(super) duration: Duration,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
}

impl Metrics {
    pub(super) fn record(&self, route: Option<Route<'_>>, exchange: &Exchange) {
        match exchange.status {
            503 => self.busy.add(1),
            500.. => self.errors.add(1),
            _ => {}
        }
        let Some(operation) = route.and_then(operation).and_then(|index| self.operations.get(index)) else {
            return;
        };
        let code = CODES.iter().position(|code| *code == exchange.status);
        if let Some(counter) = code.and_then(|index| operation.by_code.get(index)) {
            counter.add(1);
        }
        operation.microseconds.add(u64::try_from(exchange.duration.as_micros()).unwrap_or(u64::MAX));
        operation.request_bytes.add(exchange.request_bytes);
        operation.response_bytes.add(exchange.response_bytes);
    }
}

fn operation(route: Route<'_>) -> Option<usize> {
    let name = match route {
        Route::Feed => "Changefeed",
        Route::Repository { wanted, .. } => match wanted {
            Wanted::Upload => "UpdateTUF",
            Wanted::Delete => "DeleteTUF",
            Wanted::Current { .. } => "GetRole",
            Wanted::BySha256 { .. } => "GetRoleByHash",
            Wanted::ByVersion { .. } => "GetRoleByVersion",
            Wanted::Key { .. } => "GetKey",
            Wanted::RotateKey { .. } => "RotateKey",
            Wanted::Feed => "Changefeed",
        },
        _ => return None,
    };
    OPERATIONS.iter().position(|(operation, _)| *operation == name)
}

impl fmt::Display for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operations = || OPERATIONS.iter().zip(&self.operations);

        const REQUESTS: &str = "notary_server_http_requests_total";
        head(out, REQUESTS, "counter", "Total number of HTTP requests made.")?;
        for ((name, method), operation) in operations() {
            for (code, count) in CODES.iter().zip(&operation.by_code).filter(|(_, count)| count.get() > 0) {
                let count = count.get();
                writeln!(
                    out,
                    "{REQUESTS}{{code=\"{code}\",method=\"{method}\",operation=\"{name}\"}} {count}"
                )?;
            }
        }

        type Sum = fn(&Operation) -> &Counter;
        let summaries: [(_, _, Sum); 3] = [
            ("request_duration_microseconds", "The HTTP request latencies in microseconds.", |of| {
                &of.microseconds
            }),
            ("request_size_bytes", "The HTTP request sizes in bytes.", |of| &of.request_bytes),
            ("response_size_bytes", "The HTTP response sizes in bytes.", |of| &of.response_bytes),
        ];
        for (metric, help, sum) in summaries {
            let metric = format!("notary_server_http_{metric}");
            head(out, &metric, "summary", help)?;
            for ((name, _), operation) in operations() {
                let count: u64 = operation.by_code.iter().map(Counter::get).sum();
                if count > 0 {
                    writeln!(out, "{metric}_sum{{operation=\"{name}\"}} {}", sum(operation).get())?;
                    writeln!(out, "{metric}_count{{operation=\"{name}\"}} {count}")?;
                }
            }
        }

        for (metric, help, value) in [
            ("tagtrust_open_connections", "Connections that are open.", &self.connections.0),
            ("tagtrust_uploads_in_progress", "Uploads that are worked on.", &self.uploads.0),
        ] {
            head(out, metric, "gauge", help)?;
            writeln!(out, "{metric} {}", value.load(Relaxed))?;
        }
        for (metric, help, value) in [
            ("tagtrust_errors_total", "Requests that failed within the server or its storage.", &self.errors),
            (
                "tagtrust_unavailable_total",
                "Requests refused for too much work or because of read-only mode.",
                &self.busy,
            ),
            (
                "tagtrust_failed_tls_handshakes_total",
                "Connections without a TLS handshake.",
                &self.failed_handshakes,
            ),
        ] {
            head(out, metric, "counter", help)?;
            writeln!(out, "{metric} {}", value.get())?;
        }
        Ok(())
    }
}

fn head(out: &mut impl Write, metric: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {metric} {help}\n# TYPE {metric} {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_under_notarys_names_with_the_real_status() {
        let metrics = Metrics::default();
        let upload = Route::Repository { gun: "a", wanted: Wanted::Upload };
        let role = Route::Repository { gun: "a", wanted: Wanted::Current { role: "root" } };
        let exchange = |status| Exchange {
            status,
            duration: Duration::from_micros(7),
            request_bytes: 10,
            response_bytes: 100,
        };
        metrics.record(Some(upload), &exchange(200));
        metrics.record(Some(role), &exchange(404));
        metrics.record(Some(role), &exchange(200));
        metrics.record(Some(role), &exchange(200));
        metrics.record(Some(Route::Ping), &exchange(200));
        metrics.record(None, &exchange(400));
        metrics.record(Some(role), &exchange(500));
        metrics.record(Some(upload), &exchange(503));
        let _connection = metrics.connections.enter();
        drop(metrics.uploads.enter());

        let text = metrics.to_string();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                r#"notary_server_http_requests_total{code="200",method="post",operation="UpdateTUF"} 1"#,
                r#"notary_server_http_requests_total{code="503",method="post",operation="UpdateTUF"} 1"#,
                r#"notary_server_http_requests_total{code="200",method="get",operation="GetRole"} 2"#,
                r#"notary_server_http_requests_total{code="404",method="get",operation="GetRole"} 1"#,
                r#"notary_server_http_requests_total{code="500",method="get",operation="GetRole"} 1"#,
                r#"notary_server_http_request_duration_microseconds_sum{operation="UpdateTUF"} 14"#,
                r#"notary_server_http_request_duration_microseconds_count{operation="UpdateTUF"} 2"#,
                r#"notary_server_http_request_duration_microseconds_sum{operation="GetRole"} 28"#,
                r#"notary_server_http_request_duration_microseconds_count{operation="GetRole"} 4"#,
                r#"notary_server_http_request_size_bytes_sum{operation="UpdateTUF"} 20"#,
                r#"notary_server_http_request_size_bytes_count{operation="UpdateTUF"} 2"#,
                r#"notary_server_http_request_size_bytes_sum{operation="GetRole"} 40"#,
                r#"notary_server_http_request_size_bytes_count{operation="GetRole"} 4"#,
                r#"notary_server_http_response_size_bytes_sum{operation="UpdateTUF"} 200"#,
                r#"notary_server_http_response_size_bytes_count{operation="UpdateTUF"} 2"#,
                r#"notary_server_http_response_size_bytes_sum{operation="GetRole"} 400"#,
                r#"notary_server_http_response_size_bytes_count{operation="GetRole"} 4"#,
                "tagtrust_open_connections 1",
                "tagtrust_uploads_in_progress 0",
                "tagtrust_errors_total 1",
                "tagtrust_unavailable_total 1",
                "tagtrust_failed_tls_handshakes_total 0",
            ]
        );
    }
}
