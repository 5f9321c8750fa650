//! The fabric for people and for programs. Pure.

use fabric::identity::{Certificate, Chain, Current, Kind, Renewal, StoredKey, Trust};
use fabric::units::WallTime;
use serde::Serialize;

use crate::cli::paint::{Paint, moment, span, table};

/// What `gatehouse fabric show --json` prints. Times are seconds since 1970.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// The fabric's id.
    pub fabric: String,
    /// Where all of this is kept.
    pub folder: String,
    /// The keys that are trusted, the newest first.
    pub keys: Vec<Key>,
    /// How often the key was rotated.
    pub rotations: usize,
    /// Whether the fabric's own key is here, and whether it needs a passphrase.
    pub fabric_key: KeptKey,
    /// Who this machine is.
    pub node: Node,
    /// How many keys are revoked.
    pub revoked: usize,
}

/// A trusted key.
#[derive(Debug, Serialize)]
pub struct Key {
    /// The id that follows from it.
    pub id: String,
    /// Until when it is trusted, if that ends.
    pub until: Option<u64>,
}

/// Where the fabric's own key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptKey {
    /// On another machine.
    Elsewhere,
    /// Here, for whoever knows the passphrase.
    Sealed,
    /// Here, for whoever can read the file.
    Plain,
}

/// This machine in the fabric.
#[derive(Debug, Serialize)]
pub struct Node {
    /// What people call it.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its SPIFFE id.
    pub spiffe_id: String,
    /// What it may do, as words.
    pub capabilities: Vec<String>,
    /// Until when what it shows is valid.
    pub valid_until: u64,
    /// From when it is renewed.
    pub renewed_from: u64,
    /// Its right to make others, if it has that.
    pub spawner: Option<Spawner>,
}

/// The right to make other nodes.
#[derive(Debug, Serialize)]
pub struct Spawner {
    /// Until when.
    pub valid_until: u64,
    /// How many spawners may follow below it.
    pub hops: u8,
    /// Whether the newest of the fabric's keys, or one below that, has signed for it.
    pub newest_key: bool,
}

/// What there is to show.
pub struct Facts<'a> {
    /// Where it was found.
    pub folder: &'a std::path::Path,
    /// This machine and whom it believes.
    pub current: &'a Current,
    /// The fabric's own key.
    pub key: Option<&'a StoredKey>,
    /// Now.
    pub now: WallTime,
}

impl Facts<'_> {
    /// For programs.
    pub fn shown(&self) -> Shown {
        let Current { identity, verifier } = self.current;
        let trust = &verifier.trust;
        let leaf = identity.chain().first();
        // Without jitter it is the latest moment; a node comes up to a twelfth of the life earlier.
        let renewal = Renewal::new(leaf.validity(), 0);
        Shown {
            fabric: trust.fabric().to_string(),
            folder: self.folder.display().to_string(),
            keys: keys(trust, self.now),
            rotations: trust.rotations(),
            fabric_key: match self.key {
                None => KeptKey::Elsewhere,
                Some(StoredKey::Sealed(_)) => KeptKey::Sealed,
                Some(StoredKey::Plain(_)) => KeptKey::Plain,
            },
            node: Node {
                name: identity.name().to_string(),
                id: identity.id().to_string(),
                spiffe_id: leaf.name().to_string(),
                capabilities: identity.capabilities().to_string().split(' ').map(str::to_owned).collect(),
                valid_until: leaf.validity().until.as_secs(),
                renewed_from: renewal.at().as_secs(),
                spawner: identity.spawner().map(|chain| spawner(chain, trust)),
            },
            revoked: verifier.revocations.lists().map(|list| list.nodes().count()).sum(),
        }
    }

    /// For people.
    pub fn text(&self, shown: &Shown, paint: Paint) -> String {
        let now = self.now.as_secs();
        let mut rows = vec![["Fabric".into(), paint.bold(&shown.fabric)]];
        for key in &shown.keys {
            let until =
                key.until.map_or_else(|| "the fabric's key".into(), |until| format!("trusted until {}", date(until)));
            rows.push(["".into(), format!("{}  {until}", key.id)]);
        }
        let kept = match shown.fabric_key {
            KeptKey::Elsewhere => "its key is on another machine".into(),
            KeptKey::Sealed => "its key is here, sealed with a passphrase".into(),
            KeptKey::Plain => paint.warn("its key is here, and not sealed: whoever can read the file has it"),
        };
        rows.push(["".into(), kept]);
        if shown.revoked > 0 {
            rows.push(["".into(), format!("{} keys are revoked", shown.revoked)]);
        }
        let node = &shown.node;
        rows.push(["This node".into(), format!("{}  {}", paint.bold(&node.name), node.id)]);
        rows.push(["".into(), format!("may {}", node.capabilities.join(", "))]);
        rows.push(["".into(), validity("its certificate", node.valid_until, now, paint)]);
        if let Some(spawner) = &node.spawner {
            rows.push(["".into(), validity("its right to make others", spawner.valid_until, now, paint)]);
            if !spawner.newest_key {
                rows.push([
                    "".into(),
                    paint.warn("an older key has signed for it; `gatehouse fabric renew` mends that"),
                ]);
            }
        }
        rows.push(["Folder".into(), shown.folder.clone()]);
        table(&rows).join("\n") + "\n"
    }
}

fn keys(trust: &Trust, now: WallTime) -> Vec<Key> {
    let until = trust.overlap(now).map(WallTime::as_secs);
    let anchors = trust.anchors(now);
    let key =
        |(place, one): (usize, &&Certificate)| Key { id: one.node().to_string(), until: until.filter(|_| place > 0) };
    anchors.iter().enumerate().map(key).collect()
}

fn spawner(chain: &Chain, trust: &Trust) -> Spawner {
    let own = chain.first();
    let hops = match own.kind() {
        Kind::Spawner { hops } => hops,
        Kind::Root | Kind::Leaf => 0,
    };
    Spawner { valid_until: own.validity().until.as_secs(), hops, newest_key: chain.root() == trust.newest().node() }
}

fn validity(what: &str, until: u64, now: u64, paint: Paint) -> String {
    match until.checked_sub(now) {
        None => paint.bad(&format!("{what} has ended on {}", date(until))),
        Some(left) => format!("{what} is valid until {}, for {}", date(until), span(left * 1_000)),
    }
}

/// A day.
pub fn date(seconds: u64) -> String {
    moment(seconds.saturating_mul(1_000)).chars().take(10).collect()
}
