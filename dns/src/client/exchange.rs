//! Messages to a server and back, over UDP and TCP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{timeout, timeout_at};

use super::{ClientError, Credentials, Server, UDP_SIZE};
use crate::clock;
use crate::sign::{AnswerError, Answers, sig0, sign_request};
use crate::transfer::{Incoming, Progress, Received, TransferError};
use crate::wire::{Flags, MAX_MESSAGE, Message};

impl Server {
    /// Signs a request, sends it and gives back the answer, whose signature is right.
    pub(super) async fn exchange(&self, mut request: Vec<u8>) -> Result<Vec<u8>, ClientError> {
        let mut answers = self.sign(&mut request)?;
        if request.len() <= usize::from(UDP_SIZE) {
            let answer = self.over_udp(&request, &mut answers).await?;
            if !Message::read(&answer)?.flags().has(Flags::TRUNCATED) {
                return Ok(answer);
            }
            // Another message, so that its signature is not the one that was answered already.
            let without = Message::read(&request)?.signature().map(|(_, record)| record.start());
            if let Some(start) = without {
                unsign(&mut request, start);
                answers = self.sign(&mut request)?;
            }
        }
        self.over_tcp(&request, answers).await
    }

    /// Asks for a transfer and reads it to its end, which comes in time.
    pub(super) async fn transfer(
        &self,
        request: Vec<u8>,
        incoming: Incoming,
        within: Duration,
    ) -> Result<Received, ClientError> {
        timeout(within, self.read_transfer(request, incoming)).await.unwrap_or(Err(ClientError::Slow(self.address)))
    }

    async fn read_transfer(&self, mut request: Vec<u8>, mut incoming: Incoming) -> Result<Received, ClientError> {
        let mut answers = self.sign(&mut request)?;
        let mut stream = self.connect(&request).await?;
        loop {
            let octets = self.receive(&mut stream).await?;
            let message = Message::read(&octets)?;
            check_is_answer(&message, &request)?;
            if let Some(answers) = &mut answers {
                answers.check(&message, clock::wall_secs())?;
            }
            // The end of a large zone takes long enough to keep others waiting.
            let read = move || {
                let progress = Message::read(&octets).map_err(TransferError::from).map(|read| incoming.read(&read));
                (progress, incoming)
            };
            let (progress, back) = tokio::task::spawn_blocking(read).await.map_err(|_| ClientError::Ends)?;
            incoming = back;
            if let Progress::Done(received) = progress?? {
                answers.as_ref().map_or(Ok(()), Answers::finish)?;
                return Ok(received);
            }
        }
    }

