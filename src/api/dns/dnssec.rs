//! The keys that zones are signed with, and the two things that people tell them (RFC 6781, 4.1).
//!
//! Which key comes when is decided by `dns::dnssec`; here is only said what would be of no use.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use dns::dnssec::{Input, KeySet, Role, Stage, ZoneKey};
use dns::name::Name;
use dns::record::Rtype;
use dns::settings::Dnssec;
use dns::text::{Names, show_rdata};
use dns::wire::Rcode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::model::{DnssecKey, DnssecRole, DnssecStage, DnssecStatus};
use super::status::at_ms;
use super::{DnsDoor, Refusal, Refused, Shared, door, no_zone, nothing_served, plain};

/// Which key.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct DsSeenQuery {
    /// The tag of the key whose DS record the parent zone has.
    tag: u16,
}

/// The keys that a zone is signed with.
#[utoipa::path(get, tag = "dns", path = "/v1/dns/zones/{zone}/dnssec", params(("zone" = String, Path, description = "The zone's name")), responses(
    (status = 200, body = DnssecStatus, description = "In the order they were made; no keys in a zone that is not signed here"),
    (status = 404, body = Refusal, description = "There is no such zone"),
    (status = 503, body = Refusal, description = "The zone cannot be asked now"),
))]
pub(in crate::api) async fn keys(
    State(shared): State<Shared>,
    Path(zone): Path<String>,
) -> Result<Json<DnssecStatus>, Refused> {
    Ok(Json(Signed::find(&shared, &zone).await?.status()))
}

/// Makes the next key-signing key of a zone, which takes over when the parent zone has its DS record.
#[utoipa::path(post, tag = "dns", path = "/v1/dns/zones/{zone}/dnssec/roll", params(("zone" = String, Path, description = "The zone's name")), responses(
    (status = 200, body = DnssecStatus, description = "The keys with the new one"),
    (status = 404, body = Refusal, description = "There is no such zone"),
    (status = 409, body = Refusal, description = "The zone is not signed here, or the next key is there already"),
    (status = 503, body = Refusal, description = "The zone cannot be changed now"),
))]
pub(in crate::api) async fn roll(
    State(shared): State<Shared>,
    Path(zone): Path<String>,
) -> Result<Json<DnssecStatus>, Refused> {
    let signed = Signed::find(&shared, &zone).await?;
    signed.must_be_signed()?;
    let waits = |key: &&ZoneKey| matches!(key.stage(), Stage::Published(_) | Stage::Ready(_));
    if let Some(key) = signed.key_signing().find(waits) {
        return Err(conflict("rolling", format!("key {} is to take over already; one at a time", key.tag())));
    }
    signed.tell(Input::RollKeySigning).await
}

/// Says that the parent zone has the DS record of the next key-signing key, which takes over then.
#[utoipa::path(post, tag = "dns", path = "/v1/dns/zones/{zone}/dnssec/ds-seen", params(("zone" = String, Path, description = "The zone's name"), DsSeenQuery), responses(
    (status = 200, body = DnssecStatus, description = "The keys as they are now"),
    (status = 400, body = Refusal, description = "A parameter is not understood"),
    (status = 404, body = Refusal, description = "There is no such zone"),
    (status = 409, body = Refusal, description = "The zone is not signed here, or no key with this tag can take over now"),
    (status = 503, body = Refusal, description = "The zone cannot be changed now"),
))]
pub(in crate::api) async fn ds_seen(
    State(shared): State<Shared>,
    Path(zone): Path<String>,
    query: Result<Query<DsSeenQuery>, QueryRejection>,
) -> Result<Json<DnssecStatus>, Refused> {
    let Query(DsSeenQuery { tag }) = query?;
    let signed = Signed::find(&shared, &zone).await?;
    signed.must_be_signed()?;
    let Some(key) = signed.key_signing().find(|key| key.tag() == tag) else {
        let tags: Vec<String> = signed.key_signing().map(|key| key.tag().to_string()).collect();
        let message = format!("{zone} has no key-signing key {tag}; it has {}", tags.join(" and "));
        return Err(conflict("no-key", message));
    };
    match key.stage() {
        Stage::Ready(_) => signed.tell(Input::DsSeen(tag)).await,
        Stage::Active(_) => Err(conflict("active", format!("key {tag} is in use already"))),
        Stage::Published(_) => {
            let message = format!("some caches do not know key {tag} yet: the old one must stay until it is ready");
            Err(conflict("not-ready", message))
        }
        Stage::Retired(_) => {
            let message = format!("key {tag} leaves the zone: the parent zone must not name it any more");
            Err(conflict("retired", message))
        }
    }
}

