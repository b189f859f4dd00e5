//! The certificates that bind root keys to a repository, and the CAs they are
//! pinned to.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pki_types::pem::{PemObject, SectionKind};
use x509_cert::der::pem::{self, LineEnding};

use super::certificate::{Certificate, CertificateFault};
use super::chain::{self, Purpose};
use super::key::{KeyType, PublicKey};
use super::subject_key::SubjectKey;

/// A key with more PEM than this is refused: a root may bring megabytes of it.
pub const MAX_BUNDLE_BYTES: usize = 64 * 1024;

/// A key with more certificates than this is refused: the chains that can be
/// tried grow with the factorial of their number.
pub const MAX_BUNDLE_CERTIFICATES: usize = 6;

/// The certificates of one root key: its own, then those of CAs above it.
#[derive(Debug, Clone)]
pub struct CertificateBundle {
    pub(super) leaf: Certificate,
    pub(super) authorities: Vec<Certificate>,
}

impl CertificateBundle {
    /// Reads the certificates of a root key.
    ///
    /// The PEM must have only CERTIFICATE blocks, in the form in which Notary
    /// writes them: Notary writes them anew and then compares key IDs. Exactly
    /// one certificate is not of a CA, and it comes first.
    pub fn of_root_key(key: &PublicKey) -> Result<Self, CertificateFault> {
        let certificates = parse_normal(key.public_bytes())?;
        let leaves = certificates.iter().filter(|c| !c.is_ca()).count();
        let mut certificates = certificates.into_iter();
        let leaf = match certificates.next() {
            Some(leaf) if leaves == 1 && !leaf.is_ca() => leaf,
            _ => return Err(CertificateFault::LeafNotAlone { leaves }),
        };
        let authorities = certificates.collect();

        // Notary writes the key anew with the type of the certificate's key,
        // so under another type its ID no longer matches.
        match (key.key_type(), &leaf.key) {
            (KeyType::RsaX509, Some(SubjectKey::Rsa { .. })) => {}
            (KeyType::EcdsaX509, Some(SubjectKey::P256(_) | SubjectKey::P384(_) | SubjectKey::P521(_))) => {}
            (listed, _) => {
                return Err(CertificateFault::WrongKeyType { listed: listed.to_string() });
            }
        }
        Ok(Self { leaf, authorities })
    }

    /// The common name of the key's own certificate; empty if it has none.
    pub fn common_name(&self) -> &str {
        &self.leaf.common_name
    }

    /// Whether the common name is the GUN, or ends in `*` and what stands before
    /// all trailing `*` is a prefix of it. A `*` elsewhere is just a character.
    pub fn matches_gun(&self, gun: &str) -> bool {
        let name = self.common_name();
        if name.ends_with('*') { gun.starts_with(name.trim_end_matches('*')) } else { name == gun }
    }

    /// Checks validity, signature algorithms and key sizes; at `now`, or without
    /// a look at the time.
    ///
    /// Every certificate must pass: Notary drops CA certificates that do not,
    /// and then the key ID, which covers the whole bundle, no longer matches.
    // Stricter: Notary does not look at the CA certificates of a previous root.
    pub fn check(&self, now: Option<SystemTime>) -> Result<(), CertificateFault> {
        let now = now.map(since_epoch);
        std::iter::once(&self.leaf)
            .chain(&self.authorities)
            .try_for_each(|certificate| certificate.check(now))
    }

    /// When the first of the certificates expires.
    pub fn expires(&self) -> SystemTime {
        let ends = self.authorities.iter().map(Certificate::not_after);
        UNIX_EPOCH + ends.fold(self.leaf.not_after(), Duration::min)
    }

    /// Checks the bundle at `now`, and that its first certificate chains to one
    /// of the anchors, directly or through the others, for the purpose of server
    /// authentication: that is what Notary asks for. The answer is when that
    /// anchor expires.
    pub fn chains_to(&self, anchors: &TrustAnchors, now: SystemTime) -> Result<SystemTime, CertificateFault> {
        self.check(Some(now))?;
        let purpose = Purpose::ServerAuthentication;
        let end = chain::verify(chain::ALGORITHMS, purpose, self, anchors, since_epoch(now))?;
        Ok(UNIX_EPOCH + end)
    }
}

/// The certificates of a CA file: where chains may end.
#[derive(Debug, Clone)]
pub struct TrustAnchors(pub(super) Vec<Certificate>);