    fn sign(&self, request: &mut Vec<u8>) -> Result<Option<Answers<'_>>, ClientError> {
        let now = clock::wall_secs();
        match &self.credentials {
            Credentials::None => Ok(None),
            Credentials::Shared(key) => match sign_request(request, key, now) {
                Some(answers) => Ok(Some(answers)),
                None => Err(ClientError::NoSecret(key.name.clone())),
            },
            Credentials::Missing(name) => Err(ClientError::NoSecret(name.clone())),
            Credentials::Private(key) => {
                sig0::sign_request(request, key.as_ref(), now)?;
                Ok(None)
            }
        }
    }

    /// Sends the same octets until an answer comes. Answers that are not to be believed are passed over, as the real one
    /// may follow; when none does, what was wrong with the last is the error.
    async fn over_udp(&self, request: &[u8], answers: &mut Option<Answers<'_>>) -> Result<Vec<u8>, ClientError> {
        let io = |error| ClientError::Io(self.address, error);
        let socket = UdpSocket::bind(unspecified(self.address)).await.map_err(io)?;
        socket.connect(self.address).await.map_err(io)?;
        let mut buffer = vec![0; MAX_MESSAGE];
        let mut problem = ClientError::Silent(self.address);
        for wait in UDP_WAITS {
            let end = tokio::time::Instant::now() + wait;
            if let Err(error) = socket.send(request).await {
                problem = io(error);
                tokio::time::sleep_until(end).await;
                continue;
            }
            loop {
                let len = match timeout_at(end, socket.recv(&mut buffer)).await {
                    Err(_) => break,
                    Ok(Ok(len)) => len,
                    Ok(Err(error)) => {
                        // Nobody listens right now: a server that starts again is asked again.
                        problem = io(error);
                        tokio::time::sleep_until(end).await;
                        break;
                    }
                };
                let octets = &buffer[..len];
                match Message::read(octets).map_err(ClientError::from).and_then(|message| {
                    check_is_answer(&message, request)?;
                    check_signature(&message, answers)
                }) {
                    Ok(()) => return Ok(octets.to_vec()),
                    // Signed, so that it is the server that says it.
                    Err(error @ ClientError::Answer(AnswerError::ServerTime(_))) => return Err(error),
                    Err(error) => problem = error,
                }
            }
        }
        Err(problem)
    }

    async fn over_tcp(&self, request: &[u8], mut answers: Option<Answers<'_>>) -> Result<Vec<u8>, ClientError> {
        let mut stream = self.connect(request).await?;
        let octets = self.receive(&mut stream).await?;
        let message = Message::read(&octets)?;
        check_is_answer(&message, request)?;
        check_signature(&message, &mut answers)?;
        Ok(octets)
    }

    /// Opens a connection and sends a request.
    async fn connect(&self, request: &[u8]) -> Result<TcpStream, ClientError> {
        let opened = timeout(CONNECT_WAIT, async {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let framed = [&(request.len() as u16).to_be_bytes(), request].concat();
            stream.write_all(&framed).await?;
            Ok(stream)
        });
        match opened.await {
            Ok(opened) => opened.map_err(|error| ClientError::Io(self.address, error)),
            Err(_) => Err(ClientError::Silent(self.address)),
        }
    }

    /// The next message.
    async fn receive(&self, stream: &mut TcpStream) -> Result<Vec<u8>, ClientError> {
        let read = timeout(MESSAGE_WAIT, async {
            let len = stream.read_u16().await?;
            let mut octets = vec![0; usize::from(len)];
            stream.read_exact(&mut octets).await?;
            Ok::<_, io::Error>(octets)
        });
        match read.await {
            Ok(read) => read.map_err(|error| ClientError::Io(self.address, error)),
            Err(_) => Err(ClientError::Silent(self.address)),
        }
    }
}

/// Whether a message answers the request: its number and its question, unless it has none (RFC 5452, 9.1).
fn check_is_answer(message: &Message<'_>, request: &[u8]) -> Result<(), ClientError> {
    let request = Message::read(request)?;
    let is_answer = message.flags().has(Flags::RESPONSE)
        && message.header().id == request.header().id
        && message.flags().opcode() == request.flags().opcode()
        && message.question().is_none_or(|question| Some(question) == request.question());
    if is_answer { Ok(()) } else { Err(ClientError::OtherQuestion) }
}

fn check_signature(message: &Message<'_>, answers: &mut Option<Answers<'_>>) -> Result<(), ClientError> {
    let Some(answers) = answers else { return Ok(()) };
    answers.check(message, clock::wall_secs())?;
    Ok(answers.finish()?)
}

/// Takes the signature off a request.
fn unsign(request: &mut Vec<u8>, start: usize) {
    request.truncate(start);
    if let Some([high, low]) = request.get_mut(10..12) {
        [*high, *low] = u16::from_be_bytes([*high, *low]).saturating_sub(1).to_be_bytes();
    }
}

fn unspecified(peer: SocketAddr) -> SocketAddr {
    let address: IpAddr = if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    SocketAddr::new(address, 0)
}

/// How long an answer over UDP is waited for, each time the request is sent.
const UDP_WAITS: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(2)];
/// How long connecting and sending may take.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long each message over TCP may take: a primary that makes a long answer begins it sooner.
const MESSAGE_WAIT: Duration = Duration::from_secs(15);
