//! Each way in which somebody is not who it says has its own answer.

use rcgen::{CertificateParams, DnType, IsCa, KeyIdMethod, KeyUsagePurpose, SanType};

use super::*;

fn judge(verifier: &Verifier, chain: &Chain, now: WallTime) -> Result<Peer, VerifyError> {
    verifier.verify_chain(chain, Role::Node, now)
}

#[test]
fn a_node_is_believed_with_its_name_and_its_capabilities() {
    let fabric = Fabric::new(1, NOW);
    let node = fabric.node(5, NOW);
    let peer = judge(&fabric.verifier(), node.chain(), NOW).unwrap();
    assert_eq!(peer.node(), node.id());
    assert_eq!(peer.name(), Some(&name("node-5")));
    assert_eq!(peer.capabilities(), Capabilities::MEMBER);
    assert_eq!(peer.spiffe_id().to_string(), format!("spiffe://{}/node/node-5", fabric.trust.fabric()));
    assert_eq!(peer.issuers(), [fabric.spawner.id(), fabric.key.public().node()]);
    assert_eq!(peer.until(), NOW + LEAF_VALIDITY);
    assert!(fabric.verifier().still_believes(&peer, peer.until()));
    assert!(!fabric.verifier().still_believes(&peer, peer.until() + Duration::from_secs(1)));
}

#[test]
fn another_fabrics_node_is_named() {
    let (own, other) = (Fabric::new(1, NOW), Fabric::new(2, NOW));
    let judged = judge(&own.verifier(), other.node(5, NOW).chain(), NOW);
    assert_eq!(judged.unwrap_err(), VerifyError::WrongFabric(other.trust.fabric()));
}

