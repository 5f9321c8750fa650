//! From a query to its answer.

use super::compose::{Answer, End};
use super::{Outcome, Room, Slow, Zones};
use crate::guard::{Kind, MAX_UDP};
use crate::name::{MAX_LEN, NameRef};
use crate::record::Rtype;
use crate::wire::{
    CLASS_CHAOS, CLASS_IN, Edns, EdnsOption, Flags, Full, Header, Message, Opcode, Question, Rcode, Section, WireError,
    Writer,
};

/// Options that an answer has beside the server's identity: a cookie and a lease.
pub const MAX_OPTIONS: usize = 2;
/// The names that the identity is asked for by, in class CH.
const IDENTITY: [&[u8]; 2] = [b"\x02id\x06server\0", b"\x08hostname\x04bind\0"];

/// Answers a query, at the end of `out`.
pub fn respond<'q>(query: &Message<'q>, zones: &Zones, room: &Room<'_>, out: &mut Vec<u8>) -> Outcome<'q> {
    let question = match judge(query, room) {
        Ok(question) if question.class == CLASS_CHAOS => return identify(query, question, room, out),
        Ok(question) => question,
        Err(Verdict::Outcome(outcome)) => return outcome,
        Err(Verdict::Error(rcode)) => return reject(query, rcode, room, out),
    };
    let may_forward = room.recursion && query.flags().has(Flags::RECURSION_DESIRED);
    let Some(served) = zones.for_question(question.name, question.rtype) else {
        return if may_forward { Outcome::Slow(Slow::Forward) } else { reject(query, Rcode::REFUSED, room, out) };
    };
    if served.expired {
        return reject(query, Rcode::SERVFAIL, room, out);
    }
    let begin = out.len();
    let mut writer = Writer::reply(out, room.limit.saturating_sub(opt_len(query, room)), query);
    if room.recursion {
        writer.set_flags(writer.flags().with(Flags::RECURSION_AVAILABLE));
    }
    let mut answer = Answer::new(zones, question, room.now, writer);
    if query.edns().is_some_and(|edns| edns.dnssec_ok) {
        answer.want_proofs();
    }
    let rcode = match answer.resolve(served) {
        Ok(End::Elsewhere | End::Referral(..)) if may_forward => {
            out.truncate(begin);
            return Outcome::Slow(Slow::Forward);
        }
        Ok(end) => end.rcode(),
        Err(Full) => {
            answer.truncate();
            Rcode::NOERROR
        }
    };
    let (writer, kind, counted) = answer.into_parts();
    finish(writer, query, rcode, room);
    Outcome::Answered(kind, tail(question.name, counted))
}

/// Answers a query with a result and nothing else.
pub fn reject<'q>(query: &Message<'q>, rcode: Rcode, room: &Room<'_>, out: &mut Vec<u8>) -> Outcome<'q> {
    finish(Writer::reply(out, room.limit, query), query, rcode, room);
    let kind = if rcode == Rcode::NOERROR { Kind::Answer } else { Kind::Error };
    Outcome::Answered(kind, NameRef::root())
}

/// Answers a query with the hint to ask again over TCP.
pub fn truncate<'q>(query: &Message<'q>, room: &Room<'_>, out: &mut Vec<u8>) -> Outcome<'q> {
    let mut writer = Writer::reply(out, room.limit, query);
    writer.set_flags(writer.flags().with(Flags::TRUNCATED));
    finish(writer, query, Rcode::NOERROR, room);
    Outcome::Answered(Kind::Answer, NameRef::root())
}

/// Answers octets that are no message, if they are to be answered at all.
pub fn malformed<'q>(octets: &[u8], error: WireError, out: &mut Vec<u8>) -> Outcome<'q> {
    let header = Header::read(octets).filter(|header| !header.flags.has(Flags::RESPONSE));
    let Some(header) = header.filter(|_| error != WireError::NoHeader) else { return Outcome::Drop };
    Writer::new(out, usize::MAX, Header { flags: header.flags.reply().with_rcode(Rcode::FORMERR), ..header });
    Outcome::Answered(Kind::Error, NameRef::root())
}

/// Why a query is not looked up.
enum Verdict<'q> {
    Outcome(Outcome<'q>),
    Error(Rcode),
}

