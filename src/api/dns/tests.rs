//! The endpoints of DNS over a real socket, with a server that nobody can reach.

use std::time::Duration;

use dns::dnssec::{Input, Role, ZoneKey};
use dns::journal::{Item, State};
use dns::name::Name;
use dns::server::Server;
use dns::store::Plan;

use super::model::{DnsStatus, DnssecRole, DnssecStage, DnssecStatus, ZoneStatus};
use crate::api::tests::{Fixture, refusal};

fn apex() -> Name {
    "dyn.test".parse().expect("a name")
}

/// The keys of the signed zone, once it has some.
pub(in crate::api) async fn keys_of(server: &Server) -> Vec<ZoneKey> {
    loop {
        let keys = server.store().keys(apex().as_ref()).await.expect("a zone");
        if !keys.is_empty() {
            return keys;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Makes the next key-signing key, and has it known for as long as it takes to be ready; its tag.
pub(in crate::api) async fn next_key(server: &Server) -> u16 {
    keys_of(server).await;
    server.store().tell_keys(apex().as_ref(), Input::RollKeySigning).await.expect("told");
    let ripe = |state: &State| {
        let (key, note) = state.notes.iter().find(|(key, _)| key.contains("keys")).expect("a note");
        let text = String::from_utf8_lossy(note).replace("\"published\"", "\"ready\"");
        let item = Item::Note { key: key.clone(), value: Some(text.into_bytes().into()) };
        Ok((Plan::Change { edit: None, items: vec![item] }, ()))
    };
    server.store().plan(apex().as_ref(), ripe).await.expect("noted");
    keys_of(server).await.last().expect("the new one").tag()
}

#[tokio::test]
async fn zones_and_records_are_those_that_are_answered() {
    let fixture = Fixture::new();
    let (_, zones) = fixture.request("GET", "/v1/dns/zones").await;
    let zones: Vec<ZoneStatus> = serde_json::from_str(&zones).expect("zones");
    assert_eq!(zones.iter().map(|zone| zone.name.as_str()).collect::<Vec<_>>(), ["dyn.test", "sec.test"]);
    let (code, records) = fixture.request("GET", "/v1/dns/zones/dyn.test/records?type=SOA").await;
    assert!(code == 200 && records.lines().count() == 1, "{records}");
    let (_, file) = fixture.request("GET", "/v1/dns/zones/dyn.test/export").await;
    assert!(file.contains("SOA"), "{file}");
    for (path, code) in [
        ("/v1/dns/zones/other.test/records", 404),
        ("/v1/dns/zones/dyn.test/records?type=NONE", 400),
        ("/v1/dns/zones/dyn.test/records?name=a..b", 400),
    ] {
        assert_eq!(fixture.request("GET", path).await.0, code, "{path}");
    }
    let secondary = zones[1].secondary.as_ref().expect("a secondary");
    assert_eq!(secondary.primaries, ["127.0.0.1:1"]);
    assert!(zones[0].secondary.is_none() && zones[1].serial.is_none() && zones[1].expired, "{zones:?}");
    fixture.request("PUT", "/v1/dns/query-log?on=true").await;
    let (_, status) = fixture.request("GET", "/v1/dns").await;
    assert!(serde_json::from_str::<DnsStatus>(&status).expect("a status").query_log);
}

#[tokio::test]
async fn a_secondary_says_whom_it_asked_and_why_that_was_of_no_use() {
    let fixture = Fixture::new();
    let secondary = loop {
        let (_, zones) = fixture.request("GET", "/v1/dns/zones").await;
        let zones: Vec<ZoneStatus> = serde_json::from_str(&zones).expect("zones");
        let secondary = zones[1].secondary.clone().expect("a secondary");
        if secondary.error.is_some() && secondary.refresh_at_ms.is_some() {
            break secondary;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(secondary.asked.as_deref(), Some("127.0.0.1:1"));
    assert!(secondary.error.as_ref().is_some_and(|error| error.contains("127.0.0.1:1")), "{secondary:?}");
    assert_eq!((secondary.confirmed_at_ms, secondary.expires_at_ms), (None, None));
}

#[tokio::test]
async fn keys_roll_when_people_say_that_the_parent_follows() {
    let fixture = Fixture::new();
    let first =
        keys_of(&fixture.dns).await.into_iter().find(|key| key.role() == Role::KeySigning).expect("a key").tag();
    let status =
        |body: &str| serde_json::from_str::<DnssecStatus>(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let roll = "/v1/dns/zones/dyn.test/dnssec/roll";
    let seen = |tag: u16| format!("/v1/dns/zones/dyn.test/dnssec/ds-seen?tag={tag}");

    let (code, body) = fixture.request("GET", "/v1/dns/zones/dyn.test/dnssec").await;
    let keys = status(&body).keys;
    assert_eq!((code, keys.len()), (200, 2), "{body}");
    assert!(keys.iter().all(|key| key.stage == DnssecStage::Active && key.algorithm == "ed25519"), "{body}");
    assert!(keys.iter().all(|key| (key.role == DnssecRole::KeySigning) == key.ds.is_some()), "{body}");
    assert_eq!(keys.iter().filter(|key| key.announced).map(|key| key.tag).collect::<Vec<_>>(), [first]);

    let (code, body) = fixture.request("POST", roll).await;
    let next = status(&body).keys.last().expect("a new one").clone();
    assert_eq!((code, next.stage, next.announced), (200, DnssecStage::Published, false), "{body}");
    for (path, error) in [
        (roll.to_owned(), "rolling"),
        (seen(next.tag), "not-ready"),
        (seen(first), "active"),
        (seen(next.tag.wrapping_add(1)), "no-key"),
        ("/v1/dns/zones/sec.test/dnssec/roll".to_owned(), "not-signed"),
        ("/v1/dns/zones/sec.test/dnssec/ds-seen?tag=1".to_owned(), "not-signed"),
    ] {
        let (code, body) = fixture.request("POST", &path).await;
        assert_eq!((code, refusal(&body).error.as_str()), (409, error), "{path}");
    }
    assert_eq!(fixture.request("POST", "/v1/dns/zones/dyn.test/dnssec/ds-seen?tag=70000").await.0, 400);
    assert_eq!(fixture.request("POST", "/v1/dns/zones/other.test/dnssec/roll").await.0, 404);
    assert_eq!(fixture.request("GET", "/v1/dns/zones/sec.test/dnssec").await.0, 200);
}

#[tokio::test]
async fn the_key_that_the_parent_knows_takes_over() {
    let fixture = Fixture::new();
    let tag = next_key(&fixture.dns).await;
    let (code, body) = fixture.request("POST", &format!("/v1/dns/zones/dyn.test/dnssec/ds-seen?tag={tag}")).await;
    let status: DnssecStatus = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let stages = |stage| status.keys.iter().filter(move |key| key.stage == stage && key.ds.is_some());
    assert_eq!((code, stages(DnssecStage::Active).map(|key| key.tag).collect::<Vec<_>>()), (200, vec![tag]));
    let retired: Vec<_> = stages(DnssecStage::Retired).map(|key| key.tag).collect();
    assert_eq!((retired.len(), status.keys.iter().filter(|key| key.announced).count()), (1, 1), "{body}");
    let (code, body) =
        fixture.request("POST", &format!("/v1/dns/zones/dyn.test/dnssec/ds-seen?tag={}", retired[0])).await;
    assert_eq!((code, refusal(&body).error.as_str()), (409, "retired"));
}
