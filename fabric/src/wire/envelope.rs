//! Management requests: an envelope that its sender has signed.
//!
//! ```text
//!  0      layout, 1
//!  1      kind of request (2)
//!  3      fabric (20)
//! 23      target: the node that is asked (16)
//! 39      nonce (16)
//! 55      issued, in seconds since 1970 by the sender's clock (8)
//! 63      expires, likewise (8)
//! 71      number of certificates (1), then for each its length (2) and its octets: who the sender is
//!         length of the body (4) and its octets
//!         signature (64) of the sender's key over everything before it
//! ```
//!
//! Numbers are big-endian.

use super::octets::Reader;
use crate::units::{NodeId, WallTime};

/// Octets of a body at most: an envelope fits a frame.
pub const MAX_BODY: usize = 48 * 1024;
/// Octets of all certificates together at most.
const MAX_CERTIFICATES: usize = 12 * 1024;
/// Octets of an envelope at most.
pub const MAX_ENVELOPE: usize = HEADER + MAX_CERTIFICATES + 4 + MAX_BODY + SIGNATURE;

const LAYOUT: u8 = 1;
const HEADER: usize = 72;
const SIGNATURE: usize = 64;

/// Why octets are no envelope, or a request fits none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// It ends too early, goes on after its end, or says impossible lengths.
    #[error("not a management request")]
    Malformed,
    /// A layout of another version.
    #[error("a management request of another version: {0}")]
    Version(u8),
    /// The body, or the certificates, are too long.
    #[error("a management request is too long")]
    TooLong,
}

/// What is asked for; who asks and who is asked agree on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKind(pub u16);

/// Makes a request different from all others of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub [u8; 16]);

/// A management request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// What is asked for.
    pub kind: RequestKind,
    /// In which fabric.
    pub fabric: [u8; 20],
    /// Who is asked.
    pub target: NodeId,
    /// Makes it unique.
    pub nonce: Nonce,
    /// When it was signed, by the sender's clock.
    pub issued: WallTime,
    /// Until when it is good, by the sender's clock.
    pub expires: WallTime,
    /// Who asks: certificates in DER, its own first.
    pub certificates: Vec<&'a [u8]>,
    /// What exactly is asked for.
    pub body: &'a [u8],
}

/// An envelope as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// What it says.
    pub envelope: Envelope<'a>,
    /// What the signature is over.
    pub signed: &'a [u8],
    /// The signature, not verified.
    pub signature: &'a [u8; SIGNATURE],
}

impl Envelope<'_> {
    /// The octets to be signed; the signature goes behind them.
    ///
    /// # Errors
    /// When the body or the certificates are too long.
    pub fn encode(&self) -> Result<Vec<u8>, EnvelopeError> {
        let certificates = room(&self.certificates);
        if self.body.len() > MAX_BODY || certificates > MAX_CERTIFICATES {
            return Err(EnvelopeError::TooLong);
        }
        let mut bytes = Vec::with_capacity(HEADER + certificates + 4 + self.body.len() + SIGNATURE);
        bytes.push(LAYOUT);
        bytes.extend_from_slice(&self.kind.0.to_be_bytes());
        bytes.extend_from_slice(&self.fabric);
        bytes.extend_from_slice(&self.target.0);
        bytes.extend_from_slice(&self.nonce.0);
        bytes.extend_from_slice(&self.issued.as_secs().to_be_bytes());
        bytes.extend_from_slice(&self.expires.as_secs().to_be_bytes());
        bytes.push(u8::try_from(self.certificates.len()).map_err(|_| EnvelopeError::TooLong)?);
        for certificate in &self.certificates {
            let length = u16::try_from(certificate.len()).map_err(|_| EnvelopeError::TooLong)?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(certificate);
        }
        let length = u32::try_from(self.body.len()).map_err(|_| EnvelopeError::TooLong)?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(self.body);
        Ok(bytes)
    }
}

