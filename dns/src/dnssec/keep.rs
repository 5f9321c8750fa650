//! Keys as text, for a file that only the server reads.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::{KeyError, KeySet, Role, Stage, ZoneKey};
use crate::settings::{Dnssec, SigningAlgorithm};

/// The form of the text; another one is refused.
const FORMAT: u32 = 1;

/// Text that is no set of keys.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// Not what was written.
    #[error("the keys cannot be read")]
    Text(#[from] serde_json::Error),
    /// Written by another version.
    #[error("the keys are kept in form {0}, which this version does not know")]
    Format(u32),
    /// A secret that is not base64.
    #[error("the secret of key {0} is not base64")]
    Secret(usize, #[source] data_encoding::DecodeError),
    /// A secret that is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: u32,
    keys: Vec<KeptKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptKey {
    role: Role,
    algorithm: SigningAlgorithm,
    state: Stage,
    /// PKCS#8 in base64.
    secret: zeroize::Zeroizing<String>,
}

impl KeySet {
    /// The keys with their secrets, as JSON.
    ///
    /// # Errors
    /// Never, as far as is known; the serialiser could.
    pub fn to_text(&self) -> Result<zeroize::Zeroizing<String>, KeepError> {
        let kept = |key: &ZoneKey| KeptKey {
            role: key.role(),
            algorithm: key.algorithm(),
            state: key.stage(),
            secret: BASE64.encode(key.secret()).into(),
        };
        let kept = Kept { format: FORMAT, keys: self.iter().map(kept).collect() };
        Ok(serde_json::to_string_pretty(&kept)?.into())
    }

    /// The keys that were kept.
    ///
    /// # Errors
    /// When the text is not what [`KeySet::to_text`] writes.
    pub fn from_text(settings: &Dnssec, text: &str) -> Result<Self, KeepError> {
        let kept: Kept = serde_json::from_str(text)?;
        if kept.format != FORMAT {
            return Err(KeepError::Format(kept.format));
        }
        let key = |(at, key): (usize, &KeptKey)| {
            let secret = BASE64.decode(key.secret.as_bytes()).map_err(|error| KeepError::Secret(at + 1, error))?;
            Ok(ZoneKey::new(key.role, key.algorithm, secret, key.state)?)
        };
        let keys: Result<Vec<ZoneKey>, KeepError> = kept.keys.iter().enumerate().map(key).collect();
        Ok(Self::new(settings, keys?))
    }
}
