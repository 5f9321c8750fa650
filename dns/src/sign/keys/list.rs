//! The `key:` list of Knot's configuration, wherever in it that stands.

use super::{KeyError, Reason, algorithm, name, secret, without_comment};
use crate::name::Name;
use crate::settings::{Algorithm, Key};

/// All keys of a configuration; other sections are passed over.
pub(super) fn read(text: &str) -> Result<Vec<Key>, KeyError> {
    let (mut keys, mut draft, mut is_inside) = (Vec::new(), None::<Draft>, false);
    for (index, raw) in text.lines().enumerate() {
        let (number, line) = (index + 1, without_comment(raw).trim_end());
        if line.is_empty() {
            continue;
        }
        if !line.starts_with([' ', '\t', '-']) {
            is_inside = line == "key:";
            continue;
        }
        if !is_inside {
            continue;
        }
        let line = line.trim_start();
        let item = match line.strip_prefix('-') {
            Some(first) => {
                keys.extend(draft.replace(Draft::new(number)).map(Draft::finish).transpose()?);
                first.trim_start()
            }
            None => line,
        };
        let Some(draft) = &mut draft else {
            return Err(Reason::Syntax { expected: "`- id:`", found: line.to_owned() }.at(number));
        };
        draft.take(item).map_err(|reason| reason.at(number))?;
    }
    keys.extend(draft.map(Draft::finish).transpose()?);
    if keys.is_empty() { Err(Reason::NoKey.at(1)) } else { Ok(keys) }
}

/// A key being read.
struct Draft {
    line: usize,
    id: Option<Name>,
    algorithm: Option<Algorithm>,
    secret: Option<Box<[u8]>>,
}

impl Draft {
    fn new(line: usize) -> Self {
        Self { line, id: None, algorithm: None, secret: None }
    }

    fn take(&mut self, item: &str) -> Result<(), Reason> {
        let Some((field, value)) = item.split_once(':') else {
            return Err(Reason::Syntax { expected: "a field and a value", found: item.to_owned() });
        };
        let value = value.trim().trim_matches(['"', '\'']);
        let (field, is_second) = match field.trim_end() {
            "id" => ("id", self.id.replace(name(value)?).is_some()),
            "algorithm" => ("algorithm", self.algorithm.replace(algorithm(value)?).is_some()),
            "secret" => ("secret", self.secret.replace(secret(value)?).is_some()),
            other => {
                return Err(Reason::Syntax { expected: "`id`, `algorithm` or `secret`", found: other.to_owned() });
            }
        };
        if is_second { Err(Reason::Twice(field)) } else { Ok(()) }
    }

    fn finish(self) -> Result<Key, KeyError> {
        let missing = |field| Reason::Missing(field).at(self.line);
        Ok(Key {
            name: self.id.ok_or_else(|| missing("id"))?,
            algorithm: self.algorithm.ok_or_else(|| missing("algorithm"))?,
            secret: self.secret.ok_or_else(|| missing("secret"))?,
        })
    }
}
