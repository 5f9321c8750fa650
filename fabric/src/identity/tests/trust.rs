//! The fabric's key is rotated; lists of revoked keys travel.

use super::*;

const OVERLAP: Duration = Duration::from_secs(60 * 86_400);

/// A fabric, the same with a new key, and that key.
fn rotated(fabric: &Fabric, number: u8, now: WallTime) -> (Trust, FabricKey) {
    let next = fabric_key(number);
    let own = root(&next, fabric.trust.fabric(), stamp(now)).unwrap();
    let cross = cross(&fabric.key, &fabric.trust, &next.public(), now + OVERLAP, stamp(now)).unwrap();
    (fabric.trust.succeed(own, cross).unwrap(), next)
}

#[test]
fn both_keys_are_trusted_until_the_overlap_ends() {
    let fabric = Fabric::new(1, NOW);
    let old_node = fabric.node(5, NOW);
    let (trust, next) = rotated(&fabric, 2, NOW);
    assert_eq!((trust.fabric(), trust.rotations()), (fabric.trust.fabric(), 1), "the fabric keeps its name");
    let new_node = Fabric::spawner(&next, &trust, NOW);
    assert!(old_node.is_behind(&trust) && !old_node.is_behind(&fabric.trust) && !new_node.is_behind(&trust));
    let knows = Verifier::new(trust.clone());
    let (during, after) = (NOW + DAY, NOW + OVERLAP + Duration::from_secs(1));
    let judge = |verifier: &Verifier, chain: &Chain, now| verifier.verify_chain(chain, Role::Node, now);
    let peer = judge(&knows, old_node.chain(), during).unwrap();
    assert!(peer.until() <= NOW + OVERLAP);
    assert!(judge(&knows, new_node.chain(), during).is_ok());
    assert_eq!(knows.trust.overlap(during), Some(NOW + OVERLAP));
    assert_eq!((knows.trust.overlap(after), knows.trust.anchors(after).len()), (None, 1));

    // A node that was made just before the end would be valid for longer, but its issuer counts no more.
    let late = NOW + OVERLAP - DAY;
    let late_node = fabric.node(6, late);
    assert!(judge(&knows, late_node.chain(), late).is_ok());
    assert_eq!(judge(&knows, late_node.chain(), after).unwrap_err(), VerifyError::UnknownIssuer);
    let renewed = Fabric::spawner(&next, &trust, late);
    assert!(judge(&knows, renewed.chain(), after).is_ok());
}

#[test]
fn who_has_not_heard_of_the_new_key_believes_the_cross_certificate() {
    let fabric = Fabric::new(1, NOW);
    let (trust, next) = rotated(&fabric, 2, NOW);
    let node = Fabric::spawner(&next, &trust, NOW);
    let verifier = fabric.verifier();
    let with_cross = |node: &NodeIdentity, now| {
        let mut shown: Vec<Vec<u8>> = node.chain().ders().map(|der| der.to_vec()).collect();
        shown.extend(trust.crosses(NOW).map(|der| der.to_vec()));
        verifier.verify(shown.iter().map(Vec::as_slice), Role::Node, now)
    };
    assert_eq!(
        verifier.verify_chain(node.chain(), Role::Node, NOW).unwrap_err(),
        VerifyError::UnknownIssuer,
        "without it nobody would"
    );
    let peer = with_cross(&node, NOW).unwrap();
    assert_eq!(peer.issuers(), [node.id(), next.public().node()]);
    let (last, after) = (NOW + OVERLAP, NOW + OVERLAP + Duration::from_secs(1));
    let renewed = Fabric::spawner(&next, &trust, last);
    assert!(with_cross(&renewed, last).is_ok_and(|peer| peer.until() == last));
    assert_eq!(with_cross(&renewed, after).unwrap_err(), VerifyError::Expired { until: last, now: after });
    assert_eq!(trust.crosses(after).count(), 0, "nor is it shown any more");
}