impl TrustAnchors {
    /// Reads PEM of CA certificates, of which at least one is valid at `now`.
    /// Chains end only at those that are valid when the chain is looked for.
    ///
    /// Text around the blocks is ignored. A block that is not a certificate makes
    /// the file unusable.
    pub fn parse(pem: &[u8], now: SystemTime) -> Result<Self, CertificateFault> {
        let anchors = Self(parse(pem)?);
        let now = Some(since_epoch(now));
        if anchors.0.iter().all(|anchor| anchor.check(now).is_err()) {
            return Err(CertificateFault::NoAnchors);
        }
        Ok(anchors)
    }
}

/// Those under whose certificates a token server signs.
#[cfg(feature = "server")]
impl TrustAnchors {
    /// Reads PEM of certificates, of CAs or not, whether they are valid now or not.
    pub(crate) fn of_token_server(pem: &[u8]) -> Result<Self, CertificateFault> {
        parse(pem).map(Self)
    }

    /// The SubjectPublicKeyInfo, in DER, of each certificate.
    pub(crate) fn public_keys(&self) -> impl Iterator<Item = Vec<u8>> {
        self.0.iter().filter_map(Certificate::spki_der)
    }

    /// The SubjectPublicKeyInfo, in DER, of the first of these certificates: it
    /// must be one of the anchors, or chain to one through the others.
    // Stricter: what chains is not a CA itself.
    pub(crate) fn key_of_chain(
        &self,
        certificates: Vec<Vec<u8>>,
        now: SystemTime,
    ) -> Result<Vec<u8>, CertificateFault> {
        if certificates.len() > MAX_BUNDLE_CERTIFICATES {
            return Err(CertificateFault::TooMany { count: certificates.len() });
        }
        let certificates: Result<Vec<_>, _> =
            certificates.into_iter().enumerate().map(|(index, der)| Certificate::parse(index, der)).collect();
        let mut authorities = certificates?;
        if authorities.is_empty() {
            return Err(CertificateFault::NotPem("no certificate".into()));
        }
        let leaf = authorities.remove(0);
        let bundle = CertificateBundle { leaf, authorities };
        let is_anchor = self.0.iter().any(|anchor| anchor.der == bundle.leaf.der);
        if !(is_anchor && chain::is_valid(&bundle.leaf, since_epoch(now))) {
            bundle.check(Some(now))?;
            chain::verify(chain::ALGORITHMS, Purpose::Any, &bundle, self, since_epoch(now))?;
        }
        bundle.leaf.spki_der().ok_or_else(|| CertificateFault::NoChain("a key that cannot be read".into()))
    }
}

/// The key in the first certificate of PEM in normal form.
pub(super) fn first_key(pem: &[u8]) -> Option<SubjectKey> {
    first(pem)?.key
}

/// The SubjectPublicKeyInfo, in DER, of the first certificate of PEM in normal form.
pub(super) fn first_spki_der(pem: &[u8]) -> Option<Vec<u8>> {
    let first = first(pem)?;
    first.key.as_ref()?;
    first.spki_der()
}

fn first(pem: &[u8]) -> Option<Certificate> {
    parse_normal(pem).ok()?.into_iter().next()
}

/// Reads PEM that is exactly what Notary, that is Go, writes for the certificates
/// in it. Go's reader then sees the same certificates, whatever ours is like.
// Stricter: for roles other than root Notary reads the first PEM block, whatever
// its form, and nothing after it.
fn parse_normal(pem: &[u8]) -> Result<Vec<Certificate>, CertificateFault> {
    if pem.len() > MAX_BUNDLE_BYTES {
        return Err(CertificateFault::TooLarge { bytes: pem.len() });
    }
    let certificates = parse(pem)?;
    if certificates.len() > MAX_BUNDLE_CERTIFICATES {
        return Err(CertificateFault::TooMany { count: certificates.len() });
    }
    let mut normal = String::new();
    for certificate in &certificates {
        normal += &pem::encode_string("CERTIFICATE", LineEnding::LF, &certificate.der)
            .map_err(|e| CertificateFault::NotPem(e.to_string()))?;
    }
    if normal.as_bytes() != pem {
        return Err(CertificateFault::NotPem("Notary would write the same certificates otherwise".into()));
    }
    Ok(certificates)
}

/// Reads PEM of at least one certificate and of nothing else; text around the
/// blocks is ignored.
fn parse(pem: &[u8]) -> Result<Vec<Certificate>, CertificateFault> {
    let not_pem = |reason: &str| CertificateFault::NotPem(reason.into());
    let mut certificates = Vec::new();
    for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        match block.map_err(|e| not_pem(&e.to_string()))? {
            (SectionKind::Certificate, der) => {
                certificates.push(Certificate::parse(certificates.len(), der)?);
            }
            _ => return Err(not_pem("a block is not a certificate")),
        }
    }
    // The reader passes over blocks whose label it does not know.
    let blocks = pem.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"-----BEGIN ")).count();
    match certificates.len() {
        0 => Err(not_pem("no certificate")),
        found if found != blocks => Err(not_pem("a block is not a certificate")),
        _ => Ok(certificates),
    }
}

