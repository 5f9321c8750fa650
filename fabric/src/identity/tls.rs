//! Links are TLS 1.3 (RFC 8446) with a certificate at both ends; who is at the other end follows from the certificates
//! alone. No name of DNS, no address and no authority of the web counts, and no session is resumed, so that every
//! connection is judged anew.
//!
//! [`Credentials`] are what a node's connections have in common. They change while connections are made: a renewed
//! certificate, news of whom to trust and of revoked keys count from the next handshake on.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, IpAddr, Ipv4Addr, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, CommonState, DigitallySignedStruct, DistinguishedName, OtherError, ServerConfig,
    SignatureAlgorithm, SignatureScheme,
};

use super::key::KeyPair;
use super::node::{Current, NodeIdentity};
use super::revocation::{RevocationError, RevocationList};
use super::trust::{Trust, TrustError};
use super::verify::{Peer, Role, Verifier, VerifyError};
use crate::clock;
use crate::units::{NodeId, WallTime};

/// What links speak inside TLS (RFC 7301).
pub const ALPN: &[u8] = b"gatehouse-fabric/1";

/// Why the other end of a finished handshake is not spoken to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It speaks something else.
    #[error("the other end does not speak the fabric's protocol")]
    Protocol,
    /// Its certificates are not believed any more.
    #[error("the other end is not believed")]
    Verify(#[from] VerifyError),
    /// It is somebody else.
    #[error("the other end is the node {found}, and not {expected}")]
    OtherNode {
        /// Who was called.
        expected: NodeId,
        /// Who answered.
        found: NodeId,
    },
}

/// A node's identity and whom it believes, shared by all its connections.
#[derive(Debug)]
pub struct Credentials(RwLock<Arc<Current>>);

impl Credentials {
    /// Those of a node.
    pub fn new(identity: NodeIdentity, verifier: Verifier) -> Arc<Credentials> {
        Arc::new(Credentials(RwLock::new(Arc::new(Current { identity, verifier }))))
    }

    /// What counts now.
    pub fn current(&self) -> Arc<Current> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts renewed certificates in place of the old ones.
    pub fn renew(&self, identity: NodeIdentity) {
        self.change(|current| current.identity = identity);
    }

    /// Takes in news of the fabric's key; whether it was news.
    ///
    /// # Errors
    /// When they contradict what is known. Nothing is changed then.
    pub fn learn_trust(&self, news: &Trust) -> Result<bool, TrustError> {
        self.change(|current| current.verifier.trust.merge(news))
    }

    /// Takes in a list of revoked keys; whether it was news. Who gets a `true` ends the links of those that
    /// [`Verifier::still_believes`] no longer speaks for.
    ///
    /// # Errors
    /// When it is another fabric's, or there is no room. Nothing is changed then.
    pub fn learn_revoked(&self, list: RevocationList) -> Result<bool, RevocationError> {
        self.change(|current| current.verifier.revocations.merge(list))
    }

    /// How this node calls others.
    ///
    /// # Errors
    /// Never, as long as the TLS library knows TLS 1.3.
    pub fn client(self: &Arc<Self>) -> Result<Arc<ClientConfig>, rustls::Error> {
        let face = Arc::new(Face(self.clone()));
        let mut config = ClientConfig::builder_with_details(Arc::new(provider()), Arc::new(Wall))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(face.clone())
            .with_client_cert_resolver(face);
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.enable_sni = false;
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// How this node is called.
    ///
    /// # Errors
    /// Never, as long as the TLS library knows TLS 1.3.
    pub fn server(self: &Arc<Self>) -> Result<Arc<ServerConfig>, rustls::Error> {
        let face = Arc::new(Face(self.clone()));
        let mut config = ServerConfig::builder_with_details(Arc::new(provider()), Arc::new(Wall))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(face.clone())
            .with_cert_resolver(face);
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// Who is at the other end of a connection whose handshake is done; `expected` is who was called, if anybody was.
    ///
    /// # Errors
    /// When it speaks another protocol, is somebody else, or was revoked since.
    pub fn peer(&self, connection: &CommonState, expected: Option<NodeId>) -> Result<Peer, LinkError> {
        if connection.alpn_protocol() != Some(ALPN) {
            return Err(LinkError::Protocol);
        }
        let shown = connection.peer_certificates().unwrap_or_default();
        let verifier = &self.current().verifier;
        let peer = verifier.verify(shown.iter().map(AsRef::as_ref), Role::Node, clock::wall())?;
        match expected {
            Some(expected) if expected != peer.node() => Err(LinkError::OtherNode { expected, found: peer.node() }),
            _ => Ok(peer),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Current) -> T) -> T {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Current::clone(&current);
        let done = change(&mut next);
        *current = Arc::new(next);
        done
    }
}

/// The name that the TLS library wants of the other end. It is neither sent nor looked at.
pub fn nobody() -> ServerName<'static> {
    ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4])))
}

