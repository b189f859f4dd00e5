//! Signs a tag, or publishes what is staged, and prints what was published as JSON.
//!
//! `publish REPOSITORY [--tag TAG DIGEST SIZE] [--server URL] [--ca-file FILE] [--trust-dir DIR]`
//!
//! Passphrases come from Docker's environment variables.
//! Exit status: 0 done, 2 usage, 3 not published.

use std::process::ExitCode;

use tagtrust::{Client, Publication, Result, Target};

fn main() -> ExitCode {
    let mut builder = Client::builder();
    let (mut repositories, mut tags) = (Vec::new(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--server" => builder = builder.server(value()),
            "--ca-file" => builder = builder.ca_file(value()),
            "--trust-dir" => builder = builder.trust_dir(value()),
            "--tag" => {
                let (tag, digest, size) = (value(), value(), value());
                tags.push((tag, Target::new(digest, size.parse().unwrap_or_default())));
            }
            _ => repositories.push(argument),
        }
    }
    let [repository] = repositories.as_slice() else {
        eprintln!(
            "usage: publish REPOSITORY [--tag TAG DIGEST SIZE] [--server URL] [--ca-file FILE] [--trust-dir DIR]"
        );
        return ExitCode::from(2);
    };
    match builder.build().and_then(|client| publish(&client, repository, tags)) {
        Ok(publication) => {
            println!("{}", publication.to_json());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{repository}: {error}");
            ExitCode::from(3)
        }
    }
}

/// All tags together, or what is staged if none is given.
fn publish(client: &Client, repository: &str, tags: Vec<(String, Target)>) -> Result<Publication> {
    if tags.is_empty() {
        return client.publish(repository);
    }
    let edit = client.edit(repository)?;
    tags.into_iter().fold(edit, |edit, (tag, target)| edit.sign(tag, Some(target))).publish()
}
