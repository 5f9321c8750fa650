//! `key "name" { algorithm …; secret "…"; };` in BIND's syntax, wherever in a configuration it stands.

use std::str::CharIndices;

use super::{KeyError, Reason, algorithm, name, secret};
use crate::settings::Key;

/// All keys of a configuration; other clauses are passed over.
pub(super) fn read(text: &str) -> Result<Vec<Key>, KeyError> {
    let tokens = tokens(text)?;
    let mut keys = Vec::new();
    let mut open = Vec::new();
    let mut rest = tokens.as_slice();
    while let [token, tail @ ..] = rest {
        rest = tail;
        match (&token.what, tail) {
            (What::Open, _) => open.push(token.line),
            (What::Close, _) => drop(open.pop().ok_or_else(|| token.unexpected("a clause"))?),
            (What::Word("key"), [called, brace, body @ ..]) if brace.what == What::Open => {
                let (key, after) = clause(called, body, token.line)?;
                keys.push(key);
                rest = after;
            }
            _ => {}
        }
    }
    match open.pop() {
        Some(line) => Err(Reason::Open("brace").at(line)),
        None if keys.is_empty() => Err(Reason::NoKey.at(1)),
        None => Ok(keys),
    }
}

/// What is between the braces of a key, and what follows them.
fn clause<'t, 'a>(called: &Token<'a>, body: &'t [Token<'a>], line: usize) -> Result<(Key, &'t [Token<'a>]), KeyError> {
    let name = name(called.text().ok_or_else(|| called.unexpected("the name of the key"))?);
    let name = name.map_err(|reason| reason.at(called.line))?;
    let (mut kind, mut octets) = (None, None);
    let mut rest = body;
    loop {
        rest = match rest {
            [Token { what: What::Close, .. }, tail @ ..] => {
                let algorithm = kind.ok_or_else(|| Reason::Missing("algorithm").at(line))?;
                let secret = octets.ok_or_else(|| Reason::Missing("secret").at(line))?;
                return Ok((Key { name, algorithm, secret }, tail));
            }
            [what, value, end, tail @ ..] => {
                let text = value.text().ok_or_else(|| value.unexpected("a value"))?;
                let at = |reason: Reason| reason.at(value.line);
                let is_second = match what.what {
                    What::Word("algorithm") => kind.replace(algorithm(text).map_err(at)?).is_some(),
                    What::Word("secret") => octets.replace(secret(text).map_err(at)?).is_some(),
                    _ => return Err(what.unexpected("`algorithm` or `secret`")),
                };
                if is_second {
                    let what = if what.what == What::Word("secret") { "secret" } else { "algorithm" };
                    return Err(Reason::Twice(what).at(value.line));
                }
                if end.what != What::End {
                    return Err(end.unexpected("`;`"));
                }
                tail
            }
            _ => return Err(Reason::Open("brace").at(line)),
        };
    }
}

struct Token<'a> {
    what: What<'a>,
    line: usize,
}

#[derive(PartialEq, Eq)]
enum What<'a> {
    Open,
    Close,
    End,
    Word(&'a str),
    Quoted(&'a str),
}

impl<'a> Token<'a> {
    fn text(&self) -> Option<&'a str> {
        match self.what {
            What::Word(text) | What::Quoted(text) => Some(text),
            What::Open | What::Close | What::End => None,
        }
    }

    fn unexpected(&self, expected: &'static str) -> KeyError {
        let found = match self.what {
            What::Open => "{",
            What::Close => "}",
            What::End => ";",
            What::Word(text) | What::Quoted(text) => text,
        };
        Reason::Syntax { expected, found: found.to_owned() }.at(self.line)
    }
}

/// The words and signs of a configuration, without its comments.
fn tokens(text: &str) -> Result<Vec<Token<'_>>, KeyError> {
    let mut tokens = Vec::new();
    let (mut letters, mut line) = (text.char_indices(), 1);
    while let Some((at, letter)) = letters.next() {
        let rest = &text[at..];
        let what = match letter {
            '\n' => {
                line += 1;
                continue;
            }
            _ if letter.is_whitespace() => continue,
            '{' => What::Open,
            '}' => What::Close,
            ';' => What::End,
            '"' => {
                let (quoted, _) = rest[1..].split_once('"').ok_or_else(|| Reason::Open("string").at(line))?;
                skip(&mut letters, &text[at + 1..at + quoted.len() + 2], &mut line);
                What::Quoted(quoted)
            }
            '/' if rest.starts_with("/*") => {
                let (comment, _) = rest.split_once("*/").ok_or_else(|| Reason::Open("comment").at(line))?;
                skip(&mut letters, &text[at + 1..at + comment.len() + 2], &mut line);
                continue;
            }
            '#' => {
                skip(&mut letters, &rest[1..rest.find('\n').unwrap_or(rest.len())], &mut line);
                continue;
            }
            '/' if rest.starts_with("//") => {
                skip(&mut letters, &rest[1..rest.find('\n').unwrap_or(rest.len())], &mut line);
                continue;
            }
            _ => {
                let is_end = |letter: char| letter.is_whitespace() || matches!(letter, '{' | '}' | ';' | '"' | '#');
                let word = &rest[..rest.find(is_end).unwrap_or(rest.len())];
                skip(&mut letters, &word[letter.len_utf8()..], &mut line);
                What::Word(word)
            }
        };
        tokens.push(Token { what, line });
    }
    Ok(tokens)
}

/// Passes over text that was taken at once.
fn skip(letters: &mut CharIndices<'_>, taken: &str, line: &mut usize) {
    for letter in taken.chars() {
        letters.next();
        *line += usize::from(letter == '\n');
    }
}
