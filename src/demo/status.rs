//! What the members say of themselves, asked again and again over their control sockets.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use super::net::Machine;
use super::worker::Worker;
use crate::api::model::Status;

/// Asks one daemon once; a frozen one is given up after [`PATIENCE`].
///
/// # Errors
/// When nobody answers, or not with a status.
pub fn ask(control: &Path) -> Result<Status> {
    let mut stream = UnixStream::connect(control).context("connecting")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /v1/status HTTP/1.0\r\nHost: gatehouse\r\n\r\n").context("asking")?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer).context("reading the answer")?;
    let (_, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    serde_json::from_str(body).context("an answer that is no status")
}

/// Keeps asking; dropping it ends that.
pub struct Statuses {
    latest: Arc<Mutex<Vec<Option<Status>>>>,
    _worker: Worker,
}

impl Statuses {
    /// Starts asking the daemons behind these sockets, all of them five times a second.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn watch(controls: Vec<PathBuf>) -> Result<Statuses> {
        let latest = Arc::new(Mutex::new(vec![None; controls.len()]));
        let told = Arc::clone(&latest);
        // Unix sockets with a path do not care for network namespaces; the switch is as good a place as any.
        let worker = Worker::start(
            Machine::Switch,
            || Ok(()),
            move |(), stop| {
                while !stop.requested() {
                    for (index, control) in controls.iter().enumerate() {
                        let status = ask(control).ok();
                        if let Some(slot) = told.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
                            *slot = status;
                        }
                    }
                    std::thread::sleep(PERIOD);
                }
            },
        )?;
        Ok(Statuses { latest, _worker: worker })
    }

    /// What each said last; none where nobody answered.
    pub fn latest(&self) -> Vec<Option<Status>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How long a daemon may take to answer.
pub const PATIENCE: Duration = Duration::from_millis(150);

const PERIOD: Duration = Duration::from_millis(200);
const MAX_ANSWER: u64 = 1 << 20;