/// Reads an envelope.
///
/// # Errors
/// When it is none.
pub fn decode(bytes: &[u8]) -> Result<Signed<'_>, EnvelopeError> {
    if bytes.len() > MAX_ENVELOPE {
        return Err(EnvelopeError::TooLong);
    }
    match bytes.first() {
        Some(&LAYOUT) => parts(bytes).ok_or(EnvelopeError::Malformed),
        Some(&other) => Err(EnvelopeError::Version(other)),
        None => Err(EnvelopeError::Malformed),
    }
}

fn parts(bytes: &[u8]) -> Option<Signed<'_>> {
    let (signed, signature) = bytes.split_last_chunk::<SIGNATURE>()?;
    let (_, rest) = signed.split_first()?;
    let mut reader = Reader::new(rest);
    let envelope = Envelope {
        kind: RequestKind(reader.u16()?),
        fabric: *reader.array()?,
        target: NodeId(*reader.array()?),
        nonce: Nonce(*reader.array()?),
        issued: WallTime::from_secs(reader.u64()?),
        expires: WallTime::from_secs(reader.u64()?),
        certificates: certificates(&mut reader)?,
        body: body(&mut reader)?,
    };
    reader.end()?;
    Some(Signed { envelope, signed, signature })
}

fn certificates<'a>(reader: &mut Reader<'a>) -> Option<Vec<&'a [u8]>> {
    let count = reader.u8()?;
    let certificate = |_| {
        let length = reader.u16()?;
        reader.take(usize::from(length))
    };
    let certificates: Vec<&[u8]> = (0..count).map(certificate).collect::<Option<_>>()?;
    (room(&certificates) <= MAX_CERTIFICATES).then_some(certificates)
}

fn body<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(reader.u32()?).ok().filter(|length| *length <= MAX_BODY)?;
    reader.take(length)
}

/// Octets that certificates take with their lengths.
fn room(certificates: &[&[u8]]) -> usize {
    certificates.iter().map(|one| 2 + one.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(body: &[u8]) -> Envelope<'_> {
        Envelope {
            kind: RequestKind(0x0102),
            fabric: [3; 20],
            target: NodeId([4; 16]),
            nonce: Nonce([5; 16]),
            issued: WallTime::from_secs(6),
            expires: WallTime::from_secs(7),
            certificates: vec![b"first", b"", b"third"],
            body,
        }
    }

    #[test]
    fn an_envelope_means_what_was_put_in() {
        let mut bytes = envelope(b"body").encode().unwrap();
        assert_eq!(bytes[..3], [LAYOUT, 1, 2]);
        assert_eq!(bytes[HEADER - 1], 3, "certificates follow the header");
        bytes.extend_from_slice(&[9; SIGNATURE]);
        let read = decode(&bytes).unwrap();
        assert_eq!(read.envelope, envelope(b"body"));
        assert_eq!((read.signed, read.signature), (&bytes[..bytes.len() - SIGNATURE], &[9; SIGNATURE]));
    }

    #[test]
    fn no_other_octets_are_an_envelope() {
        let mut bytes = envelope(b"body").encode().unwrap();
        bytes.extend_from_slice(&[9; SIGNATURE]);
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "cut at {length}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(decode(&longer), Err(EnvelopeError::Malformed));
        bytes[0] = 2;
        assert_eq!(decode(&bytes), Err(EnvelopeError::Version(2)));
        assert_eq!(decode(&vec![LAYOUT; MAX_ENVELOPE + 1]), Err(EnvelopeError::TooLong));
    }

    #[test]
    fn the_longest_fits_and_a_longer_one_does_not() {
        let body = vec![0; MAX_BODY + 1];
        let mut longest = envelope(&body[1..]).encode().unwrap();
        longest.extend_from_slice(&[9; SIGNATURE]);
        assert!(longest.len() <= MAX_ENVELOPE && decode(&longest).is_ok());
        assert_eq!(envelope(&body).encode(), Err(EnvelopeError::TooLong));
        let mut many = envelope(b"");
        let certificate = vec![0; 2_000];
        many.certificates = vec![&certificate; 7];
        assert_eq!(many.encode(), Err(EnvelopeError::TooLong));
    }
}
