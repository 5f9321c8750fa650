//! Making certificates.
//!
//! **Invariant:** nobody passes on more than it has: a certificate ends no later than its issuer's, its capabilities are
//! a part of them, and a spawner's path length is at least one below.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod,
    KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SanType, SignatureAlgorithm, SigningKey,
};
use time::OffsetDateTime;

use super::capability::{Capabilities, Capability};
use super::certificate::{Certificate, CertificateError, Kind, MAX_DEPTH, ORGANIZATION, Validity};
use super::chain::Chain;
use super::key::{FabricKey, KeyPair, PublicKey};
use super::name::{FabricId, Name, SpiffeId, Subject};
use super::trust::Trust;
use crate::units::WallTime;

/// How long a leaf is valid.
pub const LEAF_VALIDITY: Duration = Duration::from_secs(30 * DAY);
/// How long a spawner's certificate is valid: the fabric's key may lie in a safe for that long.
pub const SPAWNER_VALIDITY: Duration = Duration::from_secs(365 * DAY);
/// Certificates begin this much earlier, since clocks differ by hours, and some by a time zone.
const BACKDATE: Duration = Duration::from_secs(DAY);
/// The end of a certificate that has none (RFC 5280, section 4.1.2.5). A root is replaced by a rotation and not by the
/// calendar, which would end a fabric that nobody looks at.
const FOR_EVER: WallTime = WallTime::from_secs(253_402_300_799);
const DAY: u64 = 24 * 60 * 60;

/// Why no certificate is made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The fabric's key is not the one that the fabric trusts now.
    #[error("this is not the fabric's key, or not its newest")]
    NotRoot,
    /// The issuer has no spawner's certificate, or not for this key.
    #[error("this node is no spawner")]
    NotSpawner,
    /// Only leaves may follow.
    #[error("no spawner may follow this one: {MAX_DEPTH} follow each other at most")]
    TooDeep,
    /// More than the issuer may.
    #[error("`{wanted}` is more than its issuer may pass on: `{own}`")]
    NotAllowed {
        /// What was asked for.
        wanted: Capabilities,
        /// What there is.
        own: Capabilities,
    },
    /// The subject of a leaf must not be the fabric.
    #[error("a certificate of this kind is for a node, an engine or an app")]
    Subject,
    /// The issuer's own certificate has ended, or has not begun.
    #[error("the issuer's own certificate is not valid now")]
    IssuerEnded,
    /// The key was rotated lately.
    #[error("the last rotation is not over before second {until} since 1970", until = .0.as_secs())]
    Overlap(WallTime),
    /// A moment that X.509 has no word for.
    #[error("the clock says a time that certificates cannot have")]
    Time,
    /// It could not be written.
    #[error("a certificate could not be written")]
    Encode(#[source] rcgen::Error),
    /// What was written is not of our form.
    #[error("a certificate came out wrong")]
    Wrong(#[source] CertificateError),
}

/// The number of a certificate: 16 unpredictable octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial([u8; 16]);

impl From<[u8; 16]> for Serial {
    fn from(mut random: [u8; 16]) -> Serial {
        // Positive and of one length in DER.
        random[0] = random[0] & 0x7f | 0x40;
        Serial(random)
    }
}

/// When a certificate is made, and its number: what a pure function has to be given.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Now.
    pub now: WallTime,
    /// A new number.
    pub serial: Serial,
}

/// Who gets a certificate.
#[derive(Clone, Debug)]
pub struct Order {
    /// Who it is.
    pub subject: Subject,
    /// Its key. That it has the secret half must have been proven ([`Purpose::KeyProof`](super::Purpose::KeyProof)).
    pub key: PublicKey,
    /// What it may do.
    pub capabilities: Capabilities,
}

impl Order {
    /// A node's.
    pub fn node(name: Name, key: PublicKey, capabilities: Capabilities) -> Order {
        Order { subject: Subject::Node(name), key, capabilities }
    }
}

/// Somebody who may sign certificates.
#[derive(Clone, Debug)]
pub struct Issuer<'a> {
    key: &'a KeyPair,
    certificate: &'a Certificate,
    /// What follows a new certificate in its chain.
    chain: &'a [Certificate],
}

