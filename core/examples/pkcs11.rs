//! Publishes with keys that are on a token, and prints what was published as JSON.
//!
//! `pkcs11 MODULE TOKEN init REPOSITORY [--server URL] [--ca-file FILE] [--trust-dir DIR]`
//! `pkcs11 MODULE TOKEN sign REFERENCE DIGEST SIZE [--server URL] …`
//!
//! The keys are those with the labels `root` and `targets`; `init` makes them if
//! there are none. The PIN is in `$TOKEN_PIN`.
//! Exit status: 0 done, 2 usage, 3 not published.

use std::process::ExitCode;
use std::sync::Arc;

use tagtrust::pkcs11::{Token, TokenKey};
use tagtrust::{Client, ClientBuilder, Init, Publication, Result, Target, Zeroizing};

fn main() -> ExitCode {
    let mut builder = Client::builder();
    let mut words = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--server" => builder = builder.server(value()),
            "--ca-file" => builder = builder.ca_file(value()),
            "--trust-dir" => builder = builder.trust_dir(value()),
            _ => words.push(argument),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let published = match words.as_slice() {
        [module, token, "init", repository] => {
            open(module, token).and_then(|token| init(builder, &token, repository))
        }
        [module, token, "sign", reference, digest, size] => {
            let target = Target::new(*digest, size.parse().unwrap_or_default());
            open(module, token).and_then(|token| sign(builder, &token, reference, target))
        }
        _ => {
            eprintln!(
                "usage: pkcs11 MODULE TOKEN (init REPOSITORY | sign REFERENCE DIGEST SIZE) [--server URL] [--ca-file FILE] [--trust-dir DIR]"
            );
            return ExitCode::from(2);
        }
    };
    match published {
        Ok(publication) => {
            println!("{}", publication.to_json());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(3)
        }
    }
}

fn open(module: &str, token: &str) -> Result<Token> {
    Token::open(module, token, || std::env::var("TOKEN_PIN").ok().map(Zeroizing::new))
}

fn init(builder: ClientBuilder, token: &Token, repository: &str) -> Result<Publication> {
    let (root, targets) = (key(token, "root")?, key(token, "targets")?);
    let (root_key, targets_key) = (Some(root.id().clone()), Some(targets.id().clone()));
    let client = builder.signer(root).signer(targets).build()?;
    client.init(repository, &Init { root_key, targets_key, ..Init::default() })
}

fn key(token: &Token, label: &str) -> Result<Arc<TokenKey>> {
    match token.keys()?.into_iter().find(|key| key.label() == label) {
        Some(key) => Ok(key),
        None => token.generate_p256(label),
    }
}

fn sign(builder: ClientBuilder, token: &Token, reference: &str, target: Target) -> Result<Publication> {
    let client = token.keys()?.into_iter().fold(builder, |builder, key| builder.signer(key)).build()?;
    client.sign(reference, Some(target))
}
