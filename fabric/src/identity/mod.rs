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
pub use node::{NodeError, NodeIdentity};
pub use password::{
    Handle, MAX_PASSWORDS, PASSWORD_TTL, Password, PasswordError, Passwords, SharedKey, TooManyPasswords,
};
pub use renewal::Renewal;
pub use request::{Accepted, Moment, Request, RequestError, accept};
pub use revocation::{MAX_LIST, MAX_LISTS, MAX_REVOKED, RevocationError, RevocationList, Revocations};
pub use sealed::{Costs, SEALING, SealError, SealedKey};
pub use tls::{ALPN, Credentials, Current, LinkError, disbelief, nobody};
pub use trust::{MAX_CROSSES, MAX_ROOTS, Trust, TrustError};
pub use verify::{Peer, Role, Verifier, VerifyError};
