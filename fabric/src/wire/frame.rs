//! Frames: what crosses a link.
//!
//! ```text
//!  0      length of what follows (4)
//!  4      kind (1), lane (1), part (1), layout: 1 (1)
//!  8      sequence in its lane (8)
//! 16      source: handle of an engine at the sender, 0 the router itself (4)
//! 20      target: handle of an engine at the receiver, 0 the router itself (4)
//! 24      number of the call or subscription (8)
//! 32      detail: what it is depends on the kind (4)
//! 36      body, at most 64 KiB
//!         authenticator (16) over everything between the length and itself
//! ```
//!
//! Numbers are big-endian. A message longer than a body goes as several frames of its lane, one behind the other.
//!
//! **Invariant:** a wrong length is the end of a link, as nothing behind it can be found; everything else that is wrong
//! costs one frame.

/// Octets before the body, with the length.
pub const HEADER: usize = 36;
/// Octets of an authenticator.
pub const MAC: usize = 16;
/// Octets of a body at most; a message behind it on another lane waits no longer than for this.
pub const MAX_BODY: usize = 64 * 1024;
/// Octets of a frame at most.
pub const MAX_FRAME: usize = HEADER + MAX_BODY + MAC;

const PREFIX: usize = 4;
const LAYOUT: u8 = 1;

/// Why nothing more can be read of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame of so many octets is longer or shorter than frames can be.
    #[error("a frame of an impossible length: {0} octets")]
    Length(u32),
}

/// One of the sequences that share a link; the earlier goes first, and within each nothing overtakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// What links say to each other.
    Control,
    /// Messages of one frame.
    Small,
    /// Messages of several.
    Bulk,
}

impl Lane {
    /// All of them, the most urgent first.
    pub const ALL: [Lane; 3] = [Lane::Control, Lane::Small, Lane::Bulk];

    /// Its place in [`Lane::ALL`].
    pub fn index(self) -> usize {
        match self {
            Lane::Control => 0,
            Lane::Small => 1,
            Lane::Bulk => 2,
        }
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first of each side: who it is and what it knows of the other's engines.
    Hello = 1,
    /// Engines that came and went.
    Learn,
    /// Is anybody there?
    Ping,
    /// Somebody is.
    Pong,
    /// The last one.
    Bye,
    /// Events are wanted.
    Subscribe,
    /// And no longer.
    Unsubscribe,
    /// A subscription was refused; detail: why.
    Refused,
    /// A message that nobody answers.
    Cast = 16,
    /// A message that is answered; detail: the milliseconds that are left for it.
    Call,
    /// The answer to a call.
    Answer,
    /// That there is none; detail: why.
    Failure,
    /// An event; detail: how many were left out before it.
    Event,
    /// A signature over messages before it of the same engine and lane; detail: how many.
    Proof,
}

const KINDS: [Kind; 14] = [
    Kind::Hello,
    Kind::Learn,
    Kind::Ping,
    Kind::Pong,
    Kind::Bye,
    Kind::Subscribe,
    Kind::Unsubscribe,
    Kind::Refused,
    Kind::Cast,
    Kind::Call,
    Kind::Answer,
    Kind::Failure,
    Kind::Event,
    Kind::Proof,
];

impl Kind {
    /// Whether engines say it, and not links.
    pub fn is_message(self) -> bool {
        self.code() >= 16
    }

    /// Its number on the wire.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Which part of a message a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The first of several.
    First,
    /// Neither the first nor the last.
    Middle,
    /// The last of several.
    Last,
}

impl Part {
    /// The part that begins (or not) and ends (or not) a message.
    pub fn of(begins: bool, ends: bool) -> Part {
        match (begins, ends) {
            (true, true) => Part::Whole,
            (true, false) => Part::First,
            (false, false) => Part::Middle,
            (false, true) => Part::Last,
        }
    }

    /// Whether a message ends with it.
    pub fn ends(self) -> bool {
        matches!(self, Part::Whole | Part::Last)
    }
}

/// Names an engine on one link, and no other by mistake: a slot, and which of its tenants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u32);

impl Handle {
    /// The router itself.
    pub const ROUTER: Handle = Handle(0);
}

/// What stands before the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// Its lane.
    pub lane: Lane,
    /// Which part of a message.
    pub part: Part,
    /// Counts the frames of its lane, from zero.
    pub sequence: u64,
    /// Who says it, by the sender's numbers.
    pub source: Handle,
    /// To whom, by the receiver's numbers.
    pub target: Handle,
    /// Number of the call or subscription.
    pub number: u64,
    /// What it is depends on the kind.
    pub detail: u32,
}

/// A frame as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What stands before the body.
    pub header: Header,
    /// What it carries.
    pub body: &'a [u8],
    /// What the authenticator is over.
    pub covered: &'a [u8],
    /// The authenticator, not verified.
    pub mac: &'a [u8; MAC],
}

/// What octets begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A frame, and how many octets it has.
    Frame(Frame<'a>, usize),
    /// Something as long as a frame that is none, and how many octets it has.
    Garbled(usize),
    /// The beginning of a frame that has so many octets.
    More(usize),
}

/// Reads the frame at the front of `octets`.
///
/// # Errors
/// When its length is impossible.
pub fn parse(octets: &[u8]) -> Result<Parsed<'_>, FrameError> {
    let Some((prefix, _)) = octets.split_first_chunk::<PREFIX>() else { return Ok(Parsed::More(PREFIX)) };
    let said = u32::from_be_bytes(*prefix);
    let length = usize::try_from(said).ok().and_then(|length| length.checked_add(PREFIX));
    let length = length.filter(|length| (HEADER + MAC..=MAX_FRAME).contains(length));
    let Some(length) = length else { return Err(FrameError::Length(said)) };
    let Some(frame) = octets.get(PREFIX..length) else { return Ok(Parsed::More(length)) };
    Ok(parts(frame).map_or(Parsed::Garbled(length), |frame| Parsed::Frame(frame, length)))
}