/// The question, if it is a plain one.
fn judge<'q>(query: &Message<'q>, room: &Room<'_>) -> Result<Question<'q>, Verdict<'q>> {
    let slow = |slow| Err(Verdict::Outcome(Outcome::Slow(slow)));
    let error = |rcode| Err(Verdict::Error(rcode));
    if query.flags().has(Flags::RESPONSE) {
        return Err(Verdict::Outcome(Outcome::Drop));
    }
    if query.edns().is_some_and(|edns| edns.version > 0) {
        return error(Rcode::BADVERS);
    }
    match query.flags().opcode() {
        Opcode::QUERY => {}
        Opcode::UPDATE => return slow(Slow::Update),
        Opcode::NOTIFY => return slow(Slow::Notify),
        _ => return error(Rcode::NOTIMP),
    }
    if query.signature().is_some() && !room.verified {
        return slow(Slow::Signed);
    }
    let Some(question) = query.question() else {
        // A client may ask for a cookie only (RFC 7873, 5.4).
        let asks_cookie = query.edns().is_some_and(|edns| edns.option(EdnsOption::COOKIE).is_some());
        return error(if asks_cookie { Rcode::NOERROR } else { Rcode::FORMERR });
    };
    match question.rtype {
        Rtype::TXT | Rtype::ANY if question.class == CLASS_CHAOS => Ok(question),
        _ if question.class != CLASS_IN => error(Rcode::REFUSED),
        Rtype::AXFR | Rtype::IXFR => slow(Slow::Transfer),
        rtype if rtype.is_meta() && rtype != Rtype::ANY => error(Rcode::NOTIMP),
        _ => Ok(question),
    }
}

/// Says who this server is (RFC 4892), if it does; what software it is it never says.
fn identify<'q>(query: &Message<'q>, question: Question<'q>, room: &Room<'_>, out: &mut Vec<u8>) -> Outcome<'q> {
    let is_asked = IDENTITY.iter().any(|name| question.name.lowered(&mut [0; MAX_LEN]) == *name);
    let Some(identity) = room.identity.filter(|_| is_asked) else { return reject(query, Rcode::REFUSED, room, out) };
    let text = identity.as_bytes();
    let text = &text[..text.len().min(usize::from(u8::MAX))];
    let mut rdata = [0; 1 + u8::MAX as usize];
    rdata[0] = text.len() as u8;
    rdata[1..=text.len()].copy_from_slice(text);
    let mut writer = Writer::reply(out, room.limit.saturating_sub(opt_len(query, room)), query);
    writer.set_flags(writer.flags().with(Flags::AUTHORITATIVE));
    let written = writer.raw(Section::Answer, question.name, (Rtype::TXT, CLASS_CHAOS, 0), &rdata[..=text.len()]);
    if written.is_err() {
        writer.set_flags(writer.flags().with(Flags::TRUNCATED));
    }
    finish(writer, query, Rcode::NOERROR, room);
    Outcome::Answered(Kind::Answer, NameRef::root())
}

/// The identity in an OPT record (RFC 5001), where it is asked for and told.
fn nsid<'a>(query: &Message<'_>, room: &Room<'a>) -> Option<EdnsOption<'a>> {
    let identity = room.identity?;
    query.edns()?.option(EdnsOption::NSID)?;
    Some(EdnsOption { code: EdnsOption::NSID, data: identity.as_bytes() })
}

fn opt_len(query: &Message<'_>, room: &Room<'_>) -> usize {
    let options: usize = room.options.iter().chain(&nsid(query, room)).map(|option| 4 + option.data.len()).sum();
    query.edns().map_or(0, |_| 11 + options)
}

/// The result, and the OPT record of a client that sent one.
fn finish(mut writer: Writer<'_>, query: &Message<'_>, rcode: Rcode, room: &Room<'_>) {
    writer.set_flags(writer.flags().with_rcode(rcode));
    let Some(theirs) = query.edns() else { return };
    writer.set_limit(room.limit);
    let ours = Edns::new(MAX_UDP as u16, theirs.dnssec_ok);
    let Some(nsid) = nsid(query, room) else { return put(&mut writer, &ours, rcode, room.options) };
    let mut options = [nsid; MAX_OPTIONS + 1];
    let others = room.options.len().min(MAX_OPTIONS);
    options[..others].copy_from_slice(&room.options[..others]);
    put(&mut writer, &ours, rcode, &options[..=others]);
}

fn put(writer: &mut Writer<'_>, ours: &Edns<'_>, rcode: Rcode, options: &[EdnsOption<'_>]) {
    // The room was kept free; without it the client has asked for less than a header and a question take.
    let _ = writer.opt(ours, rcode, options);
}

/// The end of a name that is so many octets long.
fn tail(name: NameRef<'_>, len: usize) -> NameRef<'_> {
    let mut name = name;
    while let Some(above) = name.parent().filter(|above| above.wire().len() >= len) {
        name = above;
    }
    name
}
