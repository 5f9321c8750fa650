//! A certificate with those that lead to the fabric's key.

use rustls_pki_types::CertificateDer;

use super::certificate::{Certificate, CertificateError, MAX_DEPTH};
use super::pem;
use super::trust::MAX_CROSSES;
use crate::units::NodeId;

/// Certificates that are looked at when somebody shows who it is: its own, the spawners', and cross certificates.
pub const MAX_CHAIN: usize = 1 + MAX_DEPTH as usize + MAX_CROSSES;
/// The label of a certificate in PEM (RFC 7468, section 5).
pub(super) const CERTIFICATE: &str = "CERTIFICATE";

/// Why certificates are no chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// None, or more than [`MAX_CHAIN`].
    #[error("there are {0} certificates, and not 1 to {MAX_CHAIN}")]
    Length(usize),
    /// One of them cannot be read.
    #[error("certificate {index} cannot be read")]
    Certificate {
        /// Which, from 0.
        index: usize,
        /// Why.
        source: CertificateError,
    },
    /// Not PEM.
    #[error("not certificates in PEM")]
    Pem,
}

/// A certificate, the one of who signed it, and so on; the fabric's own is left out. Not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain(Vec<Certificate>);

impl Chain {
    /// Reads certificates, the holder's first.
    ///
    /// # Errors
    /// When there are none or too many, or one cannot be read.
    pub fn parse<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Result<Chain, ChainError> {
        let mut chain = Vec::new();
        for (index, der) in certificates.into_iter().enumerate() {
            if index == MAX_CHAIN {
                return Err(ChainError::Length(index + 1));
            }
            let certificate = Certificate::parse(der);
            chain.push(certificate.map_err(|source| ChainError::Certificate { index, source })?);
        }
        if chain.is_empty() { Err(ChainError::Length(0)) } else { Ok(Chain(chain)) }
    }

    /// Reads a chain in PEM, as [`Chain::to_pem`] writes it.
    ///
    /// # Errors
    /// See [`Chain::parse`].
    pub fn from_pem(text: &str) -> Result<Chain, ChainError> {
        let blocks = pem::read(text).map_err(|_| ChainError::Pem)?;
        if blocks.iter().any(|block| block.label != CERTIFICATE) {
            return Err(ChainError::Pem);
        }
        Chain::parse(blocks.iter().map(|block| block.content.as_slice()))
    }

    /// In PEM, for files and for tools.
    pub fn to_pem(&self) -> String {
        self.0.iter().map(|one| pem::write(CERTIFICATE, one.der())).collect()
    }

    /// A certificate that `issuers` lead to.
    pub(super) fn new(first: Certificate, issuers: &[Certificate]) -> Chain {
        let mut chain = vec![first];
        chain.extend_from_slice(issuers);
        Chain(chain)
    }

    /// The holder's certificate.
    pub fn first(&self) -> &Certificate {
        // A chain is never empty.
        &self.0[0]
    }

    /// The id of the fabric's key that it says it leads to.
    pub fn root(&self) -> NodeId {
        self.0.last().map_or_else(|| self.first().issuer(), Certificate::issuer)
    }

    /// All of them, the holder's first.
    pub fn certificates(&self) -> &[Certificate] {
        &self.0
    }

    /// Their octets, the holder's first.
    pub fn ders(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.0.iter().map(Certificate::der)
    }
}