/// Writes a frame behind `out`; `mac` authenticates what it is given.
///
/// The body must not be longer than [`MAX_BODY`]: what is longer is cut off.
pub fn write(out: &mut Vec<u8>, header: &Header, body: &[u8], mac: impl FnOnce(&[u8]) -> [u8; MAC]) {
    let body = body.get(..MAX_BODY).unwrap_or(body);
    let length = u32::try_from(HEADER - PREFIX + body.len() + MAC).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    let start = out.len();
    let part = match header.part {
        Part::Whole => 0,
        Part::First => 1,
        Part::Middle => 2,
        Part::Last => 3,
    };
    let lane = header.lane.index().to_be_bytes();
    let mut fixed = [0; HEADER - PREFIX];
    let parts: [&[u8]; 6] = [
        &[header.kind.code(), lane[lane.len() - 1], part, LAYOUT],
        &header.sequence.to_be_bytes(),
        &header.source.0.to_be_bytes(),
        &header.target.0.to_be_bytes(),
        &header.number.to_be_bytes(),
        &header.detail.to_be_bytes(),
    ];
    fixed.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
    out.extend_from_slice(&fixed);
    out.extend_from_slice(body);
    let authenticator = mac(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&authenticator);
}

fn parts(frame: &[u8]) -> Option<Frame<'_>> {
    let (covered, mac) = frame.split_last_chunk::<MAC>()?;
    let mut reader = super::octets::Reader::new(covered);
    let [kind, lane, part, layout] = *reader.array::<4>()?;
    let kind = *KINDS.iter().find(|known| known.code() == kind)?;
    let lane = *Lane::ALL.get(usize::from(lane))?;
    let part = *[Part::Whole, Part::First, Part::Middle, Part::Last].get(usize::from(part))?;
    // Links speak on the control lane, engines on the others; a small message is whole.
    if layout != LAYOUT || kind.is_message() == (lane == Lane::Control) || (lane == Lane::Small && part != Part::Whole)
    {
        return None;
    }
    let header = Header {
        kind,
        lane,
        part,
        sequence: reader.u64()?,
        source: Handle(reader.u32()?),
        target: Handle(reader.u32()?),
        number: reader.u64()?,
        detail: reader.u32()?,
    };
    Some(Frame { header, body: reader.rest(), covered, mac })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: Kind, lane: Lane, part: Part) -> Header {
        Header { kind, lane, part, sequence: 7, source: Handle(8), target: Handle(9), number: 10, detail: 11 }
    }

    fn written(header: &Header, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, header, body, |covered| {
            assert_eq!(covered.len(), HEADER - PREFIX + body.len());
            [covered[0]; MAC]
        });
        out
    }

    #[test]
    fn a_frame_means_what_was_put_in() {
        for kind in KINDS {
            let lane = if kind.is_message() { Lane::Bulk } else { Lane::Control };
            for part in [Part::Whole, Part::First, Part::Middle, Part::Last] {
                let one = header(kind, lane, part);
                let mut octets = written(&one, b"body");
                let length = octets.len();
                octets.extend_from_slice(b"next");
                let Ok(Parsed::Frame(frame, read)) = parse(&octets) else { panic!("{one:?}") };
                assert_eq!((frame.header, frame.body, read), (one, &b"body"[..], length));
                assert_eq!((frame.covered, frame.mac), (&octets[PREFIX..length - MAC], &[kind.code(); MAC]));
            }
        }
    }

    #[test]
    fn a_cut_frame_says_how_much_is_missing() {
        let octets = written(&header(Kind::Cast, Lane::Small, Part::Whole), b"body");
        for cut in 0..octets.len() {
            let needs = if cut < PREFIX { PREFIX } else { octets.len() };
            assert_eq!(parse(&octets[..cut]), Ok(Parsed::More(needs)), "cut at {cut}");
        }
    }

    #[test]
    fn impossible_lengths_end_a_link_and_need_no_memory() {
        let too_long = u32::try_from(MAX_FRAME - PREFIX + 1).unwrap();
        let too_short = u32::try_from(HEADER + MAC - PREFIX - 1).unwrap();
        for wrong in [0, too_short, too_long, u32::MAX] {
            assert_eq!(parse(&wrong.to_be_bytes()), Err(FrameError::Length(wrong)));
        }
        for right in [too_short + 1, too_long - 1] {
            assert!(matches!(parse(&right.to_be_bytes()), Ok(Parsed::More(_))));
        }
        let longest = written(&header(Kind::Cast, Lane::Bulk, Part::First), &vec![0; MAX_BODY]);
        assert!(matches!(parse(&longest), Ok(Parsed::Frame(_, MAX_FRAME))));
    }

    #[test]
    fn whatever_else_is_wrong_costs_one_frame() {
        let octets = written(&header(Kind::Cast, Lane::Small, Part::Whole), b"body");
        for (place, value) in [(4, 0), (4, 15), (4, 22), (5, 0), (5, 3), (6, 1), (6, 4), (7, 0), (7, 2)] {
            let mut wrong = octets.clone();
            wrong[place] = value;
            assert_eq!(parse(&wrong), Ok(Parsed::Garbled(octets.len())), "octet {place} is {value}");
        }
        let mut ping = written(&header(Kind::Ping, Lane::Control, Part::Whole), b"");
        ping[5] = 1;
        assert_eq!(parse(&ping), Ok(Parsed::Garbled(ping.len())), "links speak on their own lane");
    }
}
