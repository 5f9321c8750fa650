//! Whether somebody is who it says: a chain of certificates, judged.
//!
//! webpki (RFC 5280, section 6) finds the way to a trusted key and checks signatures, dates, path lengths and key usage
//! on it. What is special to a fabric is checked around it: the form of each certificate, the trust domain, the kind of
//! name, capabilities that only shrink, and revoked keys. The peer's own certificates are all that is needed: nothing is
//! fetched.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};

use super::capability::{Capabilities, Capability};
use super::certificate::{Certificate, Kind};
use super::chain::{Chain, ChainError};
use super::key::PublicKey;
use super::name::{FabricId, Name, SpiffeId, Subject};
use super::revocation::Revocations;
use super::trust::Trust;
use crate::units::{NodeId, WallTime};

/// What a certificate must be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A node at the other end of a link, or one that asks for something.
    Node,
    /// An engine's signature.
    Engine,
    /// An app.
    App,
}

/// Why somebody is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The certificates cannot be read.
    #[error("it shows no certificates of a fabric")]
    Chain(#[from] ChainError),
    /// Another fabric.
    #[error("it belongs to the fabric {0}")]
    WrongFabric(FabricId),
    /// A spawner's certificate, or that of an engine instead of a node's.
    #[error("the certificate of {0} is not for this use")]
    WrongUse(SpiffeId),
    /// A certificate on the way is not valid yet.
    #[error("a certificate is not valid before second {from} since 1970; it is {now}: is the clock right?", from = from.as_secs(), now = now.as_secs())]
    NotYetValid {
        /// When it begins.
        from: WallTime,
        /// Now.
        now: WallTime,
    },
    /// A certificate on the way has ended.
    #[error("a certificate was valid until second {until} since 1970; it is {now}", until = until.as_secs(), now = now.as_secs())]
    Expired {
        /// When it ended.
        until: WallTime,
        /// Now.
        now: WallTime,
    },
    /// A key on the way counts no more.
    #[error("the key of {0} is revoked")]
    Revoked(NodeId),
    /// More spawners follow each other than one of them was allowed.
    #[error("more spawners follow each other than was allowed")]
    TooDeep,
    /// A signature on the way is wrong.
    #[error("a signature is wrong")]
    Signature,
    /// The certificates do not lead to the fabric's key.
    #[error("its certificates do not lead to the fabric's key")]
    UnknownIssuer,
    /// A certificate says more than its issuer could pass on.
    #[error("the certificate of {0} says more than its issuer may")]
    NotAllowed(NodeId),
    /// Anything else that RFC 5280 asks for.
    #[error("its certificates are not in order")]
    Path(#[source] webpki::Error),
}

/// Somebody who has shown who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    certificate: Certificate,
    /// The ids of the keys from the issuer of its certificate to the fabric's.
    issuers: Vec<NodeId>,
    until: WallTime,
}

impl Peer {
    /// Its id.
    pub fn node(&self) -> NodeId {
        self.certificate.node()
    }

    /// Its key.
    pub fn key(&self) -> &PublicKey {
        self.certificate.key()
    }

    /// Who it is in the fabric.
    pub fn spiffe_id(&self) -> &SpiffeId {
        self.certificate.name()
    }

    /// What people call it.
    pub fn name(&self) -> Option<&Name> {
        match &self.certificate.name().subject {
            Subject::Fabric => None,
            Subject::Node(name) | Subject::Engine(name) | Subject::App(name) => Some(name),
        }
    }

    /// What it may do.
    pub fn capabilities(&self) -> Capabilities {
        self.certificate.capabilities()
    }

    /// The ids of the keys that vouch for it: its spawner's, that one's spawner's, and at last the fabric's.
    pub fn issuers(&self) -> &[NodeId] {
        &self.issuers
    }

    /// When the first of the certificates that vouch for it ends.
    pub fn until(&self) -> WallTime {
        self.until
    }
}

/// What is needed to judge others: whom the fabric trusts, and which keys are revoked.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// Whom the fabric trusts.
    pub trust: Trust,
    /// Which keys are revoked.
    pub revocations: Revocations,
}

impl Verifier {
    /// A verifier that knows of nothing revoked.
    pub fn new(trust: Trust) -> Verifier {
        let revocations = Revocations::new(trust.fabric());
        Verifier { trust, revocations }
    }

