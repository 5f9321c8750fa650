//! What can go wrong, by what the caller does differently.

use std::io;

use crate::nft::NftError;
use crate::plan::{Step, Sysctl};
use crate::seen::SeeError;

/// Why the machine could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A capability is missing. Nothing was changed.
    #[error(
        "no permission: {capability} is missing; run as root, or give it with `AmbientCapabilities=CAP_NET_ADMIN \
         CAP_NET_RAW` in the service or `setcap cap_net_admin,cap_net_raw+ep` on the program"
    )]
    Permission {
        /// Its name.
        capability: &'static str,
    },
    /// A socket could not be opened. Nothing was changed.
    #[error("cannot open a socket to the kernel or the LAN")]
    Socket(#[source] io::Error),
    /// The fence cannot work here. Nothing was changed.
    #[error("cannot fence the address")]
    Fence(#[source] NftError),
    /// The kernel refused a step. What was done before it was taken back.
    #[error("cannot set up the LAN interface")]
    Apply(#[from] ApplyError),
}

impl OpenError {
    /// The error of a raw socket that could not be opened.
    pub(super) fn raw_socket(error: io::Error) -> OpenError {
        match error.kind() {
            io::ErrorKind::PermissionDenied => OpenError::Permission { capability: "CAP_NET_RAW" },
            _ => OpenError::Socket(error),
        }
    }

    /// The error of the first question to nftables.
    pub(super) fn fence(error: NftError) -> OpenError {
        match error {
            NftError::Permission => OpenError::Permission { capability: "CAP_NET_ADMIN" },
            error => OpenError::Fence(error),
        }
    }
}

impl From<SeeError> for OpenError {
    fn from(error: SeeError) -> OpenError {
        OpenError::Apply(ApplyError::See(error))
    }
}

/// Why the machine is not as wanted. The steps before the failed one were performed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The LAN interface does not exist or is down.
    #[error("the LAN interface is missing or down")]
    NoInterface,
    /// The machine could not be looked at.
    #[error("cannot see the state of the machine")]
    See(#[from] SeeError),
    /// The fence could not be changed.
    #[error("cannot change the fence")]
    Fence(#[from] NftError),
    /// The LAN cannot be listened to.
    #[error("cannot listen on the LAN interface")]
    Tap(#[source] io::Error),
    /// The carrier's name belongs to a device that is not ours.
    #[error("the network device `{name}` exists and is not ours")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A kernel setting could not be changed.
    #[error("cannot change the kernel setting `{key}`")]
    Sysctl {
        /// Which one.
        key: Sysctl,
        /// Why.
        source: io::Error,
    },
    /// The macvlan could not be made or set up.
    #[error("cannot make the macvlan that carries the address; `mac = \"nic\"` does without one")]
    Carrier(#[source] io::Error),
    /// An address could not be changed.
    #[error("cannot change the addresses")]
    Address(#[source] io::Error),
}

impl ApplyError {
    /// The error of a step on links, addresses or settings.
    pub(super) fn step(step: &Step, error: io::Error) -> ApplyError {
        match step {
            Step::SetSysctl { key, .. } => ApplyError::Sysctl { key: key.clone(), source: error },
            Step::CreateCarrier { name, .. } if error.kind() == io::ErrorKind::AlreadyExists => {
                ApplyError::NameTaken { name: name.clone() }
            }
            Step::CreateCarrier { .. } | Step::DeleteCarrier | Step::CarrierUp => ApplyError::Carrier(error),
            Step::AddAddress(_) | Step::DeleteAddress(_) => ApplyError::Address(error),
            Step::PutFence(_) | Step::ChangeFence(_) | Step::RemoveFence => ApplyError::Fence(NftError::Refused(error)),
        }
    }
}
