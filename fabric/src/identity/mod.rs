//! Who is who in a fabric, and how it is shown.
//!
//! Everybody has an Ed25519 key. The fabric's own key signs the certificates of the first *spawners*; those sign for
//! further spawners, up to [`MAX_DEPTH`] one after the other, and for *leaves*: nodes, engines and apps. So a fabric
//! grows hop by hop while its own key is kept in one place, and is needed there once a year.
//!
//! ```text
//! fabric's key ──▶ spawner (desktop) ──▶ spawner (gateway) ──▶ spawner (head node) ──▶ node (compute)
//!                    └▶ its own node       └▶ its own node       └▶ its own node
//! ```
//!
//! * [`KeyPair`], [`FabricKey`], [`PublicKey`]: keys; an id is made of a key, so nobody can claim another's.
//! * [`Issuer`] makes certificates, a [`Chain`] is one with those that lead to the fabric's key.
//! * [`Trust`] is whom a fabric trusts, [`Revocations`] whom no longer; a [`Verifier`] judges others by both.
//! * A [`Request`] is signed for one node and counts once. A [`Password`] lets somebody in who has no key yet.
//! * [`NodeIdentity`] is who this node is; [`Credentials`] make TLS configurations of it.
//!
//! * A [`Folder`] is where it is kept.
//!
//! A fabric from nothing, with a spawner and a node below it, which somebody else then recognises:
//!
//! ```
//! use std::sync::Arc;
//!
//! use fabric::clock;
//! use fabric::identity::{Capabilities, FabricKey, Issuer, KeyPair, NodeIdentity, Order, Role, Stamp, Trust, Verifier, root};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stamp = || clock::random_bytes().map(|random| Stamp { now: clock::wall(), serial: random.into() });
//! let pair = || clock::random_bytes().map(|seed| KeyPair::from_seed(&seed.into()));
//!
//! let key = FabricKey::from(pair()?);
//! let trust = Trust::new(root(&key, key.public().fabric(), stamp()?)?)?;
//!
//! // The fabric's key makes a spawner, which has a node of its own.
//! let own = Arc::new(pair()?);
//! let right = Issuer::root(&key, &trust)?.delegate(own.public(), Capabilities::ALL, stamp()?)?;
//! let desktop = NodeIdentity::of_spawner(own, right, "desktop".parse()?, stamp()?)?;
//!
//! // The spawner makes a node. In life the node keeps its key to itself and sends the public half.
//! let own = Arc::new(pair()?);
//! let order = Order::node("attic".parse()?, own.public(), Capabilities::MEMBER);
//! let chain = desktop.issuer().ok_or("no spawner")?.leaf(&order, stamp()?)?;
//! let attic = NodeIdentity::new(own, chain, None)?;
//!
//! // Whoever trusts the fabric's key knows who shows these certificates.
//! let verifier = Verifier::new(trust);
//! let peer = verifier.verify_chain(attic.chain(), Role::Node, clock::wall())?;
//! assert_eq!(peer.node(), attic.id());
//! assert_eq!(peer.issuers()[0], desktop.id());
//! # Ok(())
//! # }
//! ```
//!
//! Nothing in here draws a random number, and nothing but [`Credentials`] reads a clock.

mod capability;
mod certificate;
mod chain;
mod files;
mod key;
mod mint;
mod name;
mod node;
mod password;
mod pem;
mod renewal;
mod request;
mod revocation;
mod sealed;
#[cfg(test)]
mod tests;
mod tls;
mod trust;
mod verify;

pub use capability::{Capabilities, Capability, CapabilityError};
pub use certificate::{Certificate, CertificateError, Kind, MAX_CERTIFICATE, MAX_DEPTH, Validity};
pub use chain::{Chain, ChainError, MAX_CHAIN};
pub use files::{FileFault, FilesError, Folder, FolderLock, StoredKey};
pub use key::{FabricKey, KeyError, KeyPair, PublicKey, Purpose, SIGNATURE, Seed};
pub use mint::{Issuer, LEAF_VALIDITY, MintError, Order, SPAWNER_VALIDITY, Serial, Stamp, cross, root};
pub use name::{FabricId, MAX_NAME, Name, NameError, SpiffeId, Subject};
pub use node::{Current, NodeError, NodeIdentity};
pub use password::{
    Handle, MAX_PASSWORDS, PASSWORD_TTL, Password, PasswordError, Passwords, SharedKey, TooManyPasswords,
};
pub use renewal::Renewal;
pub use request::{Accepted, Moment, Request, RequestError, accept};
pub use revocation::{MAX_LIST, MAX_LISTS, MAX_REVOKED, RevocationError, RevocationList, Revocations};
pub use sealed::{Costs, SEALING, SealError, SealedKey};
pub use tls::{ALPN, Credentials, LinkError, disbelief, nobody};
pub use trust::{MAX_CROSSES, MAX_ROOTS, Trust, TrustError};
pub use verify::{Peer, Role, Verifier, VerifyError};
