//! Runs a trust server in memory, signs a tag on it and verifies it.
//!
//! `server` prints where the server answered and what was verified.

use tagtrust::server::{Server, ServerConfig};
use tagtrust::{Client, Target, Zeroizing};

const IMAGE: &str = "registry.example/team/app:1.2";
const DIGEST: &str = "sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start(ServerConfig::default())?;
    println!("{}", server.url());

    let trust_dir = tempfile::tempdir()?;
    let client = Client::builder()
        .server(server.url())
        .trust_dir(trust_dir.path())
        .passphrase(|_| Some(Zeroizing::new("correct horse".into())))
        .build()?;
    client.sign(IMAGE, Some(Target::new(DIGEST, 1570)))?;
    println!("{}", client.verify(IMAGE)?.pinned_reference);

    server.stop();
    Ok(())
}
