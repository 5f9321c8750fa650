//! One certificate, read strictly.
//!
//! Certificates are X.509-SVIDs (RFC 5280, SPIFFE X509-SVID) of one narrow form: Ed25519 keys and signatures, exactly
//! one name, which is a SPIFFE id, the key's id as key identifier, and the capabilities in the subject's
//! organizational unit. Whatever else a file or a peer may have is refused here, before any signature is looked at.
//!
//! | kind | SPIFFE id | basic constraints | key usage |
//! |---|---|---|---|
//! | root, cross certificate | no path | CA, path length [`MAX_DEPTH`] | keyCertSign |
//! | spawner | no path | CA, path length below that: the spawners that may follow | keyCertSign |
//! | leaf | `/node/…`, `/engine/…`, `/app/…` | not a CA | digitalSignature |

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_SIG_ED25519;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::{AttributeTypeAndValue, X509Version};

use super::capability::Capabilities;
use super::key::{PublicKey, SIGNATURE};
use super::name::{SpiffeId, Subject};
use crate::units::{NodeId, WallTime};

/// Spawners between the fabric's key and a leaf at most: desktop, gateway, head node and compute node take four. It is
/// also the longest path that webpki follows.
pub const MAX_DEPTH: u8 = 6;
/// Octets of a certificate at most; ours have 550 to 700.
pub const MAX_CERTIFICATE: usize = 1024;
/// The organization of every subject.
pub(super) const ORGANIZATION: &str = "gatehouse fabric";

/// Why octets are no certificate of a fabric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Too long.
    #[error("it has more than 1024 octets")]
    TooLong,
    /// Not DER, not X.509, or more than one certificate.
    #[error("it is not X.509")]
    Encoding,
    /// Another algorithm than Ed25519, or a useless key.
    #[error("its key or its signature is not Ed25519")]
    Algorithm,
    /// No name, several, or one that is no SPIFFE id of a fabric.
    #[error("it does not have exactly one name, a SPIFFE id of a fabric")]
    Name,
    /// Its extensions do not fit each other.
    #[error("it is neither a root's, a spawner's nor a leaf")]
    Kind,
    /// Its capabilities cannot be read.
    #[error("it does not say what its holder may do")]
    Capabilities,
    /// No common name.
    #[error("its subject has no name")]
    Subject,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The fabric's key: signed by itself, or by the fabric's key before it (a cross certificate).
    Root,
    /// Somebody who may sign further certificates.
    Spawner {
        /// How many spawners may follow on a path.
        hops: u8,
    },
    /// A node, an engine or an app.
    Leaf,
}

/// When a certificate is valid; both ends are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From.
    pub from: WallTime,
    /// Until.
    pub until: WallTime,
}

impl Validity {
    /// Whether `now` lies in it.
    pub fn contains(&self, now: WallTime) -> bool {
        self.from <= now && now <= self.until
    }
}

/// A certificate of a fabric. That it can be read says nothing about who made it.
#[derive(Clone, Debug)]
pub struct Certificate(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    der: CertificateDer<'static>,
    kind: Kind,
    name: SpiffeId,
    common_name: String,
    capabilities: Capabilities,
    key: PublicKey,
    issuer: NodeId,
    serial: Vec<u8>,
    validity: Validity,
}

