//! How long records stay that an update adds (RFC 9664).

use super::{Operation, Update};
use crate::record::Rtype;
use crate::zone::{Edit, Lease, Leases};

/// The shortest lease, in seconds: an answer has arrived before it ends.
pub const MIN_LEASE: u32 = 1;
/// The longest lease, in seconds. It is for cleaning up behind machines that vanished, so it must end at some time.
pub const MAX_LEASE: u32 = 31 * 24 * 3600;

/// What an Update Lease option says, in seconds (RFC 9664, 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// For all records but those of type KEY.
    pub lease: u32,
    /// For records of type KEY; nothing for the same.
    pub key_lease: Option<u32>,
}

impl LeaseTimes {
    /// Reads the data of the option, of which there are a short and a long form; nothing when it is neither.
    pub fn read(data: &[u8]) -> Option<Self> {
        let number = |octets: [u8; 4]| u32::from_be_bytes(octets);
        match *data {
            [a, b, c, d] => Some(Self { lease: number([a, b, c, d]), key_lease: None }),
            [a, b, c, d, e, f, g, h] => {
                Some(Self { lease: number([a, b, c, d]), key_lease: Some(number([e, f, g, h])) })
            }
            _ => None,
        }
    }

    /// The data of the option, in the form that was asked in.
    pub fn write(self) -> Vec<u8> {
        let mut data = self.lease.to_be_bytes().to_vec();
        data.extend(self.key_lease.into_iter().flat_map(u32::to_be_bytes));
        data
    }

    /// What is granted to who asks for this.
    #[must_use]
    pub fn granted(self) -> Self {
        let grant = |seconds: u32| seconds.clamp(MIN_LEASE, MAX_LEASE);
        Self { lease: grant(self.lease), key_lease: self.key_lease.map(grant) }
    }

    fn of(self, rtype: Rtype) -> u32 {
        self.key_lease.filter(|_| rtype == Rtype::KEY).unwrap_or(self.lease)
    }
}

/// The leases that are other than before once `update` is done in `edit`: those of the records it added, again or for the
/// first time. Who adds a record without a lease makes it stay. The start of authority has none.
pub(super) fn begun(edit: &Edit, update: &Update, leases: &Leases, now_secs: u64) -> Vec<Lease> {
    let times = update.lease.map(LeaseTimes::granted);
    let mut begun = Vec::new();
    for operation in &update.operations {
        let Operation::Add(record) = operation else { continue };
        let stored = edit.find(record.name.as_ref(), record.rtype, &record.rdata);
        let Some(stored) = stored.filter(|_| record.rtype != Rtype::SOA) else { continue };
        let expires = times.map(|times| now_secs.saturating_add(u64::from(times.of(record.rtype))));
        if leases.of(&record.name, record.rtype, stored) != expires {
            let (name, rdata) = (record.name.clone(), stored.into());
            begun.push(Lease { name, rtype: record.rtype, rdata, expires });
        }
    }
    begun
}
