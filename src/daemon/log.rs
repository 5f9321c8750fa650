//! Log lines to standard error, through a queue: whoever logs never waits for a slow terminal or a full pipe.

use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait; more are lost.
const QUEUE: usize = 2_048;

/// Installs the log; `RUST_LOG` chooses what is shown (default `info`).
pub(super) fn start() -> io::Result<()> {
    let (sender, lines) = sync_channel::<Vec<u8>>(QUEUE);
    std::thread::Builder::new().name("log".into()).spawn(move || {
        let mut stderr = io::stderr();
        while let Ok(line) = lines.recv() {
            let _ = stderr.write_all(&line);
        }
    })?;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,netlink_proto=error"));
    let colour = rustix::termios::isatty(io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_target(false);
    // A second start in one process keeps the first log.
    let _ = builder.with_writer(Queue(sender)).try_init();
    Ok(())
}

#[derive(Debug)]
struct Queue(SyncSender<Vec<u8>>);

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line;
    fn make_writer(&'a self) -> Line {
        Line { queue: self.0.clone(), text: Vec::new() }
    }
}

/// Collects one event's text and queues it whole.
#[derive(Debug)]
struct Line {
    queue: SyncSender<Vec<u8>>,
    text: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.queue.try_send(std::mem::take(&mut self.text));
    }
}
