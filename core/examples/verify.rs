//! Prints the pinned reference of a signed image, or why there is none.
//!
//! `verify REFERENCE [--server URL] [--ca-file FILE] [--trust-dir DIR]`
//!
//! Exit status: 0 trusted, 1 refused, 2 usage, 3 could not be decided.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut builder = tagtrust::Client::builder();
    let mut references = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--server" => builder = builder.server(value()),
            "--ca-file" => builder = builder.ca_file(value()),
            "--trust-dir" => builder = builder.trust_dir(value()),
            _ => references.push(argument),
        }
    }
    let [reference] = references.as_slice() else {
        eprintln!("usage: verify REFERENCE [--server URL] [--ca-file FILE] [--trust-dir DIR]");
        return ExitCode::from(2);
    };
    match builder.build().and_then(|client| client.verify(reference)) {
        Ok(image) => {
            println!("{}", image.pinned_reference);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{reference}: {error}");
            ExitCode::from(match error.code() {
                ..10 => 2,
                _ if error.is_refusal() => 1,
                _ => 3,
            })
        }
    }
}
