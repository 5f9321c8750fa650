"""Updates that nsupdate cannot write: wrong forms, leases, many records, many at once on one connection."""

import struct
import sys

import dns.edns
import dns.message
import dns.query
import dns.rcode
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import dns.update
from dns.rdataclass import ANY, CH, IN, NONE

PORT = int(sys.argv[1])
KEYS = dict(argument.split(":")[1:] for argument in sys.argv[2:])
RING = dns.tsigkeyring.from_text(KEYS)


def update(zone="dyn.test.", **more):
    return dns.update.UpdateMessage(zone, keyring=RING, keyname="k256", keyalgorithm=dns.tsig.HMAC_SHA256, **more)


def send(message, over=dns.query.udp):
    # dnspython checks the signature of the answer, and raises if it is missing or wrong.
    return over(message, "127.0.0.1", port=PORT, timeout=10)


def expect(message, rcode, over=dns.query.udp):
    answer = send(message, over)
    assert answer.rcode() == rcode, (dns.rcode.to_text(answer.rcode()), message.to_text())
    assert answer.had_tsig, "the answer is not signed"
    return answer


def raw(section, ttl, rdclass):
    """An update with one address record in the given section, right or wrong in form."""
    message = update()
    rrset = dns.rrset.from_text("a.dyn.test.", ttl, "IN", "A", "10.0.0.1")
    rrset.rdclass = rdclass
    message.sections[section].append(rrset)
    return message


def address(name, kind="A"):
    query = dns.message.make_query(name, kind)
    answer = dns.query.udp(query, "127.0.0.1", port=PORT, timeout=10)
    return sorted(str(item) for rrset in answer.answer for item in rrset)


def serial():
    answer = dns.query.udp(dns.message.make_query("dyn.test.", "SOA"), "127.0.0.1", port=PORT, timeout=10)
    return answer.answer[0][0].serial


# Forms that RFC 2136 calls malformed, in either section.
for section, ttl, rdclass in [(1, 60, IN), (1, 0, CH), (1, 0, NONE), (2, 60, CH), (2, 60, NONE), (2, 0, ANY)]:
    expect(raw(section, ttl, rdclass), dns.rcode.FORMERR)
assert address("a.dyn.test.") == []

# A change that changes nothing leaves the serial as it is.
message = update()
message.replace("same", 60, "A", "10.0.0.9")
expect(message, dns.rcode.NOERROR)
before = serial()
message = update()
message.replace("same", 60, "A", "10.0.0.9")
expect(message, dns.rcode.NOERROR)
assert serial() == before

# Many records in one message, over TCP.
message = update()
for index in range(1500):
    message.add("many", 60, "A", "10.1.%d.%d" % (index // 250, index % 250))
expect(message, dns.rcode.NOERROR, dns.query.tcp)
assert serial() == before + 1
message = update()
message.present("many")
message.absent("nothing")
message.delete("many")
expect(message, dns.rcode.NOERROR)

# A lease: told in the answer, refreshed without a new serial; the other record stays when it has ended.
lease = dns.edns.GenericOption(2, struct.pack("!I", 2))
message = update()
message.use_edns(0, options=[lease])
message.add("leased", 60, "A", "10.0.0.1")
answer = expect(message, dns.rcode.NOERROR)
assert [option.data for option in answer.options if option.otype == 2] == [lease.data], answer.to_text()
message = update()
message.add("kept", 60, "A", "10.0.0.2")
expect(message, dns.rcode.NOERROR)
before = serial()
message = update()
message.use_edns(0, options=[lease])
message.add("leased", 60, "A", "10.0.0.1")
expect(message, dns.rcode.NOERROR)
assert serial() == before
assert address("leased.dyn.test.") == ["10.0.0.1"]
