//! Management requests count once, for one node, and only from those who belong.

use super::*;
use crate::units::{NodeId, Time};
use crate::wire::envelope::{EnvelopeError, Nonce, RequestKind};
use crate::wire::replay::{MAX_LIFE, Refusal, ReplayWindow};

const KIND: RequestKind = RequestKind(3);

fn moment(after: Duration) -> Moment {
    Moment { now: Time::ZERO + after, wall: NOW + after, theirs: NOW + after }
}

fn current(fabric: &Fabric, number: u8) -> Current {
    Current { identity: fabric.node(number, NOW), verifier: fabric.verifier() }
}

fn signed(sender: &Current, target: NodeId, nonce: u8) -> Vec<u8> {
    let request = Request { target, kind: KIND, body: b"start" };
    request.sign(sender, Nonce([nonce; 16]), NOW, MAX_LIFE).unwrap()
}

#[test]
fn a_request_is_done_once_by_whom_it_is_for() {
    let fabric = Fabric::new(1, NOW);
    let [sender, receiver, other] = [5, 6, 7].map(|number| current(&fabric, number));
    let target = receiver.identity.id();
    let bytes = signed(&sender, target, 1);
    let mut window = ReplayWindow::new(Time::ZERO);
    let accepted = accept(&receiver, &mut window, &bytes, moment(DAY / 86_400)).unwrap();
    assert_eq!(
        (accepted.sender.node(), accepted.kind, accepted.body),
        (sender.identity.id(), KIND, b"start".as_slice())
    );
    let again = accept(&receiver, &mut window, &bytes, moment(DAY / 86_400)).unwrap_err();
    assert_eq!(again, RequestError::Refused(Refusal::Repeated));
    let elsewhere = accept(&other, &mut ReplayWindow::new(Time::ZERO), &bytes, moment(Duration::ZERO)).unwrap_err();
    assert_eq!(elsewhere, RequestError::OtherTarget(target));
    let late = accept(&receiver, &mut window, &signed(&sender, target, 2), moment(2 * MAX_LIFE)).unwrap_err();
    assert_eq!(late, RequestError::Refused(Refusal::Expired));
}

#[test]
fn nobody_else_can_ask_in_its_name() {
    let fabric = Fabric::new(1, NOW);
    let [sender, receiver] = [5, 6].map(|number| current(&fabric, number));
    let target = receiver.identity.id();
    let judge = |bytes: &[u8]| {
        let mut window = ReplayWindow::new(Time::ZERO);
        let judged = accept(&receiver, &mut window, bytes, moment(Duration::ZERO)).map(drop);
        assert!(judged.is_ok() || window.is_empty(), "what is not accepted is not remembered");
        judged
    };
    let bytes = signed(&sender, target, 1);
    for at in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[at / 8] ^= 1 << (at % 8);
        assert!(judge(&changed).is_err(), "bit {at}");
    }
    let stranger = Fabric::new(2, NOW);
    let foreign = signed(&current(&stranger, 5), target, 1);
    assert_eq!(judge(&foreign).unwrap_err(), RequestError::OtherFabric(stranger.trust.fabric()));
    let revoked = sender.identity.id();
    let mut strict = receiver.clone();
    strict.verifier.revocations.revoke(fabric.spawner.key(), revoked, NOW).unwrap();
    let judged = accept(&strict, &mut ReplayWindow::new(Time::ZERO), &bytes, moment(Duration::ZERO));
    assert_eq!(judged.unwrap_err(), RequestError::Sender(VerifyError::Revoked(revoked)));
}

#[test]
fn a_request_from_beyond_a_rotation_is_understood() {
    let fabric = Fabric::new(1, NOW);
    let receiver = current(&fabric, 6);
    let next = fabric_key(2);
    let own = root(&next, fabric.trust.fabric(), stamp(NOW)).unwrap();
    let cross = cross(&fabric.key, &fabric.trust, &next.public(), NOW + 60 * DAY, stamp(NOW)).unwrap();
    let trust = fabric.trust.succeed(own, cross).unwrap();
    let sender = Current { identity: Fabric::spawner(&next, &trust, NOW), verifier: Verifier::new(trust) };
    let bytes = signed(&sender, receiver.identity.id(), 1);
    assert!(accept(&receiver, &mut ReplayWindow::new(Time::ZERO), &bytes, moment(Duration::ZERO)).is_ok());
}

#[test]
fn what_is_too_long_is_not_sent() {
    let fabric = Fabric::new(1, NOW);
    let sender = current(&fabric, 5);
    let body = vec![0; crate::wire::envelope::MAX_BODY + 1];
    let request = Request { target: sender.identity.id(), kind: KIND, body: &body };
    let signed = request.sign(&sender, Nonce([1; 16]), NOW, MAX_LIFE);
    assert_eq!(signed.unwrap_err(), RequestError::Envelope(EnvelopeError::TooLong));
}