    /// Judges certificates as somebody shows them, its own first.
    ///
    /// # Errors
    /// When it is not to be believed that the holder of the first certificate's key is who it says.
    pub fn verify<'a>(
        &self,
        shown: impl IntoIterator<Item = &'a [u8]>,
        role: Role,
        now: WallTime,
    ) -> Result<Peer, VerifyError> {
        self.verify_chain(&Chain::parse(shown)?, role, now)
    }

    /// Judges a chain; see [`Verifier::verify`].
    ///
    /// # Errors
    /// As there.
    pub fn verify_chain(&self, chain: &Chain, role: Role, now: WallTime) -> Result<Peer, VerifyError> {
        let leaf = chain.first();
        self.check_leaf(leaf, role, now)?;
        let anchors = self.anchors(chain, now);
        let trusted: Vec<_> = anchors.iter().map(|one| webpki::anchor_from_trusted_cert(one.der())).collect();
        let trusted: Vec<_> = trusted.into_iter().collect::<Result<_, _>>().map_err(VerifyError::Path)?;
        let between: Vec<CertificateDer<'_>> =
            chain.ders().skip(1).map(|der| CertificateDer::from(der.as_ref())).collect();
        let end = webpki::EndEntityCert::try_from(leaf.der()).map_err(VerifyError::Path)?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()));
        let usage = webpki::KeyUsage::client_auth();
        let path = end
            .verify_for_usage(&[webpki::ring::ED25519], &trusted, &between, time, usage, None, None)
            .map_err(|error| explain(error, now))?;
        // The way that was found, from the leaf's issuer up.
        let find = |der: &CertificateDer<'_>| chain.certificates().iter().find(|one| one.der() == der);
        let mut way: Vec<&Certificate> = path.intermediate_certificates().filter_map(|one| find(&one.der())).collect();
        let is_anchor = |one: &Certificate| path.anchor().subject_public_key_info.ends_with(one.key().as_bytes());
        let anchor = anchors.iter().find(|one| is_anchor(one)).copied();
        way.extend(anchor.or(anchors.first().copied()));
        self.check_way(leaf, &way, now)
    }

    /// Whether somebody who was believed still is: what it has shown has not ended, and no key on its way was revoked.
    pub fn still_believes(&self, peer: &Peer, now: WallTime) -> bool {
        now <= peer.until && self.revoked(peer.node(), &peer.issuers, now).is_none()
    }

    fn check_leaf(&self, leaf: &Certificate, role: Role, now: WallTime) -> Result<(), VerifyError> {
        let SpiffeId { fabric, subject } = leaf.name();
        if *fabric != self.trust.fabric() {
            return Err(VerifyError::WrongFabric(*fabric));
        }
        match (role, subject) {
            (Role::Node, Subject::Node(_)) | (Role::Engine, Subject::Engine(_)) | (Role::App, Subject::App(_)) => {}
            _ => return Err(VerifyError::WrongUse(leaf.name().clone())),
        }
        let validity = leaf.validity();
        if now < validity.from {
            return Err(VerifyError::NotYetValid { from: validity.from, now });
        }
        if now > validity.until { Err(VerifyError::Expired { until: validity.until, now }) } else { Ok(()) }
    }

    /// The keys that are trusted, and a new one that a trusted key has put in its place, as the peer shows.
    fn anchors<'a>(&'a self, chain: &'a Chain, now: WallTime) -> Vec<&'a Certificate> {
        let mut anchors = self.trust.anchors(now);
        for shown in chain.certificates() {
            let follows = shown.kind() == Kind::Root
                && shown.name().fabric == self.trust.fabric()
                && shown.validity().contains(now)
                && shown.is_signed_by(self.trust.newest().key());
            if follows && anchors.iter().all(|known| known.key() != shown.key()) {
                anchors.push(shown);
            }
        }
        anchors
    }

    /// Capabilities shrink on the way, and nobody on it is revoked.
    fn check_way(&self, leaf: &Certificate, way: &[&Certificate], now: WallTime) -> Result<Peer, VerifyError> {
        let mut until = leaf.validity().until;
        // The key before the newest counts until the overlap ends.
        if way.last().is_some_and(|root| root.key() != self.trust.newest().key()) {
            until = self.trust.overlap(now).map_or(until, |overlap| until.min(overlap));
        }
        let mut below = leaf;
        for issuer in way {
            let passes = issuer.capabilities().has(Capability::Spawn) && issuer.name().fabric == self.trust.fabric();
            if !passes || !below.capabilities().within(issuer.capabilities()) {
                return Err(VerifyError::NotAllowed(below.node()));
            }
            until = until.min(issuer.validity().until);
            below = issuer;
        }
        let issuers: Vec<NodeId> = way.iter().map(|one| one.node()).collect();
        match self.revoked(leaf.node(), &issuers, now) {
            Some(node) => Err(VerifyError::Revoked(node)),
            None => Ok(Peer { certificate: leaf.clone(), issuers, until }),
        }
    }

    /// The first key on a way that somebody above it, or the fabric's key, has revoked.
    fn revoked(&self, node: NodeId, issuers: &[NodeId], now: WallTime) -> Option<NodeId> {
        let roots: Vec<NodeId> = self.trust.anchors(now).iter().map(|one| one.node()).collect();
        let mut way = std::iter::once(node).chain(issuers.iter().copied()).enumerate();
        way.find(|(place, one)| {
            let above = issuers.get(*place..).unwrap_or_default();
            self.revocations.revokes(*one, above.iter().chain(&roots).copied())
        })
        .map(|(_, one)| one)
    }
}

fn explain(error: webpki::Error, now: WallTime) -> VerifyError {
    match error {
        webpki::Error::CertExpired { not_after, .. } => {
            VerifyError::Expired { until: WallTime::from_secs(not_after.as_secs()), now }
        }
        webpki::Error::CertNotValidYet { not_before, .. } => {
            VerifyError::NotYetValid { from: WallTime::from_secs(not_before.as_secs()), now }
        }
        webpki::Error::PathLenConstraintViolated | webpki::Error::MaximumPathDepthExceeded => VerifyError::TooDeep,
        webpki::Error::InvalidSignatureForPublicKey => VerifyError::Signature,
        webpki::Error::UnknownIssuer => VerifyError::UnknownIssuer,
        other => VerifyError::Path(other),
    }
}
