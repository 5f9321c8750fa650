//! The shapes of the file, section by section, before anything is checked.
//!
//! Every value keeps its place in the text. Everything is optional here: what is missing is said by `checking`, which
//! knows why it is needed. The field lists are the single source of the keys: [`Section::keys`] reads them.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _, Visitor};
use toml::Spanned;

use super::dns::file::{self as dns, DnsFile};

/// A text and its place.
pub(super) type Text = Spanned<String>;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct File {
    pub name: Option<Text>,
    pub state: Option<Text>,
    pub control: Option<Text>,
    pub lan: Option<Spanned<LanFile>>,
    pub dmz: Option<Spanned<DmzFile>>,
    pub check: Vec<Spanned<CheckFile>>,
    pub record: Option<Spanned<RecordFile>>,
    pub dns: Option<Spanned<DnsFile>>,
}

/// `[lan]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "the table [lan]")]
pub(super) struct LanFile {
    pub interface: Option<Text>,
    pub group: Option<Text>,
    pub group_v6: Option<Text>,
    pub profile: Option<Text>,
    pub beacon: Option<Text>,
    pub lease: Option<Text>,
    pub suspect: Option<Text>,
    pub question: Option<Text>,
    pub takeover: Option<Text>,
    pub role: Option<Text>,
    pub priority: Option<Spanned<i64>>,
    pub prefer: Option<Text>,
    pub prefer_delay: Option<Text>,
    pub peers: Option<Spanned<Vec<Text>>>,
    pub broadcast: Option<Spanned<bool>>,
    pub key: Option<Spanned<KeyFile>>,
}

/// `lan.key`
#[derive(Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    rename_all = "kebab-case",
    expecting = "{ passphrase = \"…\" } or { file = \"…\" }"
)]
pub(super) struct KeyFile {
    pub passphrase: Option<Text>,
    pub file: Option<Text>,
}

/// `[dmz]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "the table [dmz]")]
pub(super) struct DmzFile {
    pub address: Option<Spanned<Vec<Text>>>,
    pub mac: Option<Text>,
    pub mode: Option<Text>,
}

/// `[[check]]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "a table [[check]]")]
pub(super) struct CheckFile {
    pub name: Option<Text>,
    pub kind: Option<Text>,
    pub address: Option<Text>,
    pub url: Option<Text>,
    pub host: Option<Text>,
    pub expect: Option<Spanned<Vec<Spanned<i64>>>>,
    pub server: Option<Text>,
    pub query: Option<Text>,
    pub command: Option<Spanned<Vec<Text>>>,
    pub interval: Option<Text>,
    pub timeout: Option<Text>,
    pub rise: Option<Spanned<i64>>,
    pub fall: Option<Spanned<i64>>,
    pub weight: Option<Spanned<i64>>,
    pub veto: Option<Spanned<bool>>,
}

/// `[record]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "the table [record]")]
pub(super) struct RecordFile {
    pub file: Option<Text>,
}

/// One section of the file and the keys it knows.
pub(super) struct Section {
    /// Its dotted path; empty for the top of the file.
    pub path: &'static str,
    /// As people write it.
    pub title: &'static str,
    /// Its keys.
    pub keys: &'static [&'static str],
}

/// Every section.
pub(super) fn sections() -> Vec<Section> {
    let site = [
        Section { path: "", title: "the top of the file", keys: keys_of::<File>() },
        Section { path: "lan", title: "[lan]", keys: keys_of::<LanFile>() },
        Section { path: "lan.key", title: "lan.key", keys: keys_of::<KeyFile>() },
        Section { path: "dmz", title: "[dmz]", keys: keys_of::<DmzFile>() },
        Section { path: "check", title: "[[check]]", keys: keys_of::<CheckFile>() },
        Section { path: "record", title: "[record]", keys: keys_of::<RecordFile>() },
    ];
    site.into_iter().chain(dns::sections()).collect()
}

/// The field names that `T` asks a deserializer for.
pub(super) fn keys_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut keys: &'static [&'static str] = &[];
    // The asker always fails once it has seen the names.
    let _ = T::deserialize(Asker(&mut keys));
    keys
}

struct Asker<'a>(&'a mut &'static [&'static str]);

impl<'de> serde::Deserializer<'de> for Asker<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(Self::Error::custom("only the names were wanted"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("not a struct"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
