//! Certificates of an authority of the tests' own.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// PEM texts for a server on this machine.
pub struct Certificate {
    /// Of the authority, which clients are to trust.
    pub authority: String,
    /// Of the server, for `localhost` and 127.0.0.1.
    pub certificate: String,
    /// The server's private key.
    pub key: String,
}

impl Certificate {
    /// A new one, from a new authority.
    pub fn new() -> Self {
        let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::default();
        // A certificate whose issuer is called as itself would count as signed by itself.
        params.distinguished_name.push(DnType::CommonName, "the authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap().pem();
        let issuer = Issuer::new(params, authority_key);
        let names = CertificateParams::new(["localhost", "127.0.0.1"].map(str::to_owned)).unwrap();
        let certificate = names.signed_by(&key, &issuer).unwrap().pem();
        Self { authority, certificate, key: key.serialize_pem() }
    }
}
