//! Log lines to standard error, through a queue: whoever logs never waits for a slow terminal or a full pipe.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait; more are lost, and counted.
const QUEUE: usize = 2_048;
/// The end of the daemon waits this long for what is still queued.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Installs the log; `RUST_LOG` chooses what is shown (default `info`). Dropping the answer writes out what is queued.
pub(super) fn start() -> io::Result<Flush> {
    let queue = Queue::start(io::stderr())?;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,netlink_proto=error"));
    let colour = rustix::termios::isatty(io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_target(false);
    // A second start in one process keeps the first log.
    let _ = builder.with_writer(queue.clone()).try_init();
    Ok(Flush(queue))
}

/// Writes out the queue when it is dropped: the last lines say why the daemon ended.
#[derive(Debug)]
pub(super) struct Flush(Queue);

impl Drop for Flush {
    fn drop(&mut self) {
        let (done, wait) = channel();
        if self.0.entries.try_send(Entry::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(LAST_WORDS);
        }
    }
}

enum Entry {
    Line(Vec<u8>),
    Flush(std::sync::mpsc::Sender<()>),
}

#[derive(Clone, Debug)]
struct Queue {
    entries: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    fn start(out: impl Write + Send + 'static) -> io::Result<Queue> {
        let (entries, incoming) = sync_channel(QUEUE);
        let queue = Queue { entries, lost: Arc::default() };
        let lost = Arc::clone(&queue.lost);
        std::thread::Builder::new().name("log".into()).spawn(move || write(out, &incoming, &lost))?;
        Ok(queue)
    }
}

/// Nobody can be told that the log cannot be written.
fn write(mut out: impl Write, entries: &Receiver<Entry>, lost: &AtomicU64) {
    while let Ok(entry) = entries.recv() {
        match entry {
            Entry::Line(line) => drop(out.write_all(&line)),
            Entry::Flush(done) => drop(done.send(())),
        }
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(out, "{lost} log lines were lost here: they came faster than they could be written");
        }
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line;
    fn make_writer(&'a self) -> Line {
        Line { queue: self.clone(), text: Vec::new() }
    }
}

/// Collects one event's text and queues it whole.
#[derive(Debug)]
struct Line {
    queue: Queue,
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
        if self.queue.entries.try_send(Entry::Line(std::mem::take(&mut self.text))).is_err() {
            self.queue.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, MutexGuard};

    /// A terminal that stands still while the test holds it.
    #[derive(Clone, Default)]
    struct Terminal(Arc<Mutex<Vec<u8>>>);

    impl Terminal {
        fn held(&self) -> MutexGuard<'_, Vec<u8>> {
            self.0.lock().unwrap()
        }
    }

    impl Write for Terminal {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.held().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(queue: &Queue, text: &str) {
        queue.make_writer().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_terminal_that_stands_still_holds_up_nobody_and_loss_is_said() {
        let terminal = Terminal::default();
        let queue = Queue::start(terminal.clone()).unwrap();
        {
            let _still = terminal.held();
            (0..QUEUE + 10).for_each(|_| log(&queue, "line\n"));
        }
        let (done, written) = channel();
        queue.entries.send(Entry::Flush(done)).unwrap();
        written.recv().unwrap();
        let text = String::from_utf8(terminal.held().clone()).unwrap();
        assert!(text.contains("log lines were lost here"), "{text}");
    }

    #[test]
    fn the_last_line_is_written_before_the_end() {
        let terminal = Terminal::default();
        let queue = Queue::start(terminal.clone()).unwrap();
        log(&queue, "stopped\n");
        drop(Flush(queue));
        assert_eq!(*terminal.held(), b"stopped\n");
    }
}
