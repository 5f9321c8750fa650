//! `[[dns.key]]`: secrets and public keys, from the text or from key files.

use std::ops::Range;

use ::dns::name::Name;
use ::dns::settings::{Algorithm, Key};
use ::dns::sign::keys::{self as keyfile, Found};
use toml::Spanned;

use super::file::{KeyFile, SecretFile};
use crate::config::checking::Checker;
use crate::config::file::Text;
use crate::config::problem::Problem;
use crate::config::reading::nearest;

/// Every signed message looks for its key.
const MAX_KEYS: usize = 10_000;
/// RFC 8945, 10 asks for a secret as long as the digest; half of the shortest one is still far from guessing.
const MIN_SECRET: usize = 16;

/// The keys that were declared, right or not.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The names as they were written, for those who misspell them.
    written: Vec<String>,
    names: Vec<Name>,
    right: Vec<Option<Key>>,
}

impl Keys {
    /// Whether a key of this name is declared; it may be wrong, which has been said then.
    pub fn knows(&self, name: &Name) -> bool {
        self.names.contains(name)
    }

    /// The key of this name, if it is declared and right.
    pub fn get(&self, name: &Name) -> Option<Key> {
        self.right.iter().flatten().find(|key| key.name == *name).cloned()
    }

    /// The declared name that is most like `word`.
    pub fn nearest(&self, word: &str) -> Option<&str> {
        let written: Vec<&str> = self.written.iter().map(String::as_str).collect();
        nearest(word, &written)
    }

    /// All of them, if all are right.
    pub fn whole(self) -> Option<Vec<Key>> {
        self.right.into_iter().collect()
    }
}

impl Checker<'_> {
    pub(super) fn keys(&mut self, tables: &[Spanned<KeyFile>]) -> Keys {
        let mut keys = Keys::default();
        for table in tables.iter().take(MAX_KEYS) {
            let KeyFile { name, .. } = table.get_ref();
            let parsed = match name {
                Some(name) => self.dns_name(name),
                None => self.missing("dns.key", table.span(), "name = \"k1\""),
            };
            if let (Some(name), Some(parsed)) = (name, &parsed) {
                if keys.knows(parsed) {
                    self.findings.add(Problem::new(name.span(), "two keys have this name", "the second one"));
                }
                keys.written.push(name.get_ref().clone());
                keys.names.push(parsed.clone());
            }
            let key = self.key_of(table.get_ref(), table.span(), parsed);
            keys.right.push(key);
        }
        if let Some(table) = tables.get(MAX_KEYS) {
            self.findings.add(Problem::new(table.span(), format!("at most {MAX_KEYS} keys"), "one too many"));
        }
        keys
    }

    fn key_of(&mut self, table: &KeyFile, span: Range<usize>, name: Option<Name>) -> Option<Key> {
        let algorithm = match &table.algorithm {
            Some(word) if ["hmac-md5", "hmac-sha1"].contains(&word.get_ref().to_ascii_lowercase().as_str()) => {
                let problem = Problem::new(word.span(), format!("`{}` is too weak", word.get_ref()), "not accepted");
                self.findings.add(problem.help("use hmac-sha256; `gatehouse dns key new` makes a key"));
                None
            }
            word => self.choice(word.as_ref(), &Algorithm::ALL.map(|algorithm| (algorithm.name(), algorithm))),
        };
        let Some(secret) = &table.secret else {
            return self.missing("dns.key", span, "secret = { base64 = \"…\" } or { file = \"k1.key\" }");
        };
        match secret.get_ref() {
            SecretFile { base64: Some(text), file: None } => {
                let octets = self.secret(text)?;
                match algorithm? {
                    Algorithm::Sig0 => {
                        let problem = Problem::new(text.span(), "a public key comes from its file", "not a file");
                        self.findings.add(problem.help("secret = { file = \"Kname.+013+12345.key\" }"));
                        None
                    }
                    algorithm => self.long_enough(text, Key { name: name?, algorithm, secret: octets }),
                }
            }
            SecretFile { base64: None, file: Some(file) } => {
                let given = table.algorithm.as_ref().map_or(Some(None), |_| algorithm.map(Some))?;
                self.key_file(file, &name?, given)
            }
            SecretFile { base64: None, file: None } => {
                self.missing("dns.key.secret", secret.span(), "base64 = \"…\" or file = \"k1.key\"")
            }
            SecretFile { base64: Some(_), file: Some(file) } => {
                self.wrong(file.span(), "a secret is either here or in a file", "both are here")
            }
        }
    }

    fn secret(&mut self, text: &Text) -> Option<Box<[u8]>> {
        match keyfile::secret(text.get_ref()) {
            Ok(secret) => Some(secret),
            Err(error) => {
                let problem = Problem::new(text.span(), error.to_string(), "not a secret");
                self.findings.add(problem.help("`gatehouse dns key new` makes one"));
                None
            }
        }
    }

    /// The key of this name in a file, or the secret that is all the file has. `given` is the algorithm, if one is.
    fn key_file(&mut self, file: &Text, name: &Name, given: Option<Algorithm>) -> Option<Key> {
        let path = self.path(file)?;
        let text = match (self.surroundings.read)(&path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read the key file {}: {error}", path.display());
                return self.wrong(file.span(), message, "this file");
            }
        };
        let found = match keyfile::read(&text) {
            Ok(found) => found,
            Err(error) => {
                let reason = &error.reason;
                return self.wrong(file.span(), format!("{}:{}: {reason}", path.display(), error.line), "this file");
            }
        };
        let key = match found {
            Found::Secret(_) if given == Some(Algorithm::Sig0) => {
                return self.wrong(file.span(), "this is a secret and no public key", "this file");
            }
            Found::Secret(secret) => {
                Key { name: name.clone(), algorithm: given.unwrap_or(Algorithm::HmacSha256), secret }
            }
            Found::Keys(keys) => match keys.iter().find(|key| key.name == *name) {
                Some(key) => key.clone(),
                None => {
                    let names: Vec<String> = keys.iter().map(|key| key.name.to_string()).collect();
                    let problem = Problem::new(file.span(), format!("the file has no key `{name}`"), "this file");
                    self.findings.add(problem.help(format!("it has {}", names.join(", "))));
                    return None;
                }
            },
        };
        if given.is_some_and(|given| given != key.algorithm) {
            let message = "the key in the file is for another algorithm".to_owned();
            let problem = Problem::new(file.span(), message, "this file");
            self.findings.add(problem.help("without `algorithm`, the file's counts"));
            return None;
        }
        self.long_enough(file, key)
    }

    fn long_enough(&mut self, place: &Text, key: Key) -> Option<Key> {
        if key.secret.len() >= MIN_SECRET {
            return Some(key);
        }
        let message = format!("a secret has at least {MIN_SECRET} octets");
        let problem = Problem::new(place.span(), message, format!("has {}", key.secret.len()));
        self.findings.add(problem.help("`gatehouse dns key new` makes one that is long enough"));
        None
    }
}
