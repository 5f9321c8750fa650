//! One try of a check against the real world, ended by its timeout whatever the other side does.
//!
//! **Invariant:** dropping a try ends all it has started: sockets close, processes are killed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UdpSocket};

use super::dns::{Question, Reply};
use crate::clock;
use crate::command;
use crate::config::CheckProbe;
use crate::units::Mac;

/// An HTTP answer's head, or a DNS answer, is not read beyond this.
const MAX_ANSWER: usize = 16 << 10;

/// Why a try failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It took longer than it may.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came was not HTTP.
    #[error("not an HTTP answer: {0}")]
    Http(#[from] hyper::Error),
    /// The request could not be written.
    #[error("not an HTTP request: {0}")]
    Request(#[from] hyper::http::Error),
    /// HTTP, with a status that is not expected.
    #[error("status {0}")]
    Status(u16),
    /// DNS, with an error.
    #[error("DNS response code {0}")]
    Rcode(u8),
    /// The interface has no default route.
    #[error("no default route over this interface")]
    NoGateway,
    /// The gateway did not answer.
    #[error("{0} does not answer")]
    Mute(IpAddr),
    /// The command ended badly.
    #[error("{0}")]
    Exit(ExitStatus),
}

/// What one try came to.
#[derive(Debug)]
pub struct Tried {
    /// What was seen, for people, or why it failed.
    pub outcome: Result<String, ProbeError>,
    /// How long it took.
    pub took: Duration,
}

/// Tries `probe` once, for at most `timeout`.
pub async fn try_once(probe: &CheckProbe, interface: &str, timeout: Duration) -> Tried {
    let start = clock::now();
    let attempt = async {
        match probe {
            CheckProbe::Gateway(address) => gateway(*address, interface, timeout).await,
            CheckProbe::Tcp(address) => tcp(*address).await,
            CheckProbe::Http { address, host, path, expect } => http(*address, host, path, expect).await,
            CheckProbe::Dns { server, name } => dns(*server, name).await,
            CheckProbe::Command(words) => run(words).await,
        }
    };
    let outcome = match tokio::time::timeout(timeout, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ProbeError::Timeout(timeout)),
    };
    Tried { outcome, took: clock::now().since(start) }
}

async fn gateway(address: Option<IpAddr>, interface: &str, timeout: Duration) -> Result<String, ProbeError> {
    let address = match address {
        Some(address) => address,
        None => netconfig::default_gateway(interface).await?.ok_or(ProbeError::NoGateway)?,
    };
    // A little less than the whole timeout, so that it says who is mute before the try is ended.
    let mac = netconfig::arp_resolve(interface, address, timeout * 9 / 10).await?.ok_or(ProbeError::Mute(address))?;
    Ok(format!("{address} is {}", Mac(mac)))
}

async fn tcp(address: SocketAddr) -> Result<String, ProbeError> {
    TcpStream::connect(address).await?;
    Ok("connected".to_owned())
}

async fn http(address: SocketAddr, host: &str, path: &str, expect: &[u16]) -> Result<String, ProbeError> {
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, "gatehouse")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = http1::Builder::new().max_buf_size(MAX_ANSWER).handshake(stream).await?;
    let mut answer = pin!(sender.send_request(request));
    // The connection moves the bytes; it may end first, with the answer already handed over.
    let response = tokio::select! {
        response = &mut answer => response?,
        end = connection => {
            end?;
            answer.await?
        }
    };
    let status = response.status().as_u16();
    if expect.contains(&status) { Ok(format!("status {status}")) } else { Err(ProbeError::Status(status)) }
}

async fn dns(server: SocketAddr, name: &str) -> Result<String, ProbeError> {
    let question = Question::new(clock::random_bytes()?, name);
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question.encode()).await?;
    let mut datagram = vec![0; MAX_ANSWER];
    loop {
        let length = socket.recv(&mut datagram).await?;
        match question.read(datagram.get(..length).unwrap_or(&[])) {
            Reply::Good { records } => return Ok(format!("{records} records")),
            Reply::Bad { rcode } => return Err(ProbeError::Rcode(rcode)),
            Reply::Unrelated => {}
        }
    }
}

async fn run(words: &[String]) -> Result<String, ProbeError> {
    let status = command::run(words).await?;
    if status.success() { Ok("exit status 0".to_owned()) } else { Err(ProbeError::Exit(status)) }
}