#[test]
fn the_new_key_revokes_what_the_old_one_has_signed_for() {
    let fabric = Fabric::new(1, NOW);
    let node = fabric.node(5, NOW);
    let (trust, next) = rotated(&fabric, 2, NOW);
    let mut verifier = Verifier::new(trust);
    assert!(verifier.verify_chain(node.chain(), Role::Node, NOW).is_ok());
    verifier.revocations.revoke(next.pair(), node.id(), NOW).unwrap();
    let judged = verifier.verify_chain(node.chain(), Role::Node, NOW);
    assert_eq!(judged.unwrap_err(), VerifyError::Revoked(node.id()));
}

#[test]
fn a_root_is_signed_by_itself() {
    let fabric = Fabric::new(1, NOW);
    let forged = super::verify::forged(fabric.trust.newest(), &pair(9), fabric.key.pair(), |params| {
        params.subject_alt_names = vec![super::verify::uri(&format!("spiffe://{}", fabric.trust.fabric()))];
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(MAX_DEPTH));
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    });
    assert_eq!(forged.first().kind(), Kind::Root);
    assert_eq!(Trust::new(forged.first().clone()), Err(TrustError::Root));
}

#[test]
fn a_spawner_cannot_put_itself_in_the_fabrics_place() {
    let fabric = Fabric::new(1, NOW);
    let (_, rogue) = rotated(&fabric, 9, NOW);
    // A cross certificate that another than the newest key has signed.
    let other = Fabric::new(3, NOW);
    let own = root(&rogue, fabric.trust.fabric(), stamp(NOW)).unwrap();
    let forged = cross(&other.key, &other.trust, &rogue.public(), NOW + OVERLAP, stamp(NOW)).unwrap();
    assert_eq!(fabric.trust.succeed(own.clone(), forged).unwrap_err(), TrustError::Succession);
    assert_eq!(fabric.trust.succeed(own.clone(), own).unwrap_err(), TrustError::Succession);
    let wrong = cross(&other.key, &fabric.trust, &rogue.public(), NOW + OVERLAP, stamp(NOW));
    assert!(matches!(wrong, Err(MintError::NotRoot)));
}

#[test]
fn news_of_keys_are_taken_in_once_and_contradictions_never() {
    let fabric = Fabric::new(1, NOW);
    let (one, _) = rotated(&fabric, 2, NOW);
    let (other, _) = rotated(&fabric, 3, NOW);
    let mut known = fabric.trust.clone();
    assert_eq!((known.merge(&one), known.merge(&one), known.merge(&fabric.trust)), (Ok(true), Ok(false), Ok(false)));
    assert_eq!((known.merge(&other), &known), (Err(TrustError::Conflict), &one));
    let stranger = Fabric::new(7, NOW).trust;
    assert_eq!(known.merge(&stranger), Err(TrustError::OtherFabric(stranger.fabric())));
}

#[test]
fn one_overlap_ends_before_the_next_begins() {
    let fabric = Fabric::new(1, NOW);
    let (trust, key) = rotated(&fabric, 2, NOW);
    let early = cross(&key, &trust, &fabric_key(3).public(), NOW + 2 * OVERLAP, stamp(NOW + DAY));
    assert!(matches!(early, Err(MintError::Overlap(until)) if until == NOW + OVERLAP));
    let then = NOW + OVERLAP + DAY;
    let fabric = Fabric { spawner: Fabric::spawner(&key, &trust, then), key, trust };
    let (third, _) = rotated(&fabric, 3, then);
    assert_eq!((third.rotations(), third.anchors(then).len()), (2, 2));
    assert_eq!(Trust::from_pem(&third.to_pem()), Ok(third));
}

#[test]
fn trust_cannot_be_cut_or_reordered() {
    let fabric = Fabric::new(1, NOW);
    let (trust, _) = rotated(&fabric, 2, NOW);
    let ders: Vec<&[u8]> = trust.certificates().map(|one| one.der().as_ref()).collect();
    assert_eq!(Trust::parse(ders.iter().copied()), Ok(trust.clone()));
    assert_eq!(Trust::parse([ders[1]]), Err(TrustError::Root), "the id does not follow from a later key");
    assert_eq!(Trust::parse([ders[0], ders[1]]), Err(TrustError::Succession));
    assert_eq!(Trust::parse([ders[0], ders[2], ders[1]]), Err(TrustError::Succession));
    assert_eq!(Trust::parse([]), Err(TrustError::Length));
}