impl<'a> Issuer<'a> {
    /// The fabric's key, which makes the first spawners.
    ///
    /// # Errors
    /// When it is not the newest of those that the fabric trusts.
    pub fn root(key: &'a FabricKey, trust: &'a Trust) -> Result<Issuer<'a>, MintError> {
        let certificate = trust.newest();
        if key.public() != *certificate.key() {
            return Err(MintError::NotRoot);
        }
        Ok(Issuer { key: key.pair(), certificate, chain: &[] })
    }

    /// A spawner, with its spawner's certificate and those that lead to it.
    ///
    /// # Errors
    /// When the certificate is none of a spawner or of another key.
    pub fn spawner(key: &'a KeyPair, chain: &'a Chain) -> Result<Issuer<'a>, MintError> {
        let certificate = chain.first();
        let spawner = matches!(certificate.kind(), Kind::Spawner { .. });
        if !spawner || *certificate.key() != key.public() || !certificate.capabilities().has(Capability::Spawn) {
            return Err(MintError::NotSpawner);
        }
        Ok(Issuer { key, certificate, chain: chain.certificates() })
    }

    /// Makes the certificate of a node, an engine or an app.
    ///
    /// # Errors
    /// When the issuer may not, or its own certificate has ended.
    pub fn leaf(&self, order: &Order, stamp: Stamp) -> Result<Chain, MintError> {
        let common_name = match &order.subject {
            Subject::Fabric => return Err(MintError::Subject),
            Subject::Node(name) | Subject::Engine(name) | Subject::App(name) => name.as_str(),
        };
        self.chain_of(order, stamp, LEAF_VALIDITY, &Form { kind: Kind::Leaf, common_name })
    }

    /// Makes the certificate of another spawner, which may pass on `capabilities`, [`Capability::Spawn`] among them.
    ///
    /// # Errors
    /// When the issuer may not, or its own certificate has ended.
    pub fn delegate(&self, key: PublicKey, capabilities: Capabilities, stamp: Stamp) -> Result<Chain, MintError> {
        let hops = match self.certificate.kind() {
            Kind::Root => MAX_DEPTH - 1,
            Kind::Spawner { hops: 0 } => return Err(MintError::TooDeep),
            Kind::Spawner { hops } => hops - 1,
            Kind::Leaf => return Err(MintError::NotSpawner),
        };
        let order = Order { subject: Subject::Fabric, key, capabilities: capabilities.with(Capability::Spawn) };
        let common_name = format!("spawner {}", key.node());
        let form = Form { kind: Kind::Spawner { hops }, common_name: &common_name };
        self.chain_of(&order, stamp, SPAWNER_VALIDITY, &form)
    }

    fn chain_of(&self, order: &Order, stamp: Stamp, life: Duration, form: &Form<'_>) -> Result<Chain, MintError> {
        let own = self.certificate.capabilities();
        if !order.capabilities.within(own) {
            return Err(MintError::NotAllowed { wanted: order.capabilities, own });
        }
        let limits = self.certificate.validity();
        if !limits.contains(stamp.now) {
            return Err(MintError::IssuerEnded);
        }
        let validity = Validity { from: stamp.now - BACKDATE, until: (stamp.now + life).min(limits.until) };
        let params = params(&self.certificate.name().fabric, order, stamp.serial, form)?;
        let certificate = sign(Unsigned { params, validity, key: &order.key }, self.key, self.certificate)?;
        Ok(Chain::new(certificate, self.chain))
    }
}

/// Makes the certificate of a fabric's own key, signed by itself. `fabric` is the id that follows from its first key.
///
/// # Errors
/// When the clock is far from any date.
pub fn root(key: &FabricKey, fabric: FabricId, stamp: Stamp) -> Result<Certificate, MintError> {
    let validity = Validity { from: stamp.now - BACKDATE, until: FOR_EVER };
    let public = key.public();
    let params = root_params(&public, fabric, stamp)?;
    // Its issuer is its subject.
    let issuer = params.distinguished_name.clone();
    sign_as(Unsigned { params, validity, key: &public }, key.pair(), issuer)
}

/// Makes a cross certificate: the fabric's key `old` says that `new` takes its place, and that it is itself trusted
/// until `until`.
///
/// # Errors
/// When `old` is not the fabric's newest key, the one before it is still trusted, or the clock is far from any date.
pub fn cross(
    old: &FabricKey,
    trust: &Trust,
    new: &PublicKey,
    until: WallTime,
    stamp: Stamp,
) -> Result<Certificate, MintError> {
    let issuer = Issuer::root(old, trust)?;
    if let Some(until) = trust.overlap(stamp.now) {
        return Err(MintError::Overlap(until));
    }
    let fabric = trust.fabric();
    let validity = Validity { from: stamp.now - BACKDATE, until };
    let params = root_params(new, fabric, stamp)?;
    sign(Unsigned { params, validity, key: new }, issuer.key, issuer.certificate)
}

