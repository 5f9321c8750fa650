//! Reaches the daemon: HTTP over its control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::api::model::{Event, Refusal};

/// An answer is at most this long; a status of 1,000 members has a tenth of it.
const MAX_ANSWER: usize = 4 << 20;
/// One line is at most this long: a record of 64 KiB, escaped.
const MAX_LINE: usize = 512 << 10;
/// A living daemon answers at once, a command takes it as long as the API waits for it (30 s).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(35);

/// Why the daemon did not do it, or could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error("no gatehouse daemon answers at {}: is it running? {hint} ({reason})", path.display())]
    NoDaemon {
        /// The control socket.
        path: PathBuf,
        /// What to try.
        hint: &'static str,
        /// What the kernel said.
        reason: io::Error,
    },
    /// Somebody listens and says nothing.
    #[error("the daemon at {} does not answer: it may be frozen (`kill -CONT` wakes a stopped one)", .0.display())]
    Mute(PathBuf),
    /// The daemon refused.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// The connection broke.
    #[error("the connection to the daemon broke")]
    Broken(#[from] hyper::Error),
    /// The answer makes no sense.
    #[error("the daemon's answer is not understood: is it another version?")]
    Strange(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Whether the reason is that no daemon is there to answer.
    pub fn is_no_daemon(&self) -> bool {
        matches!(self, Error::NoDaemon { .. } | Error::Mute(_))
    }
}

/// One daemon's control socket. Each request is a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    control: PathBuf,
}

impl Client {
    /// A client of the daemon that listens on `control`.
    pub fn new(control: PathBuf) -> Client {
        Client { control }
    }

    /// The control socket.
    pub fn control(&self) -> &Path {
        &self.control
    }

    /// Asks for what is at `path`.
    ///
    /// # Errors
    /// No daemon, or an answer that is not understood.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.answer(Method::GET, path, ANSWER_TIMEOUT).await
    }

    /// Tells the daemon to do `path`, and waits until it has.
    ///
    /// # Errors
    /// No daemon, or its refusal.
    pub async fn post(&self, path: &str) -> Result<(), Error> {
        within(COMMAND_TIMEOUT, &self.control, self.request(Method::POST, path)).await.map(drop)
    }

    /// Tells the daemon to do `path`, and answers with what came of it.
    ///
    /// # Errors
    /// No daemon, or its refusal.
    pub async fn post_for<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.answer(Method::POST, path, COMMAND_TIMEOUT).await
    }

    /// Sets what is at `path`, and answers with how it is then.
    ///
    /// # Errors
    /// No daemon, or its refusal.
    pub async fn put<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.answer(Method::PUT, path, ANSWER_TIMEOUT).await
    }

    /// Opens what is at `path` to be read as it comes.
    ///
    /// # Errors
    /// No daemon, or its refusal.
    pub async fn lines(&self, path: &str) -> Result<Lines, Error> {
        let response = within(ANSWER_TIMEOUT, &self.control, self.request(Method::GET, path)).await?;
        Ok(Lines { body: response.into_body(), buffer: Vec::new(), read: 0 })
    }

    /// Opens the stream of events; `query` is the part after the question mark.
    ///
    /// # Errors
    /// No daemon, or its refusal.
    pub async fn events(&self, query: &str) -> Result<Events, Error> {
        Ok(Events(self.lines(&format!("/v1/events?{query}")).await?))
    }

    async fn answer<T: DeserializeOwned>(&self, method: Method, path: &str, limit: Duration) -> Result<T, Error> {
        let body = within(limit, &self.control, async { Ok(collect(self.request(method, path).await?).await) });
        serde_json::from_slice(&body.await??).map_err(|error| Error::Strange(error.into()))
    }

    /// Sends one request, and answers with what is a success.
    async fn request(&self, method: Method, path: &str) -> Result<Response<Incoming>, Error> {
        let stream = UnixStream::connect(&self.control).await.map_err(|reason| self.nobody(reason))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request =
            Request::builder().method(method).uri(path).header("host", "gatehouse").body(Empty::<Bytes>::new());
        let request = request.map_err(|error| Error::Strange(error.into()))?;
        let response = sender.send_request(request).await?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    fn nobody(&self, reason: io::Error) -> Error {
        let hint = match reason.kind() {
            io::ErrorKind::PermissionDenied => "this user may not ask it: use sudo, or join the socket's group",
            io::ErrorKind::NotFound => "`systemctl status gatehouse` says; --control PATH asks another one",
            _ => "its socket is there, but nobody listens: it may have been killed",
        };
        Error::NoDaemon { path: self.control.clone(), hint, reason }
    }
}

/// Events as they come.
#[derive(Debug)]
pub struct Events(Lines);

impl Events {
    /// The next event; none when the daemon ended the stream.
    ///
    /// # Errors
    /// The connection broke or carries something else.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        let Some(line) = self.0.next_line().await? else { return Ok(None) };
        serde_json::from_slice(&line).map(Some).map_err(|error| Error::Strange(error.into()))
    }
}

/// An answer that is read as it comes.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    /// What came and is not given out yet, from `read` on.
    buffer: Vec<u8>,
    read: usize,
}

impl Lines {
    /// The next line, without its end; none when all was read.
    ///
    /// # Errors
    /// The connection broke, or a line is longer than any should be.
    pub async fn next_line(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            let unread = self.buffer.get(self.read..).unwrap_or_default();
            if let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let line = unread.get(..end).unwrap_or_default().to_vec();
                self.read += end + 1;
                return Ok(Some(line));
            }
            if unread.len() > MAX_LINE {
                return Err(Error::Strange("a line without an end".into()));
            }
            self.buffer.drain(..self.read);
            self.read = 0;
            match self.next_piece().await? {
                Some(piece) => self.buffer.extend(piece),
                None => return Ok(None),
            }
        }
    }

    /// The next octets as they came; none when all was read.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, Error> {
        let frame = self.body.frame().await.transpose()?;
        Ok(frame.map(|frame| frame.into_data().unwrap_or_default()))
    }
}

async fn within<T>(limit: Duration, control: &Path, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(Error::Mute(control.to_owned())))
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, Error> {
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(Error::Strange)?;
    Ok(body.to_bytes())
}

async fn refusal(response: Response<Incoming>) -> Error {
    let status = response.status();
    let read = collect(response).await.ok().and_then(|body| serde_json::from_slice(&body).ok());
    Error::Refused(read.unwrap_or_else(|| unexplained(status)))
}

fn unexplained(status: StatusCode) -> Refusal {
    Refusal { error: status.as_u16().to_string(), message: format!("the daemon answered {status}") }
}