/// A zone of this server and its keys at one moment.
struct Signed {
    door: DnsDoor,
    zone: String,
    apex: Name,
    /// The keys, where the zone is signed here.
    keys: Option<KeySet>,
}

impl Signed {
    async fn find(shared: &Shared, zone: &str) -> Result<Signed, Refused> {
        let door = door(shared)?;
        let apex = zone.parse::<Name>().map_err(|_| no_zone(zone, "zone"))?;
        let keys = read(&door, &apex, zone).await?;
        Ok(Signed { door, zone: zone.to_owned(), apex, keys })
    }

    fn must_be_signed(&self) -> Result<(), Refused> {
        let message = || format!("{} is not signed here; [dns.zone.dnssec] in the configuration signs it", self.zone);
        self.keys.as_ref().map(drop).ok_or_else(|| conflict("not-signed", message()))
    }

    fn key_signing(&self) -> impl Iterator<Item = &ZoneKey> {
        self.keys.iter().flat_map(KeySet::iter).filter(|key| key.role() == Role::KeySigning)
    }

    /// Tells the keys something; answers with what they are then.
    async fn tell(self, input: Input) -> Result<Json<DnssecStatus>, Refused> {
        let server = self.door.server.as_ref().ok_or_else(nothing_served)?;
        let told = server.store().tell_keys(self.apex.as_ref(), input).await;
        told.map_err(|rcode| refusal(rcode, &self.zone))?;
        let keys = read(&self.door, &self.apex, &self.zone).await?;
        Ok(Json(Signed { keys, ..self }.status()))
    }

    fn status(&self) -> DnssecStatus {
        let announced: Vec<u16> = self.keys.iter().flat_map(KeySet::announced).map(ZoneKey::tag).collect();
        let keys = self.keys.iter().flat_map(KeySet::iter);
        DnssecStatus {
            zone: plain(&self.apex),
            keys: keys.map(|key| shown(key, &self.apex, announced.contains(&key.tag()))).collect(),
            next_at_ms: self.keys.as_ref().and_then(KeySet::deadline).map(at_ms),
        }
    }
}

/// The keys of a zone; nothing where it is not signed here.
async fn read(door: &DnsDoor, apex: &Name, zone: &str) -> Result<Option<KeySet>, Refused> {
    let store = door.server.as_ref().ok_or_else(nothing_served)?.store();
    let settings: Option<Dnssec> = store.settings(apex.as_ref()).and_then(|settings| settings.dnssec.clone());
    let keys = store.keys(apex.as_ref()).await.map_err(|rcode| refusal(rcode, zone))?;
    Ok(settings.map(|settings| KeySet::new(&settings, keys)))
}

fn refusal(rcode: Rcode, zone: &str) -> Refused {
    match rcode {
        Rcode::NOTAUTH => no_zone(zone, "zone"),
        rcode => {
            let message = format!("{zone} cannot be asked or changed now ({rcode}); the log says why");
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
        }
    }
}

fn conflict(error: &str, message: String) -> Refused {
    Refused::new(StatusCode::CONFLICT, error, message)
}

fn shown(key: &ZoneKey, apex: &Name, announced: bool) -> DnssecKey {
    let (stage, since) = match key.stage() {
        Stage::Published(since) => (DnssecStage::Published, since),
        Stage::Ready(since) => (DnssecStage::Ready, since),
        Stage::Active(since) => (DnssecStage::Active, since),
        Stage::Retired(since) => (DnssecStage::Retired, since),
    };
    let (role, ds) = match key.role() {
        Role::KeySigning => (DnssecRole::KeySigning, Some(show_rdata(Rtype::DS, &key.ds(apex), Names::Absolute))),
        Role::ZoneSigning => (DnssecRole::ZoneSigning, None),
    };
    DnssecKey {
        tag: key.tag(),
        role,
        algorithm: key.algorithm().name().to_owned(),
        stage,
        since_at_ms: at_ms(since),
        ds,
        announced,
    }
}
