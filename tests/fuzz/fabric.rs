//! The decoders of the fabric's identities.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fabric::identity::{
    Capabilities, Certificate, FabricId, FabricKey, Issuer, KeyPair, Name, NodeIdentity, Order, Password,
    RevocationList, Role, SealedKey, Serial, SpiffeId, Stamp, Trust, Verifier, root,
};
use fabric::units::{NodeId, Time, WallTime};
use fabric::wire::envelope::{self, Nonce};
use fabric::wire::replay::{Dated, MAX_LIFE, ReplayWindow, TOLERANCE};

/// A fabric that is the same in each run, and what a node of it shows.
struct Fixture {
    verifier: Verifier,
    node: NodeIdentity,
}

const NOW: WallTime = WallTime::from_secs(1_750_000_000);

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let pair = |number| KeyPair::from_seed(&[number; 32].into());
    let stamp = Stamp { now: NOW, serial: Serial::from([0xAB; 16]) };
    let key = FabricKey::from(pair(1));
    let trust = Trust::new(root(&key, key.public().fabric(), stamp).unwrap()).unwrap();
    let (spawner, own) = (pair(100), Arc::new(pair(5)));
    let chain = Issuer::root(&key, &trust).unwrap().delegate(spawner.public(), Capabilities::ALL, stamp).unwrap();
    let order = Order::node("node-5".parse().unwrap(), own.public(), Capabilities::MEMBER);
    let chain = Issuer::spawner(&spawner, &chain).unwrap().leaf(&order, stamp).unwrap();
    Fixture { verifier: Verifier::new(trust), node: NodeIdentity::new(own, chain, None).unwrap() }
});

/// A certificate is read as the octets that it came in, and of all octets only those that were signed are believed.
pub fn certificate(input: &[u8]) {
    let Ok(certificate) = Certificate::parse(input) else { return };
    assert_eq!(certificate.der().as_ref(), input);
    assert!(certificate.name().to_string().parse::<SpiffeId>().is_ok());
    let Fixture { verifier, node } = &*FIXTURE;
    let rest = node.chain().ders().skip(1).map(AsRef::as_ref);
    if verifier.verify(std::iter::once(input).chain(rest), Role::Node, NOW).is_ok() {
        assert_eq!(input, node.chain().first().der().as_ref(), "another certificate is believed");
    }
}

/// What is read from the files of a node is written the same way again.
pub fn files(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(trust) = Trust::from_pem(&text) {
        assert_eq!(Trust::from_pem(&trust.to_pem()), Ok(trust));
    }
    if let Ok(Some(sealed)) = SealedKey::from_pem(&text) {
        assert_eq!(SealedKey::from_pem(&sealed.to_pem()), Ok(Some(sealed)));
    }
    if let Ok(pair) = KeyPair::from_pem(&text) {
        let again = KeyPair::from_pem(&pair.to_pem()).unwrap();
        assert_eq!(again.public(), pair.public());
    }
    if let Ok(chain) = fabric::identity::Chain::from_pem(&text) {
        assert_eq!(fabric::identity::Chain::from_pem(&chain.to_pem()), Ok(chain));
    }
}

/// A list of revoked keys has one form.
pub fn revocation(input: &[u8]) {
    if let Ok(list) = RevocationList::parse(input) {
        assert_eq!(list.as_bytes(), input);
    }
}

/// An envelope has one form.
pub fn request(input: &[u8]) {
    if let Ok(signed) = envelope::decode(input) {
        assert_eq!(signed.envelope.encode().as_deref(), Ok(signed.signed));
    }
}

/// Names have one text; a password has one meaning, however it is typed.
pub fn names(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(id) = text.parse::<SpiffeId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(id) = text.parse::<FabricId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(name) = text.parse::<Name>() {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(capabilities) = text.parse::<Capabilities>() {
        assert_eq!(capabilities.to_string(), text);
    }
    if let Ok(password) = text.parse::<Password>() {
        assert_eq!(password.to_text().parse::<Password>().map(|again| again.handle()), Ok(password.handle()));
    }
}

/// No request is admitted twice, whatever comes in whatever order. Each three bytes of the input are one thing that
/// happens: time passes, or a request comes.
pub fn replay(input: &[u8]) {
    let mut now = Time::from_millis(1_000_000);
    let mut window = ReplayWindow::new(now);
    let mut clock = NOW;
    let mut admitted = std::collections::BTreeSet::new();
    for event in input.chunks_exact(3) {
        let [what, a, b] = [event[0], event[1], event[2]];
        if what % 3 == 0 {
            let span = Duration::from_secs(u64::from(a));
            (now, clock) = (now + span, clock + span);
            continue;
        }
        let sender = NodeId([a % 3; 16]);
        // Dates belong to a nonce: who signs two requests with one has made a mistake.
        let issued = NOW + Duration::from_secs(u64::from(b) * 7);
        let request = Dated { sender, nonce: Nonce([b; 16]), issued, expires: issued + MAX_LIFE };
        let theirs = if what % 2 == 0 { clock } else { clock + TOLERANCE / 2 };
        if window.admit(now, theirs, request).is_ok() {
            assert!(admitted.insert((sender, b)), "request {b} of {sender} is admitted twice");
        }
    }
}