#[test]
fn a_claim_to_be_of_this_fabric_needs_its_key() {
    let fabric = Fabric::new(1, NOW);
    // Another key signs for the fabric's id.
    let forger = fabric_key(9);
    let forged_root = root(&forger, fabric.trust.fabric(), stamp(NOW)).unwrap();
    assert_eq!(Trust::new(forged_root.clone()).unwrap_err(), TrustError::Root);
    let own = pair(5);
    let leaf = forged(&forged_root, forger.pair(), &own, |params| {
        params.subject_alt_names = vec![uri(&format!("spiffe://{}/node/x", fabric.trust.fabric()))];
    });
    assert_eq!(judge(&fabric.verifier(), &leaf, NOW).unwrap_err(), VerifyError::UnknownIssuer);
    // The same with its own key beside it, as if the fabric's key had been rotated; signed by itself, or by a spawner.
    let spawner = &fabric.spawner;
    let crossed = forged(spawner.spawner().unwrap().first(), spawner.key(), forger.pair(), |params| {
        params.subject_alt_names = vec![uri(&format!("spiffe://{}", fabric.trust.fabric()))];
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(MAX_DEPTH));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    for cross in [&forged_root, crossed.first()] {
        let leaf = forged(cross, forger.pair(), &own, |params| {
            params.subject_alt_names = vec![uri(&format!("spiffe://{}/node/x", fabric.trust.fabric()))];
        });
        let shown = Chain::new(leaf.first().clone(), std::slice::from_ref(cross));
        assert_eq!(judge(&fabric.verifier(), &shown, NOW).unwrap_err(), VerifyError::UnknownIssuer);
    }
    // The same, in the name of a true spawner.
    let spawner = fabric.spawner.spawner().unwrap();
    let leaf = forged(spawner.first(), forger.pair(), &own, |params| {
        params.subject_alt_names = vec![uri(&format!("spiffe://{}/node/x", fabric.trust.fabric()))];
    });
    let shown = Chain::new(leaf.first().clone(), spawner.certificates());
    assert_eq!(judge(&fabric.verifier(), &shown, NOW).unwrap_err(), VerifyError::Signature);
}

#[test]
fn dates_count_and_clocks_may_be_a_day_off() {
    let fabric = Fabric::new(1, NOW);
    let node = fabric.node(5, NOW);
    let at = |now| judge(&fabric.verifier(), node.chain(), now);
    assert!(at(NOW - DAY).is_ok() && at(NOW + LEAF_VALIDITY).is_ok());
    let (early, late) = (NOW - DAY - Duration::from_secs(1), NOW + LEAF_VALIDITY + Duration::from_secs(1));
    assert_eq!(at(early).unwrap_err(), VerifyError::NotYetValid { from: NOW - DAY, now: early });
    assert_eq!(at(late).unwrap_err(), VerifyError::Expired { until: NOW + LEAF_VALIDITY, now: late });
}

#[test]
fn nobody_outlives_its_issuer() {
    let fabric = Fabric::new(1, NOW);
    let late = NOW + SPAWNER_VALIDITY - DAY;
    let node = fabric.node(5, late);
    assert_eq!(node.chain().first().validity().until, NOW + SPAWNER_VALIDITY);
    let after = NOW + SPAWNER_VALIDITY + DAY;
    let order = Order::node(name("late"), pair(5).public(), Capabilities::CLIENT);
    let minted = fabric.spawner.issuer().unwrap().leaf(&order, stamp(after));
    assert!(matches!(minted, Err(MintError::IssuerEnded)));
}

#[test]
fn an_ended_spawner_ends_those_below_it() {
    let fabric = Fabric::new(1, NOW);
    let spawner = fabric.spawner.spawner().unwrap();
    let until = spawner.first().validity().until;
    let after = until + DAY;
    // A spawner that pays no heed signs for longer than it may.
    let leaf = forged(spawner.first(), fabric.spawner.key(), &pair(5), |params| {
        params.subject_alt_names = vec![uri(&format!("spiffe://{}/node/x", fabric.trust.fabric()))];
        params.not_after = time::OffsetDateTime::from_unix_timestamp((after + DAY).as_secs() as i64).unwrap();
    });
    let shown = Chain::new(leaf.first().clone(), spawner.certificates());
    assert!(judge(&fabric.verifier(), &shown, until).is_ok());
    assert_eq!(judge(&fabric.verifier(), &shown, after).unwrap_err(), VerifyError::Expired { until, now: after });
}

#[test]
fn a_revoked_key_ends_itself_and_those_below_it() {
    let fabric = Fabric::new(1, NOW);
    let (node, sibling) = (fabric.node(5, NOW), fabric.node(6, NOW));
    let mut verifier = fabric.verifier();
    let (one, other) = [&node, &sibling].map(|node| judge(&verifier, node.chain(), NOW).unwrap()).into();
    let list = verifier.revocations.revoke(fabric.spawner.key(), node.id(), NOW).unwrap();
    assert_eq!(list.nodes().collect::<Vec<_>>(), [node.id()]);
    assert_eq!(judge(&verifier, node.chain(), NOW).unwrap_err(), VerifyError::Revoked(node.id()));
    assert!(!verifier.still_believes(&one, NOW) && verifier.still_believes(&other, NOW));
    // A new certificate of the same key does not help.
    assert!(judge(&verifier, fabric.node(5, NOW + DAY).chain(), NOW + DAY).is_err());
    // The fabric's key revokes the spawner, and with it everybody below.
    verifier.revocations.revoke(fabric.key.pair(), fabric.spawner.id(), NOW).unwrap();
    assert_eq!(judge(&verifier, sibling.chain(), NOW).unwrap_err(), VerifyError::Revoked(fabric.spawner.id()));
    assert!(!verifier.still_believes(&other, NOW));
}

#[test]
fn who_has_not_signed_for_a_key_cannot_revoke_it() {
    let fabric = Fabric::new(1, NOW);
    let (node, sibling) = (fabric.node(5, NOW), fabric.node(6, NOW));
    let mut verifier = fabric.verifier();
    verifier.revocations.revoke(sibling.key(), node.id(), NOW).unwrap();
    verifier.revocations.revoke(node.key(), fabric.spawner.id(), NOW).unwrap();
    verifier.revocations.revoke(&pair(77), node.id(), NOW).unwrap();
    assert!(judge(&verifier, node.chain(), NOW).is_ok());
}

#[test]
fn a_certificate_is_good_for_its_use_only() {
    let fabric = Fabric::new(1, NOW);
    let issuer = fabric.spawner.issuer().unwrap();
    for (subject, role) in [(Subject::Engine(name("e")), Role::Engine), (Subject::App(name("a")), Role::App)] {
        let order = Order { subject, key: pair(5).public(), capabilities: Capabilities::CLIENT };
        let chain = issuer.leaf(&order, stamp(NOW)).unwrap();
        assert!(fabric.verifier().verify_chain(&chain, role, NOW).is_ok());
        let wrong = judge(&fabric.verifier(), &chain, NOW).unwrap_err();
        assert_eq!(wrong, VerifyError::WrongUse(chain.first().name().clone()));
    }
    // A spawner's certificate is none to show, and a node's none to sign with.
    let wrong = judge(&fabric.verifier(), fabric.spawner.spawner().unwrap(), NOW).unwrap_err();
    assert!(matches!(wrong, VerifyError::WrongUse(_)), "{wrong}");
    let node = fabric.node(5, NOW);
    let below = forged(node.chain().first(), node.key(), &pair(6), |params| {
        params.subject_alt_names = vec![uri(&format!("spiffe://{}/node/x", fabric.trust.fabric()))];
    });
    let shown = Chain::new(below.first().clone(), node.chain().certificates());
    let wrong = judge(&fabric.verifier(), &shown, NOW).unwrap_err();
    assert_eq!(wrong, VerifyError::Path(webpki::Error::EndEntityUsedAsCa));
}

#[test]
fn a_fabric_is_six_spawners_deep() {
    let fabric = Fabric::new(1, NOW);
    let deepest = fabric.deep(MAX_DEPTH, NOW).unwrap();
    let peer = judge(&fabric.verifier(), deepest.chain(), NOW).unwrap();
    assert_eq!(peer.issuers().len(), usize::from(MAX_DEPTH) + 1);
    assert!(matches!(fabric.deep(MAX_DEPTH + 1, NOW), Err(MintError::TooDeep)));
}

#[test]
fn a_spawner_cannot_allow_more_hops_than_it_has() {
    let fabric = Fabric::new(1, NOW);
    let last = fabric.deep(MAX_DEPTH, NOW).unwrap();
    let above = last.spawner().unwrap();
    let own = pair(200);
    let rogue = forged(above.first(), last.key(), &own, |params| {
        params.subject_alt_names = vec![uri(&format!("spiffe://{}", fabric.trust.fabric()))];
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(3));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    let chain = Chain::new(rogue.first().clone(), &above.certificates()[1..]);
    let node = NodeIdentity::of_spawner(own, chain, name("rogue"), stamp(NOW)).unwrap();
    // With the spawner that signed for it the way is one too long.
    let mut shown = node.chain().certificates().to_vec();
    shown.insert(2, above.first().clone());
    let shown = Chain::new(shown[0].clone(), &shown[1..]);
    assert_eq!(judge(&fabric.verifier(), &shown, NOW).unwrap_err(), VerifyError::TooDeep);
}

#[test]
fn nobody_passes_on_more_than_it_may() {
    let fabric = Fabric::new(1, NOW);
    let own = pair(101);
    let limited = Capabilities::CLIENT.with(Capability::Spawn);
    let issuer = fabric.spawner.issuer().unwrap();
    let chain = issuer.delegate(own.public(), limited, stamp(NOW)).unwrap();
    let limited_issuer = Issuer::spawner(&own, &chain).unwrap();
    let order = Order::node(name("x"), pair(5).public(), Capabilities::MEMBER);
    let minted = limited_issuer.leaf(&order, stamp(NOW));
    assert!(matches!(minted, Err(MintError::NotAllowed { .. })));
    // One that pays no heed is found out.
    let leaf = forged(chain.first(), &own, &pair(5), |params| {
        params.distinguished_name.push(DnType::OrganizationalUnitName, "call serve");
        params.subject_alt_names = vec![uri(&format!("spiffe://{}/node/x", fabric.trust.fabric()))];
    });
    let shown = Chain::new(leaf.first().clone(), chain.certificates());
    assert_eq!(judge(&fabric.verifier(), &shown, NOW).unwrap_err(), VerifyError::NotAllowed(pair(5).public().node()));
}

#[test]
fn who_may_not_spawn_signs_for_nobody() {
    let fabric = Fabric::new(1, NOW);
    let own = pair(101);
    // The fabric's key has signed for it by mistake.
    let spawner = forged(fabric.trust.newest(), fabric.key.pair(), &own, |params| {
        params.subject_alt_names = vec![uri(&format!("spiffe://{}", fabric.trust.fabric()))];
        params.distinguished_name.push(DnType::OrganizationalUnitName, "call serve");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    assert!(matches!(Issuer::spawner(&own, &spawner), Err(MintError::NotSpawner)));
    let leaf = forged(spawner.first(), &own, &pair(5), |params| {
        params.subject_alt_names = vec![uri(&format!("spiffe://{}/node/x", fabric.trust.fabric()))];
        params.distinguished_name.push(DnType::OrganizationalUnitName, "call");
    });
    let shown = Chain::new(leaf.first().clone(), spawner.certificates());
    assert_eq!(judge(&fabric.verifier(), &shown, NOW).unwrap_err(), VerifyError::NotAllowed(pair(5).public().node()));
}

#[test]
fn a_certificate_has_exactly_one_name_and_our_form() {
    let fabric = Fabric::new(1, NOW);
    let spiffe = |path: &str| uri(&format!("spiffe://{}{path}", fabric.trust.fabric()));
    let dns = SanType::DnsName("attic.example".try_into().unwrap());
    type Change = Box<dyn Fn(&mut CertificateParams)>;
    let ca = || IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let (one, two, both) =
        (spiffe("/node/x"), vec![spiffe("/node/x"), spiffe("/node/y")], vec![spiffe("/node/x"), dns]);
    let cases: Vec<(&str, Change, CertificateError)> = vec![
        ("no name", Box::new(|params| params.subject_alt_names.clear()), CertificateError::Name),
        ("two names", Box::new(move |params| params.subject_alt_names = two.clone()), CertificateError::Name),
        ("a name of DNS", Box::new(move |params| params.subject_alt_names = both.clone()), CertificateError::Name),
        (
            "a web address",
            Box::new(|params| params.subject_alt_names = vec![uri("https://x/")]),
            CertificateError::Name,
        ),
        (
            "another's id",
            Box::new(|params| params.subject_alt_names = vec![uri("spiffe://example.org/node/x")]),
            CertificateError::Name,
        ),
        ("an unbounded CA", Box::new(move |params| params.is_ca = ca()), CertificateError::Kind),
        ("no constraints", Box::new(|params| params.is_ca = IsCa::NoCa), CertificateError::Kind),
        ("no usage", Box::new(|params| params.key_usages.clear()), CertificateError::Kind),
        ("no issuer", Box::new(|params| params.use_authority_key_identifier_extension = false), CertificateError::Kind),
        (
            "odd words",
            Box::new(|params| params.distinguished_name.push(DnType::OrganizationalUnitName, "root")),
            CertificateError::Capabilities,
        ),
    ];
    let spawner = fabric.spawner.spawner().unwrap().first();
    for (what, change, expected) in cases {
        let der = signed(spawner, fabric.spawner.key(), &pair(5), |params| {
            params.subject_alt_names = vec![one.clone()];
            change(params);
        });
        assert_eq!(Certificate::parse(&der).unwrap_err(), expected, "{what}");
    }
    assert_eq!(Certificate::parse(&[0x30; MAX_CERTIFICATE + 1]).unwrap_err(), CertificateError::TooLong);
    let mut longer = fabric.spawner.chain().first().der().to_vec();
    longer.push(0);
    assert_eq!(Certificate::parse(&longer).unwrap_err(), CertificateError::Encoding);
}

#[test]
fn no_bit_of_a_certificate_can_be_changed() {
    let fabric = Fabric::new(1, NOW);
    let node = fabric.node(5, NOW);
    let verifier = fabric.verifier();
    let ders: Vec<Vec<u8>> = node.chain().ders().map(|der| der.to_vec()).collect();
    for at in 0..ders[0].len() * 8 {
        let mut changed = ders[0].clone();
        changed[at / 8] ^= 1 << (at % 8);
        let shown = [changed.as_slice(), &ders[1]];
        assert!(verifier.verify(shown, Role::Node, NOW).is_err(), "bit {at}");
    }
    assert!(verifier.verify(ders.iter().map(Vec::as_slice), Role::Node, NOW).is_ok());
}

#[test]
fn too_many_certificates_are_not_looked_at() {
    let fabric = Fabric::new(1, NOW);
    let der = fabric.spawner.chain().first().der().to_vec();
    let shown = std::iter::repeat_n(der.as_slice(), MAX_CHAIN + 1);
    let judged = fabric.verifier().verify(shown, Role::Node, NOW);
    assert_eq!(judged.unwrap_err(), VerifyError::Chain(ChainError::Length(MAX_CHAIN + 1)));
    let judged = fabric.verifier().verify([], Role::Node, NOW);
    assert_eq!(judged.unwrap_err(), VerifyError::Chain(ChainError::Length(0)));
}

pub fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// A leaf that no honest issuer would sign, after `change`.
pub fn forged(
    issuer: &Certificate,
    key: &KeyPair,
    subject: &KeyPair,
    change: impl Fn(&mut CertificateParams),
) -> Chain {
    let der = signed(issuer, key, subject, change);
    Chain::new(Certificate::parse(&der).unwrap(), &[])
}

fn signed(issuer: &Certificate, key: &KeyPair, subject: &KeyPair, change: impl Fn(&mut CertificateParams)) -> Vec<u8> {
    let date = |moment: WallTime| time::OffsetDateTime::from_unix_timestamp(moment.as_secs() as i64).unwrap();
    let mut params = CertificateParams::default();
    params.serial_number = Some(vec![0x41; 16].into());
    (params.not_before, params.not_after) = (date(NOW - DAY), date(NOW + LEAF_VALIDITY));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, certificate::ORGANIZATION);
    params.distinguished_name.push(DnType::OrganizationalUnitName, "call spawn");
    params.distinguished_name.push(DnType::CommonName, format!("forged {}", subject.public().node()));
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.key_identifier_method = KeyIdMethod::PreSpecified(subject.public().node().0.to_vec());
    change(&mut params);
    let mut named = CertificateParams::default();
    named.distinguished_name = rcgen::DistinguishedName::new();
    named.distinguished_name.push(DnType::OrganizationName, certificate::ORGANIZATION);
    named.distinguished_name.push(DnType::OrganizationalUnitName, issuer.capabilities().to_string());
    named.distinguished_name.push(DnType::CommonName, issuer.common_name());
    named.key_identifier_method = KeyIdMethod::PreSpecified(issuer.node().0.to_vec());
    let issuer = rcgen::Issuer::new(named, mint::Hand::of(key));
    params.signed_by(&subject.public(), &issuer).unwrap().der().to_vec()
}
