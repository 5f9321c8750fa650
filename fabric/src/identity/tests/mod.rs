//! A small fabric, and what it is judged by.

mod files;
mod request;
mod tls;
mod tools;
mod trust;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::*;
use crate::units::WallTime;

/// Some day in 2025.
pub const NOW: WallTime = WallTime::from_secs(1_750_000_000);
pub const DAY: Duration = Duration::from_secs(86_400);

pub fn pair(number: u8) -> Arc<KeyPair> {
    Arc::new(KeyPair::from_seed(&Zeroizing::new([number; 32])))
}

pub fn fabric_key(number: u8) -> FabricKey {
    FabricKey::from_seed(&Zeroizing::new([number; 32]))
}

pub fn stamp(now: WallTime) -> Stamp {
    Stamp { now, serial: Serial::from([0xAB; 16]) }
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A fabric with its key and one spawner below it.
pub struct Fabric {
    pub key: FabricKey,
    pub trust: Trust,
    pub spawner: NodeIdentity,
}

impl Fabric {
    /// The fabric whose key has this number, made at a time.
    pub fn new(number: u8, now: WallTime) -> Fabric {
        let key = fabric_key(number);
        let trust = Trust::new(root(&key, key.public().fabric(), stamp(now)).unwrap()).unwrap();
        let spawner = Fabric::spawner(&key, &trust, now);
        Fabric { key, trust, spawner }
    }

    /// The first spawner's identity under a key.
    pub fn spawner(key: &FabricKey, trust: &Trust, now: WallTime) -> NodeIdentity {
        let own = pair(100);
        let issuer = Issuer::root(key, trust).unwrap();
        let chain = issuer.delegate(own.public(), Capabilities::ALL, stamp(now)).unwrap();
        NodeIdentity::of_spawner(own, chain, name("desktop"), stamp(now)).unwrap()
    }

    /// A node below the spawner.
    pub fn node(&self, number: u8, now: WallTime) -> NodeIdentity {
        let own = pair(number);
        let order = Order::node(name(&format!("node-{number}")), own.public(), Capabilities::MEMBER);
        let chain = self.spawner.issuer().unwrap().leaf(&order, stamp(now)).unwrap();
        NodeIdentity::new(own, chain, None).unwrap()
    }

    pub fn verifier(&self) -> Verifier {
        Verifier::new(self.trust.clone())
    }

    /// A chain of `spawners` below each other, and the node of the last.
    pub fn deep(&self, spawners: u8, now: WallTime) -> Result<NodeIdentity, MintError> {
        let mut last = self.spawner.clone();
        for number in 1..spawners {
            let own = pair(100 + number);
            let issuer = last.issuer().unwrap();
            let chain = issuer.delegate(own.public(), Capabilities::ALL, stamp(now))?;
            last = NodeIdentity::of_spawner(own, chain, name(&format!("hop-{number}")), stamp(now))?;
        }
        Ok(last)
    }
}
