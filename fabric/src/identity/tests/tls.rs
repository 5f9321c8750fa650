//! Handshakes in memory, between nodes of one fabric and those who are none.

use rustls::{ClientConnection, ConnectionCommon, ServerConnection, SideData};

use super::*;
use crate::clock;

/// Both ends of a connection after as much of a handshake as there was, and what went wrong.
struct Meeting {
    client: ClientConnection,
    server: ServerConnection,
    /// What the end that was asked to believe said.
    wrong: Option<rustls::Error>,
}

fn meet(client: &Arc<Credentials>, server: &Arc<Credentials>) -> Meeting {
    meet_with(client.client().unwrap(), server.server().unwrap())
}

fn meet_with(client: Arc<rustls::ClientConfig>, server: Arc<rustls::ServerConfig>) -> Meeting {
    let client = ClientConnection::new(client, nobody()).unwrap();
    let mut meeting = Meeting { client, server: ServerConnection::new(server).unwrap(), wrong: None };
    for _ in 0..10 {
        let heard = carry(&mut meeting.client, &mut meeting.server);
        let answered = carry(&mut meeting.server, &mut meeting.client);
        meeting.wrong = meeting.wrong.or(heard).or(answered);
    }
    meeting
}

/// Carries what one end has to say to the other; the first thing that the other finds wrong with it.
fn carry<A: SideData, B: SideData>(
    from: &mut ConnectionCommon<A>,
    to: &mut ConnectionCommon<B>,
) -> Option<rustls::Error> {
    let (mut wire, mut wrong) = (Vec::new(), None);
    while from.wants_write() {
        from.write_tls(&mut wire).unwrap();
    }
    let mut wire = wire.as_slice();
    while !wire.is_empty() {
        to.read_tls(&mut wire).unwrap();
        wrong = wrong.or(to.process_new_packets().err());
    }
    wrong
}

fn credentials(fabric: &Fabric, node: NodeIdentity) -> Arc<Credentials> {
    Credentials::new(node, fabric.verifier())
}

#[test]
fn two_nodes_meet_and_know_each_other() {
    let now = clock::wall();
    let fabric = Fabric::new(1, now);
    let [one, other] = [5, 6].map(|number| credentials(&fabric, fabric.node(number, now)));
    let meeting = meet(&one, &other);
    assert_eq!(meeting.wrong, None);
    assert!(!meeting.client.is_handshaking() && !meeting.server.is_handshaking());
    assert_eq!(meeting.client.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    let (one_id, other_id) = (one.current().identity.id(), other.current().identity.id());
    assert_eq!(one.peer(&meeting.client, Some(other_id)).unwrap().node(), other_id);
    assert_eq!(other.peer(&meeting.server, None).unwrap().node(), one_id);
    let wrong = one.peer(&meeting.client, Some(one_id)).unwrap_err();
    assert_eq!(wrong, LinkError::OtherNode { expected: one_id, found: other_id });
    let secret =
        |label: &[u8], connection: &ClientConnection| connection.export_keying_material([0; 32], label, None).unwrap();
    let theirs = meeting.server.export_keying_material([0; 32], b"label", None).unwrap();
    assert_eq!(secret(b"label", &meeting.client), theirs, "links derive their keys from it");
}

#[test]
fn a_stranger_is_turned_away_at_either_end() {
    let now = clock::wall();
    let (fabric, other) = (Fabric::new(1, now), Fabric::new(2, now));
    let own = credentials(&fabric, fabric.node(5, now));
    let stranger = credentials(&other, other.node(6, now));
    for (client, server) in [(&own, &stranger), (&stranger, &own)] {
        let meeting = meet(client, server);
        let expected = if Arc::ptr_eq(client, &own) { &other } else { &fabric };
        let expected = VerifyError::WrongFabric(expected.trust.fabric());
        assert_eq!(disbelief(&meeting.wrong.unwrap()), Some(&expected));
        assert!(meeting.server.is_handshaking());
    }
}

#[test]
fn a_revoked_node_is_turned_away_and_a_standing_link_is_found() {
    let now = clock::wall();
    let fabric = Fabric::new(1, now);
    let [one, other] = [5, 6].map(|number| credentials(&fabric, fabric.node(number, now)));
    let standing = meet(&one, &other);
    let peer = other.peer(&standing.server, None).unwrap();
    let list = Revocations::new(fabric.trust.fabric()).revoke(fabric.spawner.key(), peer.node(), now).unwrap();
    assert_eq!((other.learn_revoked(list.clone()), other.learn_revoked(list)), (Ok(true), Ok(false)));
    assert!(!other.current().verifier.still_believes(&peer, now));
    let wrong = other.peer(&standing.server, None).unwrap_err();
    assert_eq!(wrong, LinkError::Verify(VerifyError::Revoked(peer.node())));
    let wrong = meet(&one, &other).wrong;
    assert_eq!(wrong, Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Revoked)));
}