impl Certificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// When it is not of a fabric's form.
    pub fn parse(der: &[u8]) -> Result<Certificate, CertificateError> {
        if der.len() > MAX_CERTIFICATE {
            return Err(CertificateError::TooLong);
        }
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| CertificateError::Encoding)?;
        if !rest.is_empty() || parsed.version() != X509Version::V3 || parsed.extensions_map().is_err() {
            return Err(CertificateError::Encoding);
        }
        let extensions = Extensions::read(&parsed)?;
        let subject = parsed.subject();
        let parts = Parts {
            der: CertificateDer::from(der.to_vec()),
            kind: extensions.kind()?,
            name: extensions.name()?,
            common_name: only(subject.iter_common_name()).ok_or(CertificateError::Subject)?.to_owned(),
            capabilities: only(subject.iter_organizational_unit())
                .and_then(|words| words.parse().ok())
                .ok_or(CertificateError::Capabilities)?,
            key: key_of(&parsed)?,
            issuer: extensions.issuer.ok_or(CertificateError::Kind)?,
            serial: parsed.raw_serial().to_vec(),
            validity: Validity {
                from: moment(parsed.validity().not_before.timestamp())?,
                until: moment(parsed.validity().not_after.timestamp())?,
            },
        };
        let fits = match (parts.kind, &parts.name.subject) {
            (Kind::Root | Kind::Spawner { .. }, subject) => *subject == Subject::Fabric,
            (Kind::Leaf, subject) => *subject != Subject::Fabric,
        };
        if fits { Ok(Certificate(Arc::new(parts))) } else { Err(CertificateError::Kind) }
    }

    /// Its octets.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.0.der
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Who it is for.
    pub fn name(&self) -> &SpiffeId {
        &self.0.name
    }

    /// What its holder may do.
    pub fn capabilities(&self) -> Capabilities {
        self.0.capabilities
    }

    /// Whose secret half makes its holder.
    pub fn key(&self) -> &PublicKey {
        &self.0.key
    }

    /// The id that follows from its key.
    pub fn node(&self) -> NodeId {
        self.0.key.node()
    }

    /// The id of the key that it says has signed it.
    pub fn issuer(&self) -> NodeId {
        self.0.issuer
    }

    /// Its serial number, as in DER.
    pub fn serial(&self) -> &[u8] {
        &self.0.serial
    }

    /// When it is valid.
    pub fn validity(&self) -> Validity {
        self.0.validity
    }

    /// The common name of its subject.
    pub(super) fn common_name(&self) -> &str {
        &self.0.common_name
    }

    /// Whether the holder of `key` has signed it.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let Ok((_, parsed)) = X509Certificate::from_der(&self.0.der) else { return false };
        let signature: Result<&[u8; SIGNATURE], _> = parsed.signature_value.data.as_ref().try_into();
        signature.is_ok_and(|signature| key.verifies_bare(parsed.tbs_certificate.as_ref(), signature))
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Certificate) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

/// What the extensions say; each occurs at most once.
#[derive(Default)]
struct Extensions<'a> {
    /// Whether it is a CA, and the path length.
    ca: Option<(bool, Option<u32>)>,
    signs_certificates: bool,
    signs_messages: bool,
    names: Vec<&'a GeneralName<'a>>,
    issuer: Option<NodeId>,
}

impl<'a> Extensions<'a> {
    fn read(parsed: &'a X509Certificate<'a>) -> Result<Extensions<'a>, CertificateError> {
        let mut found = Extensions::default();
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(basic) => found.ca = Some((basic.ca, basic.path_len_constraint)),
                ParsedExtension::KeyUsage(usage) => {
                    found.signs_certificates = usage.key_cert_sign();
                    found.signs_messages = usage.digital_signature();
                }
                ParsedExtension::SubjectAlternativeName(names) => found.names = names.general_names.iter().collect(),
                ParsedExtension::AuthorityKeyIdentifier(issuer) => {
                    let id = issuer.key_identifier.as_ref().and_then(|id| id.0.try_into().ok());
                    found.issuer = id.map(NodeId);
                }
                ParsedExtension::ParseError { .. } => return Err(CertificateError::Encoding),
                _ => {}
            }
        }
        Ok(found)
    }

    fn kind(&self) -> Result<Kind, CertificateError> {
        match (self.ca, self.signs_certificates, self.signs_messages) {
            (Some((true, Some(length))), true, false) => match u8::try_from(length) {
                Ok(MAX_DEPTH) => Ok(Kind::Root),
                Ok(hops @ 0..MAX_DEPTH) => Ok(Kind::Spawner { hops }),
                _ => Err(CertificateError::Kind),
            },
            (Some((false, None)), false, true) => Ok(Kind::Leaf),
            _ => Err(CertificateError::Kind),
        }
    }

    fn name(&self) -> Result<SpiffeId, CertificateError> {
        match self.names.as_slice() {
            [GeneralName::URI(uri)] => uri.parse().map_err(|_| CertificateError::Name),
            _ => Err(CertificateError::Name),
        }
    }
}

fn key_of(parsed: &X509Certificate<'_>) -> Result<PublicKey, CertificateError> {
    let info = parsed.public_key();
    let algorithms = [&parsed.signature_algorithm, &parsed.tbs_certificate.signature, &info.algorithm];
    let ed25519 = algorithms.iter().all(|one| one.algorithm == OID_SIG_ED25519 && one.parameters.is_none());
    let octets: Result<&[u8; 32], _> = info.subject_public_key.data.as_ref().try_into();
    match octets {
        Ok(octets) if ed25519 => PublicKey::from_bytes(octets).map_err(|_| CertificateError::Algorithm),
        _ => Err(CertificateError::Algorithm),
    }
}

fn moment(timestamp: i64) -> Result<WallTime, CertificateError> {
    u64::try_from(timestamp).map(WallTime::from_secs).map_err(|_| CertificateError::Encoding)
}

/// The text of the only attribute of its kind.
fn only<'a>(mut attributes: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>) -> Option<&'a str> {
    let text = attributes.next()?.as_str().ok()?;
    attributes.next().is_none().then_some(text)
}
