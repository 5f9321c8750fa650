//! Hashed names (RFC 5155).

use data_encoding::BASE32_DNSSEC;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use crate::name::{MAX_LEN, Name, NameError, NameRef};

/// The octets of a hash: SHA-1, the only algorithm there is (RFC 5155, 11).
pub const HASH_LEN: usize = 20;
/// More iterations than this are not computed: a zone that asks for them is answered as if it were not signed
/// (RFC 9276, 3.2).
pub const MAX_ITERATIONS: u16 = 100;

/// How the names of a zone are hashed: the data of its NSEC3PARAM record (RFC 5155, 4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nsec3Params {
    /// Times the hash is hashed again.
    pub iterations: u16,
    /// What is appended each time.
    pub salt: Box<[u8]>,
}

impl Nsec3Params {
    /// Reads the data of an NSEC3PARAM record; nothing when it is not that, or of another algorithm, with flags (which
    /// say that the chain is not complete: RFC 5155, 4.1.2) or more iterations than [`MAX_ITERATIONS`].
    pub fn read(rdata: &[u8]) -> Option<Self> {
        let [1, 0, high, low, len, salt @ ..] = rdata else { return None };
        let iterations = u16::from_be_bytes([*high, *low]);
        let fits = usize::from(*len) == salt.len() && iterations <= MAX_ITERATIONS;
        fits.then(|| Self { iterations, salt: salt.into() })
    }

    /// The first octets of the data of NSEC3 records, and all of NSEC3PARAM's; the flags are zero.
    pub fn write(&self) -> Vec<u8> {
        let [high, low] = self.iterations.to_be_bytes();
        [&[1, 0, high, low, self.salt.len() as u8], &*self.salt].concat()
    }

    /// The hash of a name (RFC 5155, 5).
    pub fn hash(&self, name: NameRef<'_>) -> [u8; HASH_LEN] {
        let mut hash = self.round(name.lowered(&mut [0; MAX_LEN]));
        for _ in 0..self.iterations {
            hash = self.round(&hash);
        }
        hash
    }

    /// The name that owns the NSEC3 record of `name`: the hash in text, below the apex.
    ///
    /// # Errors
    /// When the apex is so long that the hash does not fit in front of it.
    pub fn owner(&self, name: NameRef<'_>, apex: NameRef<'_>) -> Result<Name, NameError> {
        Name::child(BASE32_DNSSEC.encode(&self.hash(name)).as_bytes(), apex)
    }

    fn round(&self, octets: &[u8]) -> [u8; HASH_LEN] {
        let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        context.update(octets);
        context.update(&self.salt);
        let mut hash = [0; HASH_LEN];
        hash.copy_from_slice(context.finish().as_ref());
        hash
    }
}

/// The hash that the first label of an NSEC3 record's owner stands for.
pub fn hash_of_owner(owner: NameRef<'_>) -> Option<[u8; HASH_LEN]> {
    let label = owner.labels().next()?.to_ascii_lowercase();
    BASE32_DNSSEC.decode(&label).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hash_as_in_the_examples() {
        // RFC 5155, appendix A.
        let params = Nsec3Params::read(&[1, 0, 0, 12, 4, 0xaa, 0xbb, 0xcc, 0xdd]).expect("parameters");
        let apex: Name = "example".parse().expect("a name");
        for (text, hash) in [
            ("example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("A.example", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
            ("*.w.example", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
        ] {
            let name: Name = text.parse().expect("a name");
            let owner = params.owner(name.as_ref(), apex.as_ref()).expect("it fits");
            assert_eq!(owner.to_string(), format!("{hash}.example."));
            assert_eq!(hash_of_owner(owner.as_ref()), Some(params.hash(name.as_ref())));
        }
        assert_eq!(params.write()[4..], [4, 0xaa, 0xbb, 0xcc, 0xdd]);
    }

    #[test]
    fn what_is_unknown_or_too_dear_is_not_hashed() {
        for wrong in [&[2, 0, 0, 0, 0][..], &[1, 1, 0, 0, 0], &[1, 0, 0, 0, 1], &[1, 0, 0, 0], &[1, 0, 1, 0, 0]] {
            assert_eq!(Nsec3Params::read(wrong), None, "{wrong:?}");
        }
        assert_eq!(Nsec3Params::read(&[1, 0, 0, 0, 0]), Some(Nsec3Params::default()));
    }
}
