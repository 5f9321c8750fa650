//! Keys as other programs keep them.
//!
//! Read are BIND's `key` clauses, alone or among others, as `tsig-keygen` writes them; Knot's `key:` lists, as `keymgr`
//! writes them; `algorithm:name:secret`, the way `nsupdate -y` and `knsupdate -k` take it; KEY records, as `dnssec-keygen`
//! writes them for SIG(0); and a bare secret in base64. Written are the two forms that `nsupdate -k` and `knsupdate -k` read.

mod clause;
mod list;
#[cfg(test)]
mod tests;

use data_encoding::{BASE64, BASE64_NOPAD};

use super::{PublicKeyError, sig0};
use crate::name::{Name, NameError, plain};
use crate::settings::{Algorithm, Key};

/// What a file has.
#[derive(Clone, Debug)]
pub enum Found {
    /// Keys with their names, at least one.
    Keys(Vec<Key>),
    /// A secret alone: what it is called and used for is said elsewhere.
    Secret(Box<[u8]>),
}

/// Why text is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct KeyError {
    /// Counted from one.
    pub line: usize,
    /// What is wrong there.
    #[source]
    pub reason: Reason,
}

/// What is wrong with a key's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Nothing but comments, or a configuration without a key.
    #[error("there is no key")]
    NoKey,
    /// What a key must say and this one does not.
    #[error("the key has no {0}")]
    Missing(&'static str),
    /// Said twice.
    #[error("the key has a second {0}")]
    Twice(&'static str),
    /// Another algorithm than hmac-sha256, hmac-sha384 and hmac-sha512.
    #[error("`{0}` is not one of hmac-sha256, hmac-sha384 and hmac-sha512")]
    Algorithm(String),
    /// The name is none.
    #[error("`{0}` is no name for a key")]
    Name(String, #[source] NameError),
    /// The secret is not base64.
    #[error("the secret is not base64")]
    Base64,
    /// The secret has no octets.
    #[error("the secret is empty")]
    Empty,
    /// A public key that messages cannot be verified with.
    #[error("the public key is of no use")]
    Public(#[source] PublicKeyError),
    /// Something else than what belongs there.
    #[error("expected {expected}, found `{found}`")]
    Syntax {
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A brace, a string or a comment that is not closed.
    #[error("the {0} that begins here does not end")]
    Open(&'static str),
    /// The private half of a key, where the half that is shared belongs.
    #[error("this is a private key; its public half is in the file with the ending `.key`")]
    Private,
}

impl Reason {
    fn at(self, line: usize) -> KeyError {
        KeyError { line, reason: self }
    }
}

/// Reads a file in any of the forms.
///
/// # Errors
/// With the line, and what is wrong there.
pub fn read(text: &str) -> Result<Found, KeyError> {
    let mut lines = content(text);
    let Some((line, first)) = lines.next() else { return Err(Reason::NoKey.at(1)) };
    if first.starts_with("Private-key-format:") {
        return Err(Reason::Private.at(line));
    }
    if text.contains('{') {
        return clause::read(text).map(Found::Keys);
    }
    if content(text).any(|(_, line)| line == "key:") {
        return list::read(text).map(Found::Keys);
    }
    let words: Vec<&str> = first.split_whitespace().collect();
    if words.contains(&"KEY") {
        return record(&words).map(|key| Found::Keys(vec![key])).map_err(|reason| reason.at(line));
    }
    if first.contains(':') {
        return content(text)
            .map(|(line, text)| parse(text).map_err(|reason| reason.at(line)))
            .collect::<Result<_, _>>()
            .map(Found::Keys);
    }
    // A bare secret may be folded.
    let whole: String = std::iter::once(first).chain(lines.map(|(_, line)| line)).collect();
    secret(&whole).map(Found::Secret).map_err(|reason| reason.at(line))
}

/// A key in one word: `[algorithm:]name:secret`; without an algorithm it is hmac-sha256.
///
/// # Errors
/// What is wrong with it.
pub fn parse(word: &str) -> Result<Key, Reason> {
    let parts: Vec<&str> = word.split(':').collect();
    let (algorithm, name, text) = match *parts.as_slice() {
        [name, text] => ("hmac-sha256", name, text),
        [algorithm, name, text] => (algorithm, name, text),
        _ => return Err(Reason::Syntax { expected: "[algorithm:]name:secret", found: word.to_owned() }),
    };
    Ok(Key { name: self::name(name)?, algorithm: self::algorithm(algorithm)?, secret: secret(text)? })
}

/// A secret's octets from base64; spaces are left out, and the `=` at the end may be.
///
/// # Errors
/// When it is not base64, or nothing.
pub fn secret(text: &str) -> Result<Box<[u8]>, Reason> {
    let text: String = text.split_whitespace().collect();
    let octets = BASE64.decode(text.as_bytes()).or_else(|_| BASE64_NOPAD.decode(text.as_bytes()));
    match octets {
        Ok(octets) if octets.is_empty() => Err(Reason::Empty),
        Ok(octets) => Ok(octets.into()),
        Err(_) => Err(Reason::Base64),
    }
}

/// An algorithm by its name, a dot at the end allowed.
///
/// # Errors
/// When it is none that we have.
pub fn algorithm(text: &str) -> Result<Algorithm, Reason> {
    let name = text.trim_end_matches('.');
    let shared = Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != Algorithm::Sig0);
    let mut named = shared.filter(|algorithm| algorithm.name().eq_ignore_ascii_case(name));
    named.next().ok_or_else(|| Reason::Algorithm(text.to_owned()))
}

/// How long a new secret for an algorithm should be, in octets: as long as its hash (RFC 2104, 3). None for SIG(0).
pub fn secret_len(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::HmacSha256 => 32,
        Algorithm::HmacSha384 => 48,
        Algorithm::HmacSha512 => 64,
        Algorithm::Sig0 => 0,
    }
}

/// A shared key as a clause for BIND, NSD's tools and `nsupdate -k`. Nothing for a public key.
pub fn to_clause(key: &Key) -> Option<String> {
    let (algorithm, name, secret) = fields(key)?;
    Some(format!("key \"{name}\" {{\n\talgorithm {algorithm};\n\tsecret \"{secret}\";\n}};\n"))
}

/// A shared key in one line, for `knsupdate -k`, `kdig -k` and everybody's `-y`. Nothing for a public key.
pub fn to_line(key: &Key) -> Option<String> {
    let (algorithm, name, secret) = fields(key)?;
    Some(format!("{algorithm}:{name}:{secret}\n"))
}

/// Algorithm, name and secret as text, the names without the dot at the end.
fn fields(key: &Key) -> Option<(&'static str, String, String)> {
    let shared = key.algorithm != Algorithm::Sig0;
    shared.then(|| (key.algorithm.name(), plain(&key.name), BASE64.encode(&key.secret)))
}

fn name(text: &str) -> Result<Name, Reason> {
    text.parse().map_err(|error| Reason::Name(text.to_owned(), error))
}

/// A KEY record in one line of a master file: name, perhaps TTL and class, `KEY`, flags, protocol, algorithm, base64.
fn record(words: &[&str]) -> Result<Key, Reason> {
    let (owner, rest) = words.split_first().ok_or(Reason::NoKey)?;
    let at = rest.iter().position(|word| *word == "KEY").ok_or(Reason::NoKey)?;
    let syntax = |expected, found: Option<&&str>| Reason::Syntax {
        expected,
        found: found.copied().unwrap_or("the end of the line").to_owned(),
    };
    let fields = &rest[at + 1..];
    let number = |index: usize| fields.get(index).and_then(|word| word.parse::<u16>().ok());
    let small = |index: usize| number(index).and_then(|number| u8::try_from(number).ok());
    let flags = number(0).ok_or_else(|| syntax("the flags as a number", fields.first()))?;
    let protocol = small(1).ok_or_else(|| syntax("the protocol as a number", fields.get(1)))?;
    let algorithm = small(2).ok_or_else(|| syntax("the algorithm as a number", fields.get(2)))?;
    let [high, low] = flags.to_be_bytes();
    let mut data = vec![high, low, protocol, algorithm];
    data.extend_from_slice(&secret(&fields[3..].concat())?);
    sig0::check_public(&data).map_err(Reason::Public)?;
    Ok(Key { name: name(owner)?, algorithm: Algorithm::Sig0, secret: data.into() })
}

/// The lines with something on them, without comments, and their numbers from one.
fn content(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, without_comment(line).trim()));
    lines.filter(|(_, line)| !line.is_empty())
}

/// `#` and `;` begin comments: neither is a character of base64, of a name or of an algorithm.
fn without_comment(line: &str) -> &str {
    line.split(['#', ';']).next().unwrap_or_default()
}
