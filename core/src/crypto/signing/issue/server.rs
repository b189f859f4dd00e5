//! The certificate of a TLS server that has none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use p256::elliptic_curve::Generate;
use p256::pkcs8::EncodePrivateKey;
use x509_cert::der;
use x509_cert::der::asn1::{Ia5String, OctetString};
use x509_cert::der::oid::db::rfc5280::ID_KP_SERVER_AUTH;
use x509_cert::der::oid::db::rfc5912::SECP_256_R_1;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use zeroize::Zeroizing;

use super::{self_signed, validity};
use crate::crypto::signing::private_key::PrivateKey;
use crate::crypto::signing::random::no_randomness;
use crate::error::{Error, Result};

/// A certificate for a TLS server at this address and on loopback, as PEM, and
/// its private key, as PKCS#8. It is no CA: clients that trust it trust this one
/// server.
pub(crate) fn issue_server_certificate(
    address: IpAddr,
    now: SystemTime,
    valid: Duration,
) -> Result<(String, Zeroizing<Vec<u8>>)> {
    let internal = |reason: &dyn std::fmt::Display| Error::Internal {
        reason: format!("certificate of the server: {reason}"),
    };
    let secret = p256::SecretKey::try_generate().map_err(no_randomness)?;
    let pkcs8 = secret.to_pkcs8_der().map_err(|error| internal(&error))?.to_bytes();
    let sec1 = secret.to_sec1_der().map_err(|error| internal(&error))?;
    let key = PrivateKey::from_sec1(&sec1, Some(SECP_256_R_1)).map_err(|fault| internal(&fault))?;

    let names = names(address).map_err(|error| internal(&error))?;
    // Clocks differ a little.
    let since = now.checked_sub(Duration::from_secs(60 * 60)).unwrap_or(now);
    let validity = validity(since, valid).ok_or_else(|| internal(&"valid before 1970 or after 9999"))?;
    let pem = self_signed("tagtrust", &key, validity, vec![ID_KP_SERVER_AUTH], Some(names))?;
    Ok((pem, pkcs8))
}

fn names(address: IpAddr) -> der::Result<SubjectAltName> {
    let mut names = vec![GeneralName::DnsName(Ia5String::new("localhost")?)];
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    if !addresses.contains(&address) && !address.is_unspecified() {
        addresses.push(address);
    }
    for address in addresses {
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        names.push(GeneralName::IpAddress(OctetString::new(octets)?));
    }
    Ok(SubjectAltName(names))
}
