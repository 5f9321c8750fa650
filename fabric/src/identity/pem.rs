//! Keys and certificates as text (RFC 7468).
//!
//! Reading is strict where it matters: what is between the lines of a block is base 64 and nothing else.

use data_encoding::BASE64;
use zeroize::Zeroizing;

/// The longest text that is read, in octets: more than any that is written.
pub const MAX_PEM: usize = 128 * 1024;
/// Letters on a line (RFC 7468, section 2).
const LINE: usize = 64;

/// Not a text with blocks of PEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not PEM")]
pub struct PemError;

/// One block.
pub struct Block {
    /// What it says it is.
    pub label: String,
    /// What is in it; wiped when dropped, as it may be a key.
    pub content: Zeroizing<Vec<u8>>,
}

/// One block as text.
pub fn write(label: &str, content: &[u8]) -> String {
    let body = Zeroizing::new(BASE64.encode(content));
    // Its whole length at once, so that no copy of it stays behind.
    let mut text = String::with_capacity(body.len() + body.len() / LINE + 2 * label.len() + 40);
    text.extend(["-----BEGIN ", label, "-----\n"]);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(LINE));
        text.extend([line, "\n"]);
        rest = next;
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

/// The blocks of a text, in order; lines between blocks are comments.
///
/// # Errors
/// When a block is damaged, or the text is longer than [`MAX_PEM`].
pub fn read(text: &str) -> Result<Vec<Block>, PemError> {
    if text.len() > MAX_PEM {
        return Err(PemError);
    }
    let (mut blocks, mut lines) = (Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        let Some(label) = line.trim_end().strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"))
        else {
            continue;
        };
        let end = format!("-----END {label}-----");
        let mut body = Zeroizing::new(String::with_capacity(text.len()));
        loop {
            match lines.next().map(str::trim_end) {
                Some(line) if line == end => break,
                Some(line) => body.push_str(line),
                None => return Err(PemError),
            }
        }
        let content = Zeroizing::new(BASE64.decode(body.as_bytes()).map_err(|_| PemError)?);
        blocks.push(Block { label: label.to_owned(), content });
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 47, 48, 49, 500] {
            let content: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let text = format!("a comment\n{}and one\n{}", write("A", &content), write("B C", b"x"));
            let blocks = read(&text).unwrap();
            assert_eq!(blocks.len(), 2);
            assert_eq!((blocks[0].label.as_str(), &*blocks[0].content), ("A", &content));
            assert_eq!((blocks[1].label.as_str(), blocks[1].content.as_slice()), ("B C", b"x".as_slice()));
        }
        assert!(write("A", &[0; 100]).lines().all(|line| line.len() <= LINE));
    }

    #[test]
    fn damage_is_noticed() {
        let text = write("A", &[0; 100]);
        for wrong in [
            text.replace("END A", "END B"),
            text.replace("AAAA\n", "AA A\n"),
            text[..text.len() - 5].to_owned(),
            " ".repeat(MAX_PEM + 1),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
        assert!(read("nothing").unwrap().is_empty());
    }
}
