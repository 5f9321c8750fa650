"""The class of certbot that sets and removes challenges by RFC 2136, without an ACME server."""

import sys

import dns.message
import dns.query
import dns.tsig
from certbot_dns_rfc2136._internal.dns_rfc2136 import _RFC2136Client

PORT = int(sys.argv[1])
KEYS = dict(argument.split(":")[1:] for argument in sys.argv[2:])
NAME = "_acme-challenge.dyn.test"


def challenge():
    answer = dns.query.udp(dns.message.make_query(NAME, "TXT"), "127.0.0.1", port=PORT, timeout=10)
    return [str(item) for rrset in answer.answer for item in rrset]


for token in ("one", "two"):
    client = _RFC2136Client("127.0.0.1", PORT, "acme", KEYS["acme"], dns.tsig.HMAC_SHA256)
    client.add_txt_record(NAME, token, 60)
    assert challenge() == ['"%s"' % token], challenge()
    client.del_txt_record(NAME, token)
    assert challenge() == [], challenge()
