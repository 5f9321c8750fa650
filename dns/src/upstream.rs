//! Resolvers that are asked by us: their settings in the words of `hickory-resolver`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverOpts};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject};

use crate::settings::{Transport, Upstream};

/// How long one server is waited for.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Questions under way at most: of all clients, and over one connection.
pub const MAX_ASKED: usize = 256;
/// How often each server is asked for one answer.
const ATTEMPTS: usize = 2;

/// The authorities that certificates of resolvers come from cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// The file cannot be read, or is not PEM.
    #[error("the certificates in {} cannot be read", .0.display())]
    File(PathBuf, #[source] pem::Error),
    /// A certificate in the file is not that of an authority.
    #[error("a certificate in {} is not one of an authority", .0.display())]
    Certificate(PathBuf, #[source] rustls::Error),
    /// The crypto provider does not do TLS 1.2 and 1.3.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// The servers, each with its own port and way to speak.
pub fn servers(upstreams: &[Upstream]) -> Vec<NameServerConfig> {
    let server = |upstream: &Upstream| {
        let mut connections = match &upstream.transport {
            Transport::Plain => vec![ConnectionConfig::udp(), ConnectionConfig::tcp()],
            Transport::Tls(name) => vec![ConnectionConfig::tls(name.as_str().into())],
            Transport::Https(name) => vec![ConnectionConfig::https(name.as_str().into(), None)],
        };
        for connection in &mut connections {
            connection.port = upstream.address.port();
        }
        NameServerConfig::new(upstream.address.ip(), true, connections)
    };
    upstreams.iter().map(server).collect()
}

/// How servers are asked: soon the next one, never the hosts file.
pub fn options() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    options.max_active_requests = MAX_ASKED;
    options.use_hosts_file = ResolveHosts::Never;
    options.edns0 = true;
    options.ndots = 0;
    options
}

/// Which certificates are believed: those of the public authorities, and of the ones in a PEM file.
///
/// # Errors
/// When the file cannot be used.
pub fn tls(authorities: Option<&Path>) -> Result<rustls::ClientConfig, AuthoritiesError> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = authorities {
        let unreadable = |error| AuthoritiesError::File(path.to_owned(), error);
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            let certificate = certificate.map_err(unreadable)?;
            roots.add(certificate).map_err(|error| AuthoritiesError::Certificate(path.to_owned(), error))?;
        }
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(AuthoritiesError::Tls)?.with_root_certificates(roots).with_no_client_auth())
}
