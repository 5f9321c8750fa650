//! Recording what the election was told, and replaying it.
//!
//! A record is a text file: a first line with the machine's start, then a line for each step with its input and its
//! effects. A thread of its own writes it; the driver never waits for the disk.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::election::{Effect, Input, Machine, Note, Settings};
use crate::units::{Term, Time};

/// Steps that may wait for the disk; more are dropped and counted.
const QUEUE: usize = 4_096;
/// A record ends at this size: it is a tool for finding faults, not a log.
const MAX_BYTES: u64 = 256 << 20;
/// A record is written out at least this often.
const FLUSH: Duration = Duration::from_millis(500);

#[derive(Serialize, Deserialize)]
enum Line {
    Start { settings: Box<Settings>, term: Term, seed: u64 },
    Step { at: Time, input: Box<Input>, effects: Vec<Effect> },
}

/// Takes steps from the driver.
#[derive(Debug)]
pub(super) struct Recorder(Option<SyncSender<Line>>);

impl Recorder {
    pub(super) fn none() -> Recorder {
        Recorder(None)
    }

    pub(super) fn start(path: &Path, settings: &Settings, term: Term, seed: u64) -> io::Result<Recorder> {
        let file = File::create(path)?;
        let (sender, lines) = sync_channel(QUEUE);
        let start = Line::Start { settings: Box::new(settings.clone()), term, seed };
        std::thread::Builder::new().name("record".into()).spawn(move || {
            if let Err(error) = write_lines(file, &start, &lines) {
                tracing::warn!(%error, "recording ended");
            }
        })?;
        Ok(Recorder(Some(sender)))
    }

    /// False: the step was dropped.
    pub(super) fn step(&mut self, at: Time, input: &Input, effects: &[Effect]) -> bool {
        let Some(sender) = &self.0 else { return true };
        let line = Line::Step { at, input: Box::new(input.clone()), effects: effects.to_vec() };
        match sender.try_send(line) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => false,
            Err(TrySendError::Disconnected(_)) => {
                self.0 = None;
                false
            }
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }
}

fn write_lines(file: File, start: &Line, lines: &std::sync::mpsc::Receiver<Line>) -> io::Result<()> {
    use std::sync::mpsc::RecvTimeoutError;
    let mut out = BufWriter::new(file);
    let mut written = 0;
    let mut put = |out: &mut BufWriter<File>, line: &Line| -> io::Result<bool> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        written += text.len() as u64;
        out.write_all(&text)?;
        Ok(written < MAX_BYTES)
    };
    put(&mut out, start)?;
    loop {
        match lines.recv_timeout(FLUSH) {
            Ok(line) => {
                if !put(&mut out, &line)? {
                    out.flush()?;
                    return Err(io::Error::other("the record has reached its limit of 256 MiB"));
                }
            }
            Err(RecvTimeoutError::Timeout) => out.flush()?,
            Err(RecvTimeoutError::Disconnected) => return out.flush(),
        }
    }
}

/// Why a record cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not what a record holds.
    #[error("{path}, line {line}: not a record of this version: {source}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The first line is missing.
    #[error("{path}: empty, or cut off at the start")]
    NoStart {
        /// Which file.
        path: PathBuf,
    },
}

/// What a replay found.
#[derive(Debug, Default, Serialize)]
pub struct Replayed {
    /// How many steps the record holds.
    pub steps: usize,
    /// The changes, with their times since boot.
    pub notes: Vec<(Time, Note)>,
    /// Steps where this version decides otherwise than the recorded one: line number, recorded effects, ours.
    pub differences: Vec<(usize, Vec<Effect>, Vec<Effect>)>,
    /// The state at the end.
    pub end: Option<crate::election::State>,
}

