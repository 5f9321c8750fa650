//! Looks at the kernel: everything that [`Seen`] holds.

use std::collections::BTreeMap;
use std::io;

use crate::nft::{Nft, NftError};
use crate::plan::{self, Place, Seen};
use crate::route::Route;
use crate::{Wanted, sysctl};

/// Why the machine could not be looked at. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SeeError {
    /// Links or addresses.
    #[error("cannot read links and addresses from the kernel")]
    Route(#[source] io::Error),
    /// The fence.
    #[error("cannot read the fence from the kernel")]
    Fence(#[source] NftError),
    /// A setting.
    #[error("cannot read the kernel setting `{0}`")]
    Sysctl(plan::Sysctl, #[source] io::Error),
}

/// Everything that matters for `wanted`.
pub(crate) fn see(route: &mut Route, nft: &mut Nft, wanted: &Wanted) -> Result<Seen, SeeError> {
    let mut seen = see_devices(route, wanted)?;
    seen.fence = nft.see().map_err(SeeError::Fence)?;
    Ok(seen)
}

/// Everything but the fence, which only its owner can look at.
pub(crate) fn see_devices(route: &mut Route, wanted: &Wanted) -> Result<Seen, SeeError> {
    let nic = route.link(&wanted.interface).map_err(SeeError::Route)?;
    let carrier = match plan::carrier_name(wanted) {
        Some(name) => route.link(name).map_err(SeeError::Route)?,
        None => None,
    };
    let mut seen = Seen { nic, carrier, ..Seen::default() };
    for (link, place) in [(&seen.nic, Place::Nic), (&seen.carrier, Place::Carrier)] {
        if let Some(link) = link {
            seen.addresses.extend(route.addresses(link.index, place).map_err(SeeError::Route)?);
        }
    }
    seen.sysctls = settings(&seen, wanted)?;
    Ok(seen)
}

fn settings(seen: &Seen, wanted: &Wanted) -> Result<BTreeMap<plan::Sysctl, Option<String>>, SeeError> {
    let mut found = BTreeMap::new();
    for (key, _) in plan::settings(wanted) {
        let on_carrier = plan::carrier_name(wanted).is_some_and(|name| key.concerns(name));
        let there = if on_carrier { seen.carrier.is_some() } else { seen.nic.is_some() };
        if there {
            let value = sysctl::read(&key).map_err(|error| SeeError::Sysctl(key.clone(), error))?;
            found.insert(key, value);
        }
    }
    Ok(found)
}
