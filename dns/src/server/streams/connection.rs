//! One connection that carries messages with their length in front: TCP, or TLS over it.
//!
//! Requests may come in a row, and are answered as answers are ready, perhaps in another order (RFC 7766, 6.2.1.1). The
//! connection reads no further while its client does not take what it has asked for.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::extras::Extras;
use super::frames::{Inbox, frame};
use super::reply::{Replies, StreamJob};
use super::{Shared, Transport};
use crate::server::{Client, Taken};

/// Octets that are read at once: a request, or a few.
const CHUNK: usize = 512;
/// Answers are sent at the latest when they are this long together.
const FLUSH: usize = 64 * 1024;
/// How often a silent connection looks whether it may stay.
const LOOK: Duration = Duration::from_secs(5);

/// Serves a connection to its end.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    transport: Transport,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    let connection =
        Connection { stream, peer, transport, shared, inbox: Inbox::default(), out: Vec::new(), replies: None };
    connection.run(stop).await;
}

struct Connection<S> {
    stream: S,
    peer: SocketAddr,
    transport: Transport,
    shared: Arc<Shared>,
    inbox: Inbox,
    out: Vec<u8>,
    replies: Option<Replies>,
}

/// The client is gone, or is sent away.
struct Over;

/// What a connection has waited for.
enum Event {
    Read(usize),
    /// The client sends nothing more, but may still listen.
    End,
    Reply(Vec<u8>),
    Done,
    /// Time to look at the clock.
    Look,
    Stop,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        // After `Over` there is nothing to be said: dropping the stream ends it.
        if self.talk(&mut stop).await.is_ok() {
            let _ = timeout(self.shared.limits.leave, self.stream.shutdown()).await;
        }
    }

    async fn talk(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), Over> {
        let (mut chunk, mut is_open) = ([0; CHUNK], true);
        let mut heard = Instant::now();
        loop {
            if self.answer().await? {
                heard = Instant::now();
            }
            self.flush().await?;
            if !is_open && self.replies.is_none() {
                return Ok(());
            }
            match self.wait(&mut chunk, is_open, heard, stop).await {
                Event::Read(len) => {
                    // The time of a message counts from its first octet.
                    if self.inbox.is_empty() {
                        heard = Instant::now();
                    }
                    self.inbox.push(&chunk[..len]);
                }
                Event::Reply(message) => {
                    heard = Instant::now();
                    self.replied(message);
                }
                Event::End | Event::Stop => {
                    is_open = false;
                    self.inbox = Inbox::default();
                    match &mut self.replies {
                        Some(replies) => replies.close(),
                        None => return Ok(()),
                    }
                }
                Event::Done => return Ok(()),
                Event::Look if self.time_left(heard.elapsed()) == Some(Duration::ZERO) => return Err(self.cut()),
                Event::Look => {}
            }
        }
    }

    async fn wait(
        &mut self,
        chunk: &mut [u8],
        is_open: bool,
        heard: Instant,
        stop: &mut watch::Receiver<bool>,
    ) -> Event {
        let now = Instant::now();
        let look = match self.time_left(now - heard) {
            Some(left) => now + left.min(LOOK),
            None => now + LOOK,
        };
        // Each of these can be given up without losing anything.
        tokio::select! {
            read = self.stream.read(chunk), if is_open => match read {
                Ok(0) | Err(_) => Event::End,
                Ok(len) => Event::Read(len),
            },
            reply = next(&mut self.replies) => reply.map_or(Event::Done, Event::Reply),
            () = sleep_until(look) => Event::Look,
            _ = stop.wait_for(|is_stopping| *is_stopping), if is_open => Event::Stop,
        }
    }

    /// Answers what has come, or hands it over; whether anything has.
    async fn answer(&mut self) -> Result<bool, Over> {
        let mut has_any = false;
        while let Some(request) = self.inbox.peek() {
            let extras = Extras::of(request, self.transport, self.shared.crowd.patience());
            let taken = frame(&mut self.out, |out| self.shared.take(request, self.peer, extras, out));
            match taken {
                Taken::Slow => {
                    let octets = request.to_vec();
                    self.hand_over(octets, extras).await?;
                }
                // What is no message is not answered, and nothing good follows it.
                Taken::Dropped => return Err(self.cut()),
                Taken::Answered | Taken::Slipped | Taken::Limited => {}
            }
            self.inbox.advance();
            has_any = true;
            if self.out.len() > FLUSH {
                self.flush().await?;
            }
        }
        Ok(has_any)
    }

    /// Hands a request over. Answers to others are sent while it waits for its place, for they may be what it waits for.
    async fn hand_over(&mut self, octets: Vec<u8>, extras: Extras) -> Result<(), Over> {
        let reply = self.replies.get_or_insert_with(Replies::new).reply(extras);
        let client = Client { address: self.peer, is_datagram: false };
        let shared = Arc::clone(&self.shared);
        let mut handing = pin!(async move {
            if let Some(reply) = reply.await {
                shared.hand_over(StreamJob { octets, client, reply }).await;
            }
        });
        loop {
            tokio::select! {
                () = &mut handing => return Ok(()),
                Some(message) = next(&mut self.replies) => {
                    self.replied(message);
                    self.flush().await?;
                }
            }
        }
    }

    /// Takes a message that is to be sent, and those behind it.
    fn replied(&mut self, message: Vec<u8>) {
        let mut next = Some(message);
        while let Some(message) = next {
            frame(&mut self.out, |out| out.extend(message));
            next = match &mut self.replies {
                Some(replies) if self.out.len() <= FLUSH => replies.try_next(),
                _ => None,
            };
        }
    }

    async fn flush(&mut self) -> Result<(), Over> {
        if self.out.is_empty() {
            return Ok(());
        }
        let sent = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        match timeout(self.shared.limits.leave, sent).await {
            Ok(Ok(())) => {
                self.out = Vec::new();
                Ok(())
            }
            Ok(Err(_)) => Err(Over),
            Err(_) => Err(self.cut()),
        }
    }

    /// How much longer a client may stay that has been silent for so long; nothing when it is our turn.
    fn time_left(&self, silent: Duration) -> Option<Duration> {
        let time = match self.inbox.is_empty() {
            true if self.replies.as_ref().is_some_and(Replies::is_waiting) => return None,
            true => self.shared.crowd.patience(),
            false => self.shared.limits.arrive,
        };
        Some(time.saturating_sub(silent))
    }

    fn cut(&self) -> Over {
        // Silence is no fault.
        if !self.inbox.is_empty() || !self.out.is_empty() {
            self.shared.count_cut();
        }
        Over
    }
}

/// The next message of a job; nothing when there can be none any more.
async fn next(replies: &mut Option<Replies>) -> Option<Vec<u8>> {
    match replies {
        Some(replies) => replies.next().await,
        None => std::future::pending().await,
    }
}