/// Steps a fresh machine through the record at `path`.
///
/// # Errors
/// When the file cannot be read or is not a record; a last line that was cut off is not an error.
pub fn replay(path: &Path) -> Result<Replayed, ReplayError> {
    let read = |source| ReplayError::Read { path: path.to_owned(), source };
    let mut lines = BufReader::new(File::open(path).map_err(read)?).lines().enumerate().peekable();
    let mut machine = None;
    let mut replayed = Replayed::default();
    while let Some((index, line)) = lines.next() {
        let line: Line = match serde_json::from_str(&line.map_err(read)?) {
            Ok(line) => line,
            Err(_) if lines.peek().is_none() && index > 0 => break,
            Err(source) => return Err(ReplayError::Line { path: path.to_owned(), line: index + 1, source }),
        };
        match (line, &mut machine) {
            (Line::Start { settings, term, seed }, _) => machine = Some(Machine::new(*settings, term, seed)),
            (Line::Step { at, input, effects }, Some(machine)) => {
                let mut ours = Vec::new();
                machine.step(at, *input, &mut ours);
                replayed.steps += 1;
                replayed.notes.extend(ours.iter().filter_map(|effect| match effect {
                    Effect::Note(note) => Some((at, note.clone())),
                    _ => None,
                }));
                if ours != effects {
                    replayed.differences.push((index + 1, effects, ours));
                }
            }
            (Line::Step { .. }, None) => return Err(ReplayError::NoStart { path: path.to_owned() }),
        }
    }
    let machine = machine.ok_or_else(|| ReplayError::NoStart { path: path.to_owned() })?;
    replayed.end = Some(machine.state());
    Ok(replayed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::election::{Prefer, Role, State, Timing};
    use crate::units::{Mac, NodeId, Priority, SiteTag};
    use crate::wire::DmzAddresses;

    fn settings() -> Settings {
        Settings {
            node: NodeId([1; 16]),
            name: "a".into(),
            site: SiteTag([1; 4]),
            dmz: DmzAddresses { v4: Some([192, 168, 1, 11].into()), v6: None },
            mac: Mac([2, 0, 0, 0, 0, 1]),
            role: Role::Candidate,
            priority: Priority(100),
            prefer: Prefer::Stay,
            timing: Timing::DEFAULT,
        }
    }

    /// Records a member that comes up alone and holds, in 20 steps; returns the record's text.
    fn recorded(name: &str) -> (PathBuf, String) {
        let path = std::env::temp_dir().join(format!("gatehouse-record-{name}-{}", std::process::id()));
        let mut recorder = Recorder::start(&path, &settings(), Term(4), 7).unwrap();
        let mut machine = Machine::new(settings(), Term(4), 7);
        let mut input = Input::Link { up: true };
        let mut now = Time::from_millis(1_000);
        for _ in 0..20 {
            let mut effects = Vec::new();
            machine.step(now, input.clone(), &mut effects);
            assert!(recorder.step(now, &input, &effects));
            input = Input::Tick;
            now = machine.deadline().unwrap().at;
        }
        assert_eq!(machine.state(), State::Holding);
        drop(recorder);
        let complete = || std::fs::read_to_string(&path).ok().filter(|text| text.lines().count() == 21);
        let text = (0..500).find_map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            complete()
        });
        let text = text.expect("the record was not written");
        (path, text)
    }

    #[test]
    fn a_record_replays_to_the_same_decisions() {
        let (path, text) = recorded("same");
        let replayed = replay(&path).unwrap();
        assert_eq!((replayed.steps, replayed.end), (20, Some(State::Holding)));
        assert!(replayed.differences.is_empty(), "{:?}", replayed.differences);
        assert!(replayed.notes.iter().any(|(_, note)| matches!(note, Note::Takeover { .. })));
        // A record that claims another decision is told apart, with its line.
        std::fs::write(&path, text.replacen("\"Announce\"", "\"Probe\"", 1)).unwrap();
        assert_eq!(replay(&path).unwrap().differences.len(), 1);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_record_that_was_cut_off_replays_up_to_there() {
        let (path, text) = recorded("cut");
        std::fs::write(&path, &text[..text.len() - 5]).unwrap();
        assert_eq!(replay(&path).unwrap().steps, 19);
        std::fs::write(&path, "").unwrap();
        assert!(matches!(replay(&path), Err(ReplayError::NoStart { .. })));
        let damaged = text.replacen("Step", "Stop", 1);
        std::fs::write(&path, damaged).unwrap();
        assert!(matches!(replay(&path), Err(ReplayError::Line { line: 2, .. })));
        std::fs::remove_file(path).unwrap();
    }
}
