//! Whom a fabric trusts: its key, and the keys before it for a while.
//!
//! The key is rotated like this. The old key signs a *cross certificate* of the new one, which is valid for the overlap,
//! and is needed for nothing after that. From then on both keys are trusted: what the old one has signed until the
//! overlap ends, what the new one signs at once, since nodes show the cross certificate beside their chains to those
//! that have not heard of the new key. News of it travels from node to node, each gets a new certificate as soon as its
//! spawner has one, and when the overlap is over the old key counts for nothing. Who was away all that time has to join
//! again.
//!
//! **Invariant:** trust only grows by what the newest trusted key has signed. A second successor of one key is refused,
//! whoever tells of it.

use rustls_pki_types::CertificateDer;

use super::certificate::{Certificate, CertificateError, Kind};
use super::chain::CERTIFICATE;
use super::name::FabricId;
use super::pem;
use crate::units::WallTime;

/// Keys of a fabric in its life at most, so that what is told of them is bounded.
pub const MAX_ROOTS: usize = 16;
/// Cross certificates that count at a time: a key is not rotated before the last overlap has ended.
pub const MAX_CROSSES: usize = 1;

/// Why certificates say nothing about whom to trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// One of them cannot be read.
    #[error("a certificate cannot be read")]
    Certificate(#[from] CertificateError),
    /// Not PEM.
    #[error("not certificates in PEM")]
    Pem,
    /// None, or more than [`MAX_ROOTS`] keys.
    #[error("a fabric has 1 to {MAX_ROOTS} keys")]
    Length,
    /// The first is not signed by itself, or its key does not make the fabric's id.
    #[error("the fabric's id does not follow from the first key")]
    Root,
    /// A later key was not put in its place by the one before.
    #[error("a key was not put in its place by the one before it")]
    Succession,
    /// It is another fabric's.
    #[error("this is the fabric {0}")]
    OtherFabric(FabricId),
    /// Two keys claim to follow the same one.
    #[error("two keys claim to follow the same one; the one that was known first stays")]
    Conflict,
}

/// The keys of a fabric, in the order of their time. All signatures among them have been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    fabric: FabricId,
    first: Certificate,
    later: Vec<Successor>,
}

/// A key that took the place of the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Successor {
    /// Signed by itself.
    root: Certificate,
    /// The same key, signed by the one before; valid while that one is still trusted.
    cross: Certificate,
}

impl Trust {
    /// Trust in a fabric with its first key.
    ///
    /// # Errors
    /// When it is not signed by itself, or its name is not made of its key.
    pub fn new(root: Certificate) -> Result<Trust, TrustError> {
        let fabric = root.key().fabric();
        if is_root(&root, fabric) {
            Ok(Trust { fabric, first: root, later: Vec::new() })
        } else {
            Err(TrustError::Root)
        }
    }

    /// This and a key that takes the place of the newest.
    ///
    /// # Errors
    /// When the newest has not signed that, or there were too many already.
    pub fn succeed(&self, root: Certificate, cross: Certificate) -> Result<Trust, TrustError> {
        if self.later.len() + 1 >= MAX_ROOTS {
            return Err(TrustError::Length);
        }
        let crosses = cross.kind() == Kind::Root
            && cross.name().fabric == self.fabric
            && cross.key() == root.key()
            && cross.is_signed_by(self.newest().key());
        if !crosses || !is_root(&root, self.fabric) || self.roots().any(|known| known.key() == root.key()) {
            return Err(TrustError::Succession);
        }
        let mut next = self.clone();
        next.later.push(Successor { root, cross });
        Ok(next)
    }

    /// Reads the certificates that [`Trust::certificates`] lists.
    ///
    /// # Errors
    /// When one cannot be read, or does not follow from the ones before.
    pub fn parse<'a>(ders: impl IntoIterator<Item = &'a [u8]>) -> Result<Trust, TrustError> {
        let mut ders = ders.into_iter();
        let mut trust = Trust::new(Certificate::parse(ders.next().ok_or(TrustError::Length)?)?)?;
        while let Some(root) = ders.next() {
            let cross = ders.next().ok_or(TrustError::Succession)?;
            trust = trust.succeed(Certificate::parse(root)?, Certificate::parse(cross)?)?;
        }
        Ok(trust)
    }

    /// Reads the same in PEM.
    ///
    /// # Errors
    /// See [`Trust::parse`].
    pub fn from_pem(text: &str) -> Result<Trust, TrustError> {
        let blocks = pem::read(text).map_err(|_| TrustError::Pem)?;
        if blocks.iter().any(|block| block.label != CERTIFICATE) {
            return Err(TrustError::Pem);
        }
        Trust::parse(blocks.iter().map(|block| block.content.as_slice()))
    }

    /// In PEM.
    pub fn to_pem(&self) -> String {
        self.certificates().map(|one| pem::write(CERTIFICATE, one.der())).collect()
    }

    /// Everything that it is made of: the first key, then each later one and its cross certificate.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.first).chain(self.later.iter().flat_map(|one| [&one.root, &one.cross]))
    }

    /// Takes in what somebody else knows of the same fabric; whether that was news.
    ///
    /// # Errors
    /// When it is about another fabric, or contradicts what is known. Nothing is changed then.
    pub fn merge(&mut self, other: &Trust) -> Result<bool, TrustError> {
        if self.fabric != other.fabric {
            return Err(TrustError::OtherFabric(other.fabric));
        }
        let same = |(own, other): (&Successor, &Successor)| own.root.key() == other.root.key();
        if !self.later.iter().zip(&other.later).all(same) {
            return Err(TrustError::Conflict);
        }
        let news = other.later.get(self.later.len()..).unwrap_or_default();
        self.later.extend_from_slice(news);
        Ok(!news.is_empty())
    }

    /// The fabric.
    pub fn fabric(&self) -> FabricId {
        self.fabric
    }

    /// How often the key was rotated.
    pub fn rotations(&self) -> usize {
        self.later.len()
    }

    /// The newest key's certificate.
    pub fn newest(&self) -> &Certificate {
        self.later.last().map_or(&self.first, |one| &one.root)
    }

    /// Until when the key before the newest is trusted, if it is.
    pub fn overlap(&self, now: WallTime) -> Option<WallTime> {
        self.later.last().map(|one| one.cross.validity().until).filter(|until| now <= *until)
    }

    /// The certificates of the keys that are trusted, the newest first.
    pub fn anchors(&self, now: WallTime) -> Vec<&Certificate> {
        let replaced: Vec<_> = self.roots().zip(&self.later).collect();
        // From the newest back to the first whose overlap has ended.
        let trusted = replaced.into_iter().rev().take_while(|(_, next)| now <= next.cross.validity().until);
        std::iter::once(self.newest()).chain(trusted.map(|(root, _)| root)).collect()
    }

    /// What is shown beside a chain to those that do not know the newest key yet.
    pub fn crosses(&self, now: WallTime) -> impl Iterator<Item = &CertificateDer<'static>> {
        let last = self.later.iter().rev().take(MAX_CROSSES);
        last.filter(move |one| one.cross.validity().contains(now)).map(|one| one.cross.der())
    }

    fn roots(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.first).chain(self.later.iter().map(|one| &one.root))
    }
}

fn is_root(certificate: &Certificate, fabric: FabricId) -> bool {
    certificate.kind() == Kind::Root
        && certificate.name().fabric == fabric
        && certificate.is_signed_by(certificate.key())
}
