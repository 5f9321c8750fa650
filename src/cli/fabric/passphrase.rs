//! A passphrase: from the terminal, unseen, or from a file. Never from an argument.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use zeroize::Zeroizing;

/// The longest passphrase, in octets; a longer file is some other file.
const MAX: usize = 1024;
/// The shortest new one, in characters; Argon2 makes each attempt dear, and words from a dictionary are not enough.
const MIN: usize = 12;
/// What Ctrl-C, Ctrl-D, Ctrl-U and backspace send when nobody else takes them.
const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const CTRL_U: u8 = 21;
const BACKSPACE: [u8; 2] = [8, 127];

/// The passphrase of a key that is there.
pub fn known(file: Option<&Path>) -> anyhow::Result<Zeroizing<String>> {
    match file {
        Some(path) => from_file(path),
        None => Terminal::open()?.ask("passphrase of the fabric's key: "),
    }
}

/// A new passphrase, asked for twice.
pub fn new(file: Option<&Path>) -> anyhow::Result<Zeroizing<String>> {
    let new = match file {
        Some(path) => from_file(path)?,
        None => {
            let mut terminal = Terminal::open()?;
            let first = terminal.ask("new passphrase for the fabric's key: ")?;
            check(&first)?;
            let second = terminal.ask("the same once more: ")?;
            if first != second {
                bail!("the two differ; nothing was made");
            }
            first
        }
    };
    check(&new).map(|()| new)
}

fn check(new: &str) -> anyhow::Result<()> {
    if new.chars().count() < MIN {
        bail!("a passphrase has at least {MIN} characters: a few words that do not belong together are easy to keep");
    }
    Ok(())
}

fn from_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let read = |source: &mut dyn Read| {
        let mut text = Zeroizing::new(String::with_capacity(MAX + 1));
        source.take(MAX as u64 + 1).read_to_string(&mut text).map(|_| text)
    };
    let text = if path == Path::new("-") {
        read(&mut io::stdin().lock()).context("cannot read a passphrase from standard input")?
    } else {
        let mut file = fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        read(&mut file).with_context(|| format!("cannot read {}", path.display()))?
    };
    let line = text.lines().next().unwrap_or_default();
    if text.len() > MAX || line.is_empty() {
        bail!("{} holds no passphrase in its first line", path.display());
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// The terminal, which shows nothing of what is typed until it is dropped.
struct Terminal {
    device: fs::File,
    before: Termios,
}

impl Terminal {
    fn open() -> anyhow::Result<Terminal> {
        let device = fs::File::options().read(true).write(true).open("/dev/tty");
        let device = device.context("there is no terminal to ask for a passphrase; give --passphrase-file")?;
        let before = termios::tcgetattr(&device).context("cannot ask the terminal")?;
        let mut quiet = before.clone();
        // Keys that would end the program come as they are, so that the terminal is never left like this.
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        termios::tcsetattr(&device, OptionalActions::Flush, &quiet).context("cannot ask the terminal")?;
        Ok(Terminal { device, before })
    }

    fn ask(&mut self, question: &str) -> anyhow::Result<Zeroizing<String>> {
        self.device.write_all(question.as_bytes())?;
        let mut typed = Zeroizing::new(Vec::with_capacity(MAX));
        loop {
            let mut key = [0];
            let read = self.device.read(&mut key).context("cannot read from the terminal")?;
            match key {
                _ if read == 0 => bail!("the terminal is gone; nothing was done"),
                [CTRL_C | CTRL_D] => {
                    self.device.write_all(b"\n")?;
                    bail!("given up; nothing was done");
                }
                [b'\n' | b'\r'] => break,
                [CTRL_U] => typed.clear(),
                [key] if BACKSPACE.contains(&key) => while typed.pop().is_some_and(|octet| octet & 0xC0 == 0x80) {},
                [key] if typed.len() < MAX => typed.push(key),
                _ => {}
            }
        }
        self.device.write_all(b"\n")?;
        let text = std::str::from_utf8(&typed).context("a passphrase is UTF-8")?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(&self.device, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_file_counts() {
        let path = std::env::temp_dir().join(format!("gatehouse-passphrase-{}", std::process::id()));
        for (content, read) in [("a long enough one\n", true), ("a long enough one\r\nmore", true), ("\nx", false)] {
            fs::write(&path, content).unwrap();
            let got = from_file(&path).ok();
            assert_eq!(got.as_ref().map(|text| text.as_str()), read.then_some("a long enough one"), "{content:?}");
        }
        fs::write(&path, "x".repeat(MAX + 1)).unwrap();
        assert!(from_file(&path).is_err());
        fs::write(&path, "too short").unwrap();
        assert!(new(Some(&path)).is_err() && known(Some(&path)).is_ok());
        fs::remove_file(path).unwrap();
    }
}
