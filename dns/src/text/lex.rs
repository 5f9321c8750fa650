//! A master file cut into entries and fields (RFC 1035, 5.1).
//!
//! An entry is a line, or several in parentheses. Comments and blank lines are left out; escapes stay as they are written,
//! for only the reader of a field knows what they mean there. A fault ends its entry, and the next line is read as if
//! nothing had happened.

use super::Why;

/// Fields an entry has at most: more than the longest RDATA can be written in.
const MAX_FIELDS: usize = 1 << 17;

/// One field of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    /// As it is written, the quotes around it left out.
    pub text: &'a [u8],
    /// Where it begins: an offset into the file.
    pub at: usize,
    /// Whether it stood in quotes, and is not a special word therefore.
    pub quoted: bool,
}

/// What was found beside the fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Whether it begins with a blank: the owner is that of the record before.
    pub blank: bool,
    /// The offset that it begins at.
    pub start: usize,
    /// The line of that, counted from one.
    pub line: u32,
    /// The offset that it ends at.
    pub end: usize,
}

/// Something wrong, and the offset of it.
#[derive(Debug)]
pub(super) struct Problem {
    pub at: usize,
    pub why: Why,
}

pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text), at: 0, line: 1 }
    }

    /// The text that offsets are into.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The next entry that has a field, its fields put into `fields`; nothing at the end. After a problem the entry
    /// begins where the problem's did.
    pub fn next(&mut self, fields: &mut Vec<Field<'a>>) -> Option<(Entry, Result<(), Problem>)> {
        while self.at < self.text.len() {
            let mut entry =
                Entry { blank: matches!(self.text[self.at], b' ' | b'\t'), start: self.at, line: self.line, end: 0 };
            fields.clear();
            let result = self.entry(fields);
            if result.is_err() {
                self.skip_line();
            }
            entry.end = self.at;
            if result.is_err() || !fields.is_empty() {
                return Some((entry, result));
            }
        }
        None
    }

    fn entry(&mut self, fields: &mut Vec<Field<'a>>) -> Result<(), Problem> {
        let mut opened: Vec<usize> = Vec::new();
        while let Some(&octet) = self.text.get(self.at) {
            match octet {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b';' => self.at = self.line_end(),
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    if opened.is_empty() {
                        return Ok(());
                    }
                }
                // Nested ones mean nothing more, and are bounded like fields.
                b'(' if opened.len() < MAX_FIELDS => {
                    opened.push(self.at);
                    self.at += 1;
                }
                b')' => {
                    opened.pop().ok_or(Problem { at: self.at, why: Why::Close })?;
                    self.at += 1;
                }
                _ if fields.len() == MAX_FIELDS => return Err(Problem { at: self.at, why: Why::ManyFields }),
                b'"' => fields.push(self.quoted()?),
                _ => fields.push(self.bare()?),
            }
        }
        match opened.first() {
            Some(&at) => Err(Problem { at, why: Why::Open }),
            None => Ok(()),
        }
    }

    fn quoted(&mut self) -> Result<Field<'a>, Problem> {
        let at = self.at;
        let end = self.quote_end(at)?;
        self.at = end + 1;
        Ok(Field { text: &self.text[at + 1..end], at, quoted: true })
    }

    fn bare(&mut self) -> Result<Field<'a>, Problem> {
        let at = self.at;
        let mut end = at;
        while let Some(&octet) = self.text.get(end) {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' => break,
                // The value of a parameter of SVCB is part of its field.
                b'"' if self.text[end - 1] == b'=' => end = self.quote_end(end)? + 1,
                b'"' => break,
                b'\\' if !matches!(self.text.get(end + 1), None | Some(b'\n')) => end += 2,
                _ => end += 1,
            }
        }
        // An opening parenthesis beyond the limit begins no field of its own.
        self.at = end.max(at + 1);
        Ok(Field { text: &self.text[at..self.at], at, quoted: false })
    }

    /// Where the quote that begins at `at` is closed.
    fn quote_end(&self, at: usize) -> Result<usize, Problem> {
        let mut end = at + 1;
        loop {
            match self.text.get(end) {
                Some(b'"') => return Ok(end),
                Some(b'\\') if !matches!(self.text.get(end + 1), None | Some(b'\n')) => end += 2,
                Some(b'\n') | None => return Err(Problem { at, why: Why::Quote }),
                Some(_) => end += 1,
            }
        }
    }

    fn line_end(&self) -> usize {
        let rest = &self.text[self.at..];
        self.at + rest.iter().position(|octet| *octet == b'\n').unwrap_or(rest.len())
    }

    fn skip_line(&mut self) {
        self.at = self.line_end();
        if self.at < self.text.len() {
            self.at += 1;
            self.line += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let (mut lexer, mut fields, mut seen) = (Lexer::new(text.as_bytes()), Vec::new(), Vec::new());
        while let Some((entry, result)) = lexer.next(&mut fields) {
            let words: Vec<_> = fields.iter().map(|field| String::from_utf8_lossy(field.text)).collect();
            let blank = if entry.blank { "_ " } else { "" };
            seen.push(match result {
                Ok(()) => format!("{}: {blank}{}", entry.line, words.join("|")),
                Err(problem) => format!("{}: {} at {}", entry.line, problem.why, problem.at),
            });
        }
        seen
    }

    #[test]
    fn entries_are_lines_or_parentheses() {
        let text = "a 1 ; no (\n\n  \n b\t( c ; \")\n ( d ) )e\r\n\"x \\\" ;y\"\"z\" k=\"v w\"\\ u\nlast";
        assert_eq!(all(text), ["1: a|1", "4: _ b|c|d|e", "6: x \\\" ;y|z|k=\"v w\"\\ u", "7: last"]);
    }

    #[test]
    fn a_fault_ends_its_entry_only() {
        for (text, seen) in [
            ("a \"b\nc", vec!["1: a quote is not closed on its line at 2", "2: c"]),
            ("a )\nc", vec!["1: this parenthesis was not opened at 2", "2: c"]),
            ("a\nb (\nc", vec!["1: a", "2: this parenthesis is not closed at 4"]),
            ("a \\", vec!["1: a|\\"]),
        ] {
            assert_eq!(all(text), seen, "{text}");
        }
    }
}
