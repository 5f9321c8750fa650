//! Who this node is, and whom it believes.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use super::capability::Capabilities;
use super::certificate::Kind;
use super::chain::Chain;
use super::key::{KeyPair, PublicKey};
use super::mint::{Issuer, MintError, Order, Stamp};
use super::name::{FabricId, Name, Subject};
use super::trust::Trust;
use super::verify::Verifier;
use crate::units::{KeyId, NodeId, WallTime};

/// Why a key and certificates make no node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// The first certificate is not a node's.
    #[error("the certificate is not a node's")]
    NotNode,
    /// It is of another key.
    #[error("the certificate is of another key")]
    OtherKey,
    /// The spawner's certificate is none, or of another key or fabric.
    #[error("the spawner's certificate is not this node's")]
    NotSpawner,
}

/// A node's key with its certificates. Clones share the key.
#[derive(Clone, Debug)]
pub struct NodeIdentity {
    key: Arc<KeyPair>,
    name: Name,
    chain: Chain,
    spawner: Option<Chain>,
}

impl NodeIdentity {
    /// A node that shows `chain`, and makes others with `spawner`.
    ///
    /// # Errors
    /// When the certificates are not of this key, or not for this.
    pub fn new(key: Arc<KeyPair>, chain: Chain, spawner: Option<Chain>) -> Result<NodeIdentity, NodeError> {
        let leaf = chain.first();
        let (Kind::Leaf, Subject::Node(name)) = (leaf.kind(), &leaf.name().subject) else {
            return Err(NodeError::NotNode);
        };
        if *leaf.key() != key.public() {
            return Err(NodeError::OtherKey);
        }
        let fits = |one: &Chain| {
            let own = one.first().name().fabric == leaf.name().fabric;
            own && Issuer::spawner(&key, one).is_ok()
        };
        if !spawner.as_ref().is_none_or(fits) {
            return Err(NodeError::NotSpawner);
        }
        Ok(NodeIdentity { name: name.clone(), key, chain, spawner })
    }

    /// A spawner that makes its own node's certificate, as every spawner does, so that it need not ask anybody each
    /// month. It may do what its spawner's certificate may pass on.
    ///
    /// # Errors
    /// When the spawner's certificate is none, of another key, or has ended.
    pub fn of_spawner(key: Arc<KeyPair>, spawner: Chain, name: Name, stamp: Stamp) -> Result<NodeIdentity, MintError> {
        let capabilities = spawner.first().capabilities();
        let order = Order::node(name.clone(), key.public(), capabilities);
        let chain = Issuer::spawner(&key, &spawner)?.leaf(&order, stamp)?;
        Ok(NodeIdentity { key, name, chain, spawner: Some(spawner) })
    }

    /// The fabric it belongs to.
    pub fn fabric(&self) -> FabricId {
        self.chain.first().name().fabric
    }

    /// Its id.
    pub fn id(&self) -> NodeId {
        self.key.public().node()
    }

    /// The fingerprint of its key.
    pub fn key_id(&self) -> KeyId {
        self.key.public().id()
    }

    /// What people call it.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What it may do.
    pub fn capabilities(&self) -> Capabilities {
        self.chain.first().capabilities()
    }

    /// Its key pair.
    pub fn key(&self) -> &Arc<KeyPair> {
        &self.key
    }

    /// The half of it that others know.
    pub fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// What it shows others.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Its spawner's certificate, if it is one.
    pub fn spawner(&self) -> Option<&Chain> {
        self.spawner.as_ref()
    }

    /// Whether a key that is not the fabric's newest has signed for it, so that it has to be renewed before the overlap
    /// ends.
    pub fn is_behind(&self, trust: &Trust) -> bool {
        let newest = trust.newest().node();
        self.chain.root() != newest || self.spawner.as_ref().is_some_and(|spawner| spawner.root() != newest)
    }

    /// Itself as somebody who signs certificates, if it is a spawner.
    pub fn issuer(&self) -> Option<Issuer<'_>> {
        Issuer::spawner(&self.key, self.spawner.as_ref()?).ok()
    }
}

/// What counts at one moment.
#[derive(Clone, Debug)]
pub struct Current {
    /// Who this node is.
    pub identity: NodeIdentity,
    /// Whom it believes.
    pub verifier: Verifier,
}

impl Current {
    /// What it shows others: its own chain, and beside it what those need who do not know the fabric's newest key yet.
    pub(super) fn shown(&self, now: WallTime) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.identity.chain().ders().chain(self.verifier.trust.crosses(now))
    }
}