/// Why the other end of a handshake was not believed, where it failed for a reason of the fabric's own.
pub fn disbelief(error: &rustls::Error) -> Option<&VerifyError> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner.downcast_ref(),
        _ => None,
    }
}

/// Credentials as the TLS library asks for them.
#[derive(Debug)]
struct Face(Arc<Credentials>);

impl Face {
    fn shown(&self) -> Arc<CertifiedKey> {
        let current = self.0.current();
        let chain = current.shown(clock::wall()).cloned().collect();
        Arc::new(CertifiedKey::new(chain, Arc::new(Hand(current.identity.key().clone()))))
    }

    fn judge(&self, end: &CertificateDer<'_>, rest: &[CertificateDer<'_>], now: UnixTime) -> Result<(), rustls::Error> {
        let shown = std::iter::once(end).chain(rest).map(AsRef::as_ref);
        let now = WallTime::from_secs(now.as_secs());
        Ok(self.0.current().verifier.verify(shown, Role::Node, now).map(drop)?)
    }
}

impl From<VerifyError> for rustls::Error {
    /// With the alert that tells the other end what is wrong with it, where there is one.
    fn from(error: VerifyError) -> rustls::Error {
        let time = |moment: WallTime| UnixTime::since_unix_epoch(Duration::from_secs(moment.as_secs()));
        rustls::Error::InvalidCertificate(match error {
            VerifyError::Expired { until, now } => {
                CertificateError::ExpiredContext { time: time(now), not_after: time(until) }
            }
            VerifyError::NotYetValid { from, now } => {
                CertificateError::NotValidYetContext { time: time(now), not_before: time(from) }
            }
            VerifyError::Revoked(_) => CertificateError::Revoked,
            VerifyError::UnknownIssuer => CertificateError::UnknownIssuer,
            VerifyError::Signature => CertificateError::BadSignature,
            VerifyError::Chain(_) => CertificateError::BadEncoding,
            other => CertificateError::Other(OtherError(Arc::new(other))),
        })
    }
}

/// How either end's signature in a handshake is judged.
macro_rules! handshake_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Err(rustls::PeerIncompatible::Tls12NotOffered.into())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            verify_tls13_signature(message, certificate, signature, &ALGORITHMS)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            ALGORITHMS.supported_schemes()
        }
    };
}

impl ServerCertVerifier for Face {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.judge(end, rest, now).map(|()| ServerCertVerified::assertion())
    }

    handshake_signatures!();
}

impl ClientCertVerifier for Face {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.judge(end, rest, now).map(|()| ClientCertVerified::assertion())
    }

    handshake_signatures!();
}

impl ResolvesClientCert for Face {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        schemes.contains(&SignatureScheme::ED25519).then(|| self.shown())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ResolvesServerCert for Face {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        hello.signature_schemes().contains(&SignatureScheme::ED25519).then(|| self.shown())
    }
}

/// A node's key as the TLS library uses it; the secret half stays where it is.
#[derive(Debug)]
struct Hand(Arc<KeyPair>);

impl SigningKey for Hand {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let known = offered.contains(&SignatureScheme::ED25519);
        known.then(|| Box::new(Hand(self.0.clone())) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Hand {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(self.0.sign_bare(message).to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// The wall clock as the TLS library reads it.
#[derive(Debug)]
struct Wall;

impl TimeProvider for Wall {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(clock::wall().as_secs())))
    }
}

/// Ed25519 and nothing else.
static ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[webpki::ring::ED25519],
    mapping: &[(SignatureScheme::ED25519, &[webpki::ring::ED25519])],
};

/// One key exchange and three ciphers: all ends of all links are this program.
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
            ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
        ],
        kx_groups: vec![ring::kx_group::X25519],
        signature_verification_algorithms: ALGORITHMS,
        ..ring::default_provider()
    }
}