#[test]
fn who_shows_no_certificate_or_an_ended_one_is_turned_away() {
    let now = clock::wall();
    let fabric = Fabric::new(1, now - 2 * LEAF_VALIDITY);
    let own = credentials(&fabric, fabric.node(5, now));
    let ended = credentials(&fabric, fabric.node(6, now - LEAF_VALIDITY - DAY));
    let wrong = meet(&ended, &own).wrong;
    let expired = |error: &rustls::Error| {
        matches!(error, rustls::Error::InvalidCertificate(rustls::CertificateError::ExpiredContext { .. }))
    };
    assert!(wrong.as_ref().is_some_and(expired), "{wrong:?}");
    let mut anonymous = rustls::ClientConfig::clone(&own.client().unwrap());
    anonymous.client_auth_cert_resolver = Arc::new(Nobody);
    let wrong = meet_with(Arc::new(anonymous), own.server().unwrap()).wrong;
    assert_eq!(wrong, Some(rustls::Error::NoCertificatesPresented));
}

#[test]
fn another_protocol_is_not_ours() {
    let now = clock::wall();
    let fabric = Fabric::new(1, now);
    let [one, other] = [5, 6].map(|number| credentials(&fabric, fabric.node(number, now)));
    let mut silent = rustls::ClientConfig::clone(&one.client().unwrap());
    silent.alpn_protocols.clear();
    let meeting = meet_with(Arc::new(silent), other.server().unwrap());
    assert_eq!(other.peer(&meeting.server, None), Err(LinkError::Protocol));
    let mut other_protocol = rustls::ClientConfig::clone(&one.client().unwrap());
    other_protocol.alpn_protocols = vec![b"h2".to_vec()];
    let wrong = meet_with(Arc::new(other_protocol), other.server().unwrap()).wrong;
    assert_eq!(wrong, Some(rustls::Error::NoApplicationProtocol));
}

#[test]
fn a_renewed_certificate_is_shown_from_the_next_handshake_on() {
    let now = clock::wall();
    let fabric = Fabric::new(1, now - LEAF_VALIDITY);
    let one = credentials(&fabric, fabric.node(5, now - LEAF_VALIDITY + DAY));
    let other = credentials(&fabric, fabric.node(6, now));
    let config = other.client().unwrap();
    let until = |meeting: &Meeting| other.peer(&meeting.client, None).unwrap().until();
    let before = until(&meet_with(config.clone(), one.server().unwrap()));
    one.renew(fabric.node(5, now));
    let after = until(&meet_with(config, one.server().unwrap()));
    assert!(after > before);
}

#[test]
fn nodes_meet_across_a_rotation_that_one_has_not_heard_of() {
    let now = clock::wall();
    let fabric = Fabric::new(1, now);
    let behind = credentials(&fabric, fabric.node(5, now));
    let next = fabric_key(2);
    let own = root(&next, fabric.trust.fabric(), stamp(now)).unwrap();
    let cross = cross(&fabric.key, &fabric.trust, &next.public(), now + 60 * DAY, stamp(now)).unwrap();
    let trust = fabric.trust.succeed(own, cross).unwrap();
    let ahead = Credentials::new(Fabric::spawner(&next, &trust, now), Verifier::new(trust.clone()));
    for (client, server) in [(&behind, &ahead), (&ahead, &behind)] {
        assert_eq!(meet(client, server).wrong, None);
    }
    assert_eq!((behind.learn_trust(&trust), behind.learn_trust(&trust)), (Ok(true), Ok(false)));
    assert_eq!(meet(&behind, &ahead).wrong, None);
}

/// Shows nothing.
#[derive(Debug)]
struct Nobody;

impl rustls::client::ResolvesClientCert for Nobody {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
