//! Docker's own settings: its directory, its choice of trust server, and the
//! certificates that it keeps for a host.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crate::{Error, Result};

/// What the caller chose, else `$DOCKER_CONFIG`, else `~/.docker`.
pub(super) fn config_dir(chosen: Option<&Path>) -> Option<PathBuf> {
    let from_environment = || env::var_os("DOCKER_CONFIG").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    chosen.map(Path::to_owned).or_else(from_environment).or_else(|| Some(env::home_dir()?.join(".docker")))
}

/// Where Docker keeps trust data; none if there is no home directory.
pub(crate) fn docker_trust_dir(chosen_config_dir: Option<&Path>) -> Option<PathBuf> {
    Some(config_dir(chosen_config_dir)?.join("trust"))
}

/// `$DOCKER_CONTENT_TRUST_SERVER`, which counts for every registry.
pub(super) fn chosen_trust_server() -> Option<String> {
    env::var("DOCKER_CONTENT_TRUST_SERVER").ok().filter(|server| !server.is_empty())
}

/// Where Docker looks for the signatures of a registry.
pub(super) fn trust_server(registry: &str) -> String {
    match registry {
        "docker.io" => "https://notary.docker.io".to_owned(),
        other => format!("https://{other}"),
    }
}

/// The name under which Docker keeps the credentials for a registry.
pub(super) fn credentials_key(registry: &str) -> &str {
    match registry {
        "docker.io" => "https://index.docker.io/v1/",
        other => other,
    }
}

/// What Docker keeps for a host, in `tls/<host[:port]>` or the engine's directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HostCertificates {
    /// `*.crt`: authorities, in addition to the system's.
    pub(super) authorities: Vec<PathBuf>,
    /// `X.cert` with `X.key`: what to show to the server.
    pub(super) pairs: Vec<(PathBuf, PathBuf)>,
}

/// Reads a host's directory as Docker does, with Docker's words for a missing half.
pub(super) fn host_certificates(dir: &Path) -> Result<HostCertificates> {
    let invalid = |reason: String| Error::InvalidConfiguration { what: dir.display().to_string(), reason };
    let mut names = match fs::read_dir(dir) {
        Ok(entries) => entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<String>>>()
            .map_err(|error| invalid(error.to_string()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(HostCertificates::default());
        }
        Err(error) => return Err(invalid(error.to_string())),
    };
    names.sort();

    let mut found = HostCertificates::default();
    for name in &names {
        if name.ends_with(".crt") {
            found.authorities.push(dir.join(name));
        } else if let Some(stem) = name.strip_suffix(".cert") {
            let key = format!("{stem}.key");
            if !names.contains(&key) {
                return Err(invalid(format!(
                    "missing key {key} for client certificate {name}. CA certificates must use the extension .crt"
                )));
            }
            found.pairs.push((dir.join(name), dir.join(key)));
        } else if let Some(stem) = name.strip_suffix(".key") {
            let certificate = format!("{stem}.cert");
            if !names.contains(&certificate) {
                return Err(invalid(format!("missing client certificate {certificate} for key {name}")));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_data_is_beside_the_configuration() {
        assert_eq!(docker_trust_dir(Some(Path::new("/d"))), Some("/d/trust".into()));
    }

    #[test]
    fn docker_hub_has_its_own_server_and_credentials_key() {
        assert_eq!(trust_server("docker.io"), "https://notary.docker.io");
        assert_eq!(trust_server("reg.example:5000"), "https://reg.example:5000");
        assert_eq!(credentials_key("docker.io"), "https://index.docker.io/v1/");
        assert_eq!(credentials_key("reg.example:5000"), "reg.example:5000");
    }

    #[test]
    fn host_certificates_are_found_by_their_extension() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("tls/h:1");
        assert_eq!(host_certificates(&dir).unwrap(), HostCertificates::default());

        fs::create_dir_all(&dir).unwrap();
        for name in ["b.crt", "a.crt", "me.cert", "me.key", "README"] {
            fs::write(dir.join(name), "").unwrap();
        }
        let found = host_certificates(&dir).unwrap();
        assert_eq!(found.authorities, [dir.join("a.crt"), dir.join("b.crt")]);
        assert_eq!(found.pairs, [(dir.join("me.cert"), dir.join("me.key"))]);
    }

    #[test]
    fn half_a_client_certificate_is_refused_in_dockers_words() {
        for (name, words) in [
            (
                "me.cert",
                "missing key me.key for client certificate me.cert. CA certificates must use the extension .crt",
            ),
            ("me.key", "missing client certificate me.cert for key me.key"),
        ] {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path();
            fs::write(dir.join(name), "").unwrap();
            let error = host_certificates(dir).unwrap_err();
            assert_eq!(
                error,
                Error::InvalidConfiguration { what: dir.display().to_string(), reason: words.into() }
            );
        }
    }
}
