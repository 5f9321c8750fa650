//! A server to try, and what its clients need.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dns::answer::Served;
use dns::guard::{Cookies, Secret};
use dns::name::Name;
use dns::record::Rtype;
use dns::server::streams::{Limits, StreamJob, Streams, Transport};
use dns::server::{Front, Policy};
use dns::settings::Tls;
use dns::text::{Source, no_include, read_zone};
use dns::wire::{CLASS_IN, Edns, EdnsOption, Flags, Header, MAX_MESSAGE, Message, Opcode, Question, Rcode, Writer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longer than anything takes that works.
pub const LONG: Duration = Duration::from_secs(20);
/// Any port of loopback.
pub const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// The name on the certificate.
pub const HOST: &str = "dns.test";

/// A server, and the jobs that it hands over.
pub struct Server {
    pub streams: Streams,
    pub jobs: mpsc::Receiver<StreamJob>,
    pub files: Files,
}

/// The files of a certificate; they go with this.
pub struct Files(PathBuf);

impl Server {
    /// All four transports, each on a port of its own.
    pub fn start(limits: Limits) -> Self {
        let files = Files::new();
        let (any, tls) = ([ANY], files.tls(&[ANY]));
        let (slow, jobs) = mpsc::channel(2);
        let streams = Streams::start(&any, Some(&tls), &front(), &slow, limits).expect("it starts");
        Self { streams, jobs, files }
    }

    pub fn address(&self, transport: Transport) -> SocketAddr {
        let found = self.streams.addresses().find(|(known, _)| *known == transport);
        found.expect("it is served").1
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address(Transport::Tcp)).await.expect("connected")
    }

    /// A connection with TLS that offers these protocols.
    pub async fn connect_tls(&self, transport: Transport, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
        let mut config = self.files.client();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let stream = TcpStream::connect(self.address(transport)).await.expect("connected");
        let host = ServerName::try_from(HOST).expect("a name");
        TlsConnector::from(Arc::new(config)).connect(host, stream).await.expect("a handshake")
    }

    /// Answers every job with so many messages, each with the job's identifier and long when `len` says so.
    pub fn answer_jobs(&mut self, count: usize, len: usize) {
        let mut jobs = std::mem::replace(&mut self.jobs, mpsc::channel(1).1);
        tokio::spawn(async move {
            while let Some(job) = jobs.recv().await {
                let mut message = job.octets.clone();
                message.resize(message.len().max(len), 0);
                for _ in 0..count {
                    if job.reply.send(message.clone()).await.is_err() {
                        break;
                    }
                }
            }
        });
    }

    /// Waits until a count is what it should be.
    pub async fn until(&self, is_so: impl Fn(dns::server::streams::StreamTotals) -> bool) {
        let wait = async {
            while !is_so(self.streams.totals()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONG, wait).await.unwrap_or_else(|_| panic!("it stays {:?}", self.streams.totals()));
    }
}

impl Files {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let files = Self(std::env::temp_dir().join(format!("dns-streams-{}-{number}", std::process::id())));
        std::fs::create_dir(&files.0).expect("a folder");
        files.renew();
        files
    }

    /// Another certificate and key.
    pub fn renew(&self) {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
        std::fs::write(self.certificate(), made.cert.pem()).expect("written");
        std::fs::write(self.key(), made.signing_key.serialize_pem()).expect("written");
    }

    pub fn certificate(&self) -> PathBuf {
        self.path("certificate.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.path("key.pem")
    }

    /// Another file of the same folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Listens on these addresses with TLS, HTTPS and QUIC.
    pub fn tls(&self, addresses: &[SocketAddr]) -> Tls {
        let [dot, doh, doq] = [0; 3].map(|_| addresses.to_vec());
        Tls { certificate: self.certificate(), key: self.key(), dot, doh, doq }
    }

    /// Who believes this certificate and no other.
    pub fn client(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.certificate()).expect("a certificate")).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        builder.expect("known versions").with_root_certificates(roots).with_no_client_auth()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Says that a test was not made, or fails where it must be.
pub fn kdig_is_missing(error: &std::io::Error) {
    assert!(std::env::var("LAB").as_deref() != Ok("require"), "kdig cannot run: {error}");
    eprintln!("NOT TESTED: kdig cannot run: {error}");
}

pub fn front() -> Arc<Front> {
    let text = "$TTL 60\n@ SOA ns admin 1 2 3 4 30\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\n";
    let apex: Name = "test.".parse().expect("a name");
    let zone =
        read_zone(Source { file: "test".into(), text: text.as_bytes() }, &apex, &mut no_include).expect("a zone");
    let front = Front::new(Policy::new(Cookies::new(Secret([7; 16]))));
    front.publish([Served::new(zone)].into_iter().collect());
    Arc::new(front)
}

/// A question for an address, or an update, which takes time.
pub fn message(id: u16, opcode: Opcode, owner: &str, options: Option<&[EdnsOption<'_>]>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, MAX_MESSAGE, Header { id, flags: Flags::of(opcode), counts: [0; 4] });
    let name: Name = owner.parse().expect("a name");
    let rtype = if opcode == Opcode::UPDATE { Rtype::SOA } else { Rtype::A };
    writer.question(Question { name: name.as_ref(), rtype, class: CLASS_IN }).expect("room");
    if let Some(options) = options {
        writer.opt(&Edns::new(1232, false), Rcode::NOERROR, options).expect("room");
    }
    out
}

pub fn query(id: u16) -> Vec<u8> {
    message(id, Opcode::QUERY, "www.test", None)
}

pub fn update(id: u16) -> Vec<u8> {
    message(id, Opcode::UPDATE, "test", None)
}

/// A message with its length.
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

/// The next message; nothing when the other side has closed.
pub async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let receive = async {
        let len = stream.read_u16().await.ok()?;
        let mut message = vec![0; len.into()];
        stream.read_exact(&mut message).await.ok()?;
        Some(message)
    };
    timeout(LONG, receive).await.expect("an answer or the end")
}

/// Sends one message and takes one.
pub async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), message: &[u8]) -> Option<Vec<u8>> {
    stream.write_all(&framed(message)).await.ok()?;
    receive(stream).await
}

pub fn id(message: &[u8]) -> u16 {
    Header::read(message).expect("a header").id
}

/// The identifier of an answer to [`query`].
pub fn answered(answer: &[u8]) -> u16 {
    let message = Message::read(answer).expect("a message");
    assert_eq!((message.flags().rcode(), message.header().counts[1]), (Rcode::NOERROR, 1));
    id(answer)
}