/// What tells kinds of certificates apart.
struct Form<'a> {
    kind: Kind,
    common_name: &'a str,
}

/// A certificate before it is signed.
struct Unsigned<'a> {
    params: CertificateParams,
    validity: Validity,
    key: &'a PublicKey,
}

fn root_params(key: &PublicKey, fabric: FabricId, stamp: Stamp) -> Result<CertificateParams, MintError> {
    let order = Order { subject: Subject::Fabric, key: *key, capabilities: Capabilities::ALL };
    let form = Form { kind: Kind::Root, common_name: &format!("root {}", key.node()) };
    params(&fabric, &order, stamp.serial, &form)
}

fn params(fabric: &FabricId, order: &Order, serial: Serial, form: &Form<'_>) -> Result<CertificateParams, MintError> {
    let name = SpiffeId { fabric: *fabric, subject: order.subject.clone() };
    let mut params = CertificateParams::default();
    params.serial_number = Some(serial.0.to_vec().into());
    params.subject_alt_names = vec![SanType::URI(name.to_string().try_into().map_err(MintError::Encode)?)];
    params.distinguished_name = distinguished_name(order.capabilities, form.common_name);
    params.use_authority_key_identifier_extension = true;
    params.key_identifier_method = KeyIdMethod::PreSpecified(order.key.node().0.to_vec());
    let path = |length| IsCa::Ca(BasicConstraints::Constrained(length));
    params.is_ca = match form.kind {
        Kind::Root => path(MAX_DEPTH),
        Kind::Spawner { hops } => path(hops),
        Kind::Leaf => IsCa::ExplicitNoCa,
    };
    params.key_usages = match form.kind {
        Kind::Root | Kind::Spawner { .. } => vec![KeyUsagePurpose::KeyCertSign],
        Kind::Leaf => vec![KeyUsagePurpose::DigitalSignature],
    };
    // Nodes meet as server and client alike (X509-SVID, section 4.4); engines and apps do not speak TLS by themselves.
    if matches!(order.subject, Subject::Node(_)) {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    }
    Ok(params)
}

fn distinguished_name(capabilities: Capabilities, common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, ORGANIZATION);
    name.push(DnType::OrganizationalUnitName, capabilities.to_string());
    name.push(DnType::CommonName, common_name);
    name
}

fn sign(unsigned: Unsigned<'_>, key: &KeyPair, issuer: &Certificate) -> Result<Certificate, MintError> {
    sign_as(unsigned, key, distinguished_name(issuer.capabilities(), issuer.common_name()))
}

fn sign_as(unsigned: Unsigned<'_>, key: &KeyPair, issuer: DistinguishedName) -> Result<Certificate, MintError> {
    let Unsigned { mut params, validity, key: subject } = unsigned;
    (params.not_before, params.not_after) = (date(validity.from)?, date(validity.until)?);
    let mut named = CertificateParams::default();
    named.distinguished_name = issuer;
    named.key_identifier_method = KeyIdMethod::PreSpecified(key.public().node().0.to_vec());
    let issuer = rcgen::Issuer::new(named, Hand::of(key));
    let signed = params.signed_by(subject, &issuer).map_err(MintError::Encode)?;
    Certificate::parse(signed.der()).map_err(MintError::Wrong)
}

fn date(moment: WallTime) -> Result<OffsetDateTime, MintError> {
    let seconds = i64::try_from(moment.as_secs()).map_err(|_| MintError::Time)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| MintError::Time)
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

/// A key pair as the writer of certificates wants it.
pub(super) struct Hand<'a> {
    public: PublicKey,
    key: &'a KeyPair,
}

impl Hand<'_> {
    /// What signs with this pair.
    pub(super) fn of(key: &KeyPair) -> Hand<'_> {
        Hand { public: key.public(), key }
    }
}

impl PublicKeyData for Hand<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.public.algorithm()
    }
}

impl SigningKey for Hand<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.key.sign_bare(message).to_vec())
    }
}