#[test]
fn of_two_lists_the_newer_counts_in_whatever_order_they_come() {
    let fabric = Fabric::new(1, NOW);
    let id = fabric.trust.fabric();
    let mut signer = Revocations::new(id);
    let first = signer.revoke(fabric.spawner.key(), pair(5).public().node(), NOW).unwrap();
    let second = signer.revoke(fabric.spawner.key(), pair(6).public().node(), NOW).unwrap();
    let (mut one, mut other) = (Revocations::new(id), Revocations::new(id));
    assert_eq!((one.merge(first.clone()), one.merge(second.clone())), (Ok(true), Ok(true)));
    assert_eq!(
        (other.merge(second.clone()), other.merge(first), other.merge(second)),
        (Ok(true), Ok(false), Ok(false))
    );
    assert_eq!((&one, &other), (&signer, &signer));
    let nodes: Vec<_> = one.lists().flat_map(RevocationList::nodes).collect();
    assert_eq!(nodes.len(), 2);
}

#[test]
fn a_list_cannot_be_forged_or_grow_for_ever() {
    let fabric = Fabric::new(1, NOW);
    let mut signer = Revocations::new(fabric.trust.fabric());
    let list = signer.revoke(fabric.spawner.key(), pair(5).public().node(), NOW).unwrap();
    assert_eq!(RevocationList::parse(list.as_bytes()), Ok(list.clone()));
    for at in 0..list.as_bytes().len() * 8 {
        let mut changed = list.as_bytes().to_vec();
        changed[at / 8] ^= 1 << (at % 8);
        assert!(RevocationList::parse(&changed).is_err(), "bit {at}");
    }
    // What no certificate can be left of is forgotten.
    let later = NOW + 2 * SPAWNER_VALIDITY + DAY;
    let list = signer.revoke(fabric.spawner.key(), pair(6).public().node(), later).unwrap();
    assert_eq!(list.nodes().collect::<Vec<_>>(), [pair(6).public().node()]);
    let mut stranger = Revocations::new(Fabric::new(2, NOW).trust.fabric());
    assert_eq!(stranger.merge(list), Err(RevocationError::OtherFabric(fabric.trust.fabric())));
}

#[test]
fn lists_are_bounded_and_so_is_their_number() {
    let id = Fabric::new(1, NOW).trust.fabric();
    let node = |number: usize| {
        let mut node = [0; 16];
        node[..8].copy_from_slice(&(number as u64).to_be_bytes());
        crate::units::NodeId(node)
    };
    let entries = |count| (0..count).map(|number| (node(number), NOW)).collect();
    let longest = RevocationList::sign(&pair(1), id, 1, entries(MAX_REVOKED)).unwrap();
    assert_eq!(longest.as_bytes().len(), MAX_LIST);
    assert_eq!(RevocationList::parse(longest.as_bytes()).map(|list| list.nodes().count()), Ok(MAX_REVOKED));
    assert_eq!(RevocationList::sign(&pair(1), id, 1, entries(MAX_REVOKED + 1)), Err(RevocationError::Full));
    let mut all = Revocations::new(id);
    let signer = |number: usize| pair(1).derive("gatehouse test signer 1", &number.to_be_bytes());
    for number in 0..MAX_LISTS {
        assert_eq!(all.merge(RevocationList::sign(&signer(number), id, 1, entries(1)).unwrap()), Ok(true));
    }
    let one_more = RevocationList::sign(&signer(MAX_LISTS), id, 1, entries(1)).unwrap();
    assert_eq!(all.merge(one_more), Err(RevocationError::Full));
    let newer = RevocationList::sign(&signer(0), id, 2, entries(2)).unwrap();
    assert_eq!(all.merge(newer), Ok(true), "those that are known can still grow");
}