/// A clock before 1970 is as good as one at 1970.
fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const GUN: &str = "registry.example/team/app";

    /// The start of 2030, when all test certificates are valid.
    pub(in crate::crypto) const NOW: Duration = Duration::from_secs(1_893_456_000);
    pub(in crate::crypto) const DAY: Duration = Duration::from_secs(86_400);

    pub(in crate::crypto) fn pem(file: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/certificates/");
        std::fs::read(format!("{folder}{file}.pem")).unwrap()
    }

    fn read(key_type: KeyType, pem: Vec<u8>) -> Result<CertificateBundle, CertificateFault> {
        CertificateBundle::of_root_key(&PublicKey::new(key_type, pem))
    }

    pub(in crate::crypto) fn bundle(file: &str) -> CertificateBundle {
        let key_type = if file.contains("rsa") { KeyType::RsaX509 } else { KeyType::EcdsaX509 };
        read(key_type, pem(file)).unwrap()
    }

    pub(in crate::crypto) fn anchors(file: &str) -> TrustAnchors {
        TrustAnchors(parse(&pem(file)).unwrap())
    }

    fn fault_of(pem: impl Into<Vec<u8>>) -> CertificateFault {
        read(KeyType::EcdsaX509, pem.into()).unwrap_err()
    }

    fn at(since_epoch: Duration) -> Option<SystemTime> {
        Some(UNIX_EPOCH + since_epoch)
    }

    /// When the first certificate of the bundle becomes valid, and until when it is.
    fn validity(bundle: &CertificateBundle) -> (Duration, Duration) {
        (bundle.leaf.not_before(), bundle.leaf.not_after())
    }

    #[test]
    fn a_certificate_as_notary_makes_it_is_read() {
        let bundle = bundle("notary");
        assert_eq!(bundle.common_name(), GUN);
        assert_eq!(bundle.check(at(NOW)), Ok(()));
    }

    #[test]
    fn exactly_one_certificate_is_not_of_a_ca_and_it_is_the_first() {
        assert!(read(KeyType::EcdsaX509, pem("chain")).is_ok());
        for (file, leaves) in
            [("ca-as-leaf", 0), ("chain-ca-only", 0), ("chain-reversed", 1), ("chain-two-leaves", 2)]
        {
            assert_eq!(fault_of(pem(file)), CertificateFault::LeafNotAlone { leaves }, "{file}");
        }
    }

    #[test]
    fn the_listed_key_type_must_be_that_of_the_certificate() {
        for (listed, file) in [
            ("rsa-x509", "notary"),
            ("ecdsa", "notary"),
            ("ecdsa-x509", "rsa"),
            ("rsa", "rsa"),
            ("ecdsa-x509", "ed25519"),
            ("ed25519", "ed25519"),
            ("ed25519-x509", "ed25519"),
        ] {
            assert_eq!(
                read(KeyType::from(listed), pem(file)).unwrap_err(),
                CertificateFault::WrongKeyType { listed: listed.into() },
                "{file}"
            );
        }
        assert!(read(KeyType::RsaX509, pem("rsa")).is_ok());
        assert!(read(KeyType::EcdsaX509, pem("p384")).is_ok());
    }

    #[test]
    fn only_pem_as_notary_writes_it_is_read() {
        let good = String::from_utf8(pem("chain")).unwrap();
        assert!(read(KeyType::EcdsaX509, good.clone().into()).is_ok());
        let one_line = {
            let (head, rest) = good.split_once('\n').unwrap();
            let (body, tail) = rest.split_once("-----END").unwrap();
            format!("{head}\n{}\n-----END{tail}", body.replace('\n', ""))
        };
        for (what, text) in [
            ("nothing", String::new()),
            ("no block", "certificate".into()),
            ("CRLF", good.replace('\n', "\r\n")),
            ("no newline at the end", good.trim_end().into()),
            ("an empty line at the end", format!("{good}\n")),
            ("an empty line before", format!("\n{good}")),
            ("a comment before", format!("# root\n{good}")),
            ("a comment after", format!("{good}# root\n")),
            ("text between", good.replace("-----\n-----", "-----\ntext\n-----")),
            ("a header", good.replacen("CERTIFICATE-----\n", "CERTIFICATE-----\na: b\n\n", 1)),
            ("spaces", good.replacen('\n', " \n", 1)),
            ("long lines", one_line),
            ("another label", good.replace("CERTIFICATE", "X509 CERTIFICATE")),
            ("a trusted certificate", good.replace("CERTIFICATE", "TRUSTED CERTIFICATE")),
            ("a public key", good.replace("CERTIFICATE", "PUBLIC KEY")),
            ("a private key after", format!("{good}{}", good.replace("CERTIFICATE", "PRIVATE KEY"))),
            ("an unknown block after", format!("{good}{}", good.replace("CERTIFICATE", "SOMETHING"))),
            ("cut short", good[..good.len() - 10].into()),
        ] {
            let fault = fault_of(text);
            assert!(matches!(fault, CertificateFault::NotPem(_)), "{what}: {fault}");
        }
        let der = bundle("notary").leaf.der.to_vec();
        assert!(matches!(fault_of(der), CertificateFault::NotPem(_)));
    }

    #[test]
    fn bundles_are_limited_in_bytes_and_in_certificates() {
        let bytes = MAX_BUNDLE_BYTES + 1;
        assert_eq!(fault_of(vec![b'\n'; bytes]), CertificateFault::TooLarge { bytes });

        let mut most = pem("chain-direct");
        for _ in 1..MAX_BUNDLE_CERTIFICATES {
            most.extend(pem("root-ca"));
        }
        assert!(read(KeyType::EcdsaX509, most.clone()).is_ok());
        most.extend(pem("root-ca"));
        let count = MAX_BUNDLE_CERTIFICATES + 1;
        assert_eq!(fault_of(most), CertificateFault::TooMany { count });
    }

    #[test]
    fn no_damaged_certificate_panics_or_keeps_its_identity() {
        let der = bundle("notary").leaf.der.to_vec();
        let wrap = |der: &[u8]| {
            let text = pem::encode_string("CERTIFICATE", LineEnding::LF, der).unwrap();
            PublicKey::new(KeyType::EcdsaX509, text.into())
        };
        assert!(CertificateBundle::of_root_key(&wrap(&der)).is_ok());
        for at in 0..der.len() {
            assert!(CertificateBundle::of_root_key(&wrap(&der[..at])).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut damaged = der.clone();
                damaged[at] ^= 1 << bit;
                let key = wrap(&damaged);
                assert_ne!(key.id(), wrap(&der).id());
                if let Ok(bundle) = CertificateBundle::of_root_key(&key) {
                    let _ = bundle.check(Some(UNIX_EPOCH + NOW));
                }
            }
        }
        let mut longer = der.clone();
        longer.push(0);
        assert!(CertificateBundle::of_root_key(&wrap(&longer)).is_err());
    }

    #[test]
    fn the_common_name_is_the_gun_or_a_prefix_with_stars_at_its_end() {
        for (file, gun, expected) in [
            ("notary", GUN, true),
            ("notary", "registry.example/team/app2", false),
            ("notary", "registry.example/team/ap", false),
            ("notary", "Registry.example/team/app", false),
            ("notary", "", false),
            ("wildcard", GUN, true),
            ("wildcard", "registry.example/team/", true),
            ("wildcard", "registry.example/team", false),
            ("wildcard", "registry.example/other/app", false),
            ("inner-star", GUN, false),
            ("inner-star", "registry.example/*/app", true),
            ("everything", GUN, true),
            ("no-name", GUN, false),
        ] {
            assert_eq!(bundle(file).matches_gun(gun), expected, "{file} {gun}");
        }
    }

    #[test]
    fn two_common_names_are_refused() {
        let fault = fault_of(pem("two-names"));
        assert!(matches!(fault, CertificateFault::Malformed { index: 0, .. }), "{fault}");
    }

    #[test]
    fn a_weak_certificate_is_refused_with_and_without_the_time() {
        // Made in 2026, valid until 2126: now until 2025.
        let mut der = bundle("notary").leaf.der.to_vec();
        let year = der.windows(4).position(|digits| digits == b"2126").unwrap();
        der[year..year + 4].copy_from_slice(b"2025");
        let text = pem::encode_string("CERTIFICATE", LineEnding::LF, &der).unwrap();
        let backwards = read(KeyType::EcdsaX509, text.into()).unwrap();
        for now in [None, at(NOW)] {
            assert_eq!(
                bundle("sha1").check(now),
                Err(CertificateFault::WeakSignature {
                    name: GUN.into(),
                    algorithm: "1.2.840.10045.4.1".into()
                })
            );
            assert_eq!(
                bundle("rsa-2047").check(now),
                Err(CertificateFault::WeakKey { name: GUN.into(), bits: 2047 })
            );
            let fault = backwards.check(now).unwrap_err();
            assert!(matches!(fault, CertificateFault::ValidityWindow { .. }), "{fault}");
            assert_eq!(bundle("rsa").check(now), Ok(()));
        }
    }

    #[test]
    fn a_certificate_is_valid_from_a_day_before_its_validity_to_its_last_moment() {
        let bundle = bundle("notary");
        let (not_before, not_after) = validity(&bundle);
        assert_eq!(bundle.check(at(not_before - DAY)), Ok(()));
        let early = bundle.check(at(not_before - DAY - Duration::from_nanos(1)));
        assert!(matches!(early, Err(CertificateFault::NotYetValid { .. })), "{early:?}");
        assert_eq!(bundle.check(at(not_after)), Ok(()));
        let late = bundle.check(at(not_after + Duration::from_nanos(1)));
        assert!(matches!(late, Err(CertificateFault::Expired { .. })), "{late:?}");
        assert_eq!(bundle.check(None), Ok(()));
        let before_1970 = Some(UNIX_EPOCH - DAY);
        assert!(matches!(bundle.check(before_1970), Err(CertificateFault::NotYetValid { .. })));
    }

    #[test]
    fn a_bad_intermediate_disables_the_key() {
        let short = bundle("chain-short-intermediate");
        assert_eq!(short.check(None), Ok(()));
        let (not_before, _) = validity(&short);
        assert_eq!(short.check(at(not_before + 300 * DAY)), Ok(()));
        let fault = short.check(at(NOW)).unwrap_err();
        assert!(
            matches!(&fault, CertificateFault::Expired { name, .. } if name == "Test CA of a Year"),
            "{fault}"
        );
        for now in [None, at(NOW)] {
            let fault = bundle("chain-sha1-intermediate").check(now).unwrap_err();
            assert!(matches!(fault, CertificateFault::WeakSignature { .. }), "{fault}");
        }
    }

    #[test]
    fn a_ca_file_may_have_text_around_its_certificates() {
        let mut file = b"Test Root CA\r\n============\r\n".to_vec();
        file.extend(pem("root-ca"));
        file.extend(b"\nanother one\n");
        file.extend(String::from_utf8(pem("rsa-ca")).unwrap().replace('\n', "\r\n").bytes());
        assert_eq!(TrustAnchors::parse(&file, UNIX_EPOCH + NOW).unwrap().0.len(), 2);
    }

    #[test]
    fn a_ca_file_with_anything_but_certificates_is_refused() {
        let good = String::from_utf8(pem("root-ca")).unwrap();
        for (what, text) in [
            ("nothing", String::new()),
            ("text", "text\n".into()),
            ("a key", format!("{good}{}", good.replace("CERTIFICATE", "PRIVATE KEY"))),
            ("an unknown block", format!("{good}{}", good.replace("CERTIFICATE", "SOMETHING"))),
            ("bad base64", good.replacen("MII", "M_I", 1)),
            ("cut short", good[..good.len() - 10].into()),
        ] {
            let fault = TrustAnchors::parse(text.as_bytes(), UNIX_EPOCH + NOW).unwrap_err();
            assert!(matches!(fault, CertificateFault::NotPem(_)), "{what}: {fault}");
        }
        let mut file = pem("root-ca");
        file.extend(b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
        let fault = TrustAnchors::parse(&file, UNIX_EPOCH + NOW).unwrap_err();
        assert!(matches!(fault, CertificateFault::Malformed { index: 1, .. }), "{fault}");
    }

    #[test]
    fn a_ca_file_without_a_valid_certificate_is_refused() {
        let fault = TrustAnchors::parse(&pem("anchor-short"), UNIX_EPOCH + NOW).unwrap_err();
        assert_eq!(fault, CertificateFault::NoAnchors);
        let mut file = pem("anchor-short");
        file.extend(pem("root-ca"));
        assert!(TrustAnchors::parse(&file, UNIX_EPOCH + NOW).is_ok());
    }

    #[test]
    fn chains_to_checks_the_bundle_too() {
        let anchors = TrustAnchors::parse(&pem("root-ca"), UNIX_EPOCH + NOW).unwrap();
        let until = UNIX_EPOCH + anchors.0[0].not_after();
        assert_eq!(bundle("chain").chains_to(&anchors, UNIX_EPOCH + NOW), Ok(until));
        let fault = bundle("chain-sha1-intermediate").chains_to(&anchors, UNIX_EPOCH + NOW);
        assert!(matches!(fault, Err(CertificateFault::WeakSignature { .. })), "{fault:?}");
    }
}
