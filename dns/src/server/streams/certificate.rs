//! The server's certificate, which may be replaced while it is in use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use super::Transport;
use crate::settings::Tls;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// One of the two files cannot be read, or is not PEM.
    #[error("cannot read {0}")]
    Read(PathBuf, #[source] pem::Error),
    /// A file with other things in it.
    #[error("no certificate is in {0}")]
    Empty(PathBuf),
    /// A key of an unknown kind, or of another certificate.
    #[error("the key in {0} cannot be used with the certificate")]
    Key(PathBuf, #[source] rustls::Error),
}

/// The certificate of the moment.
#[derive(Debug)]
pub(super) struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    pub(super) fn new(shown: Arc<CertifiedKey>) -> Self {
        Self(ArcSwap::new(shown))
    }

    /// Shows another one from now on; connections that are open keep the one they have.
    pub(super) fn show(&self, shown: Arc<CertifiedKey>) {
        self.0.store(shown);
    }

    /// What the server says in handshakes.
    pub(super) fn config(self: &Arc<Self>, transport: Transport) -> Result<ServerConfig, rustls::Error> {
        let versions: &[_] = match transport {
            Transport::Quic => &[&rustls::version::TLS13],
            _ => rustls::DEFAULT_VERSIONS,
        };
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = match transport {
            Transport::Tcp => vec![],
            Transport::Tls => vec![b"dot".to_vec()],
            Transport::Https => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Transport::Quic => vec![b"doq".to_vec()],
        };
        Ok(config)
    }

    pub(super) fn acceptor(self: &Arc<Self>, transport: Transport) -> Result<TlsAcceptor, rustls::Error> {
        self.config(transport).map(|config| TlsAcceptor::from(Arc::new(config)))
    }
}

/// For an endpoint that is none of DNS and shows the same certificate.
///
/// # Errors
/// When the certificate cannot be used.
pub fn acceptor(tls: &Tls) -> Result<TlsAcceptor, CertificateError> {
    let shown = Arc::new(Certificate::new(read(&tls.certificate, &tls.key)?));
    shown.acceptor(Transport::Tcp).map_err(|error| CertificateError::Key(tls.key.clone(), error))
}

impl ResolvesServerCert for Certificate {
    /// There is one, whatever name is asked for.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificate of one file with the key of the other.
pub(super) fn read(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, CertificateError> {
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |error| CertificateError::Read(path, error)
    };
    let chain = CertificateDer::pem_file_iter(certificate).map_err(wrong(certificate))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(wrong(certificate))?;
    if chain.is_empty() {
        return Err(CertificateError::Empty(certificate.into()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(wrong(key))?;
    let both = CertifiedKey::from_der(chain, private, &provider());
    both.map(Arc::new).map_err(|error| CertificateError::Key(key.into(), error))
}
