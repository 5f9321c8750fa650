//! DNS cookies (RFC 7873) with the server cookie that all servers of a name can make and check alike (RFC 9018).
//!
//! The server keeps nothing about a client: its cookie is a hash over the client's cookie, the time and the client's
//! address, under a secret. A secret that was replaced still checks cookies, so that a change bothers nobody.

use std::net::IpAddr;

use super::sip_hash;

/// The data of a COOKIE option with both cookies, in octets: 8 of the client's, 16 of ours (RFC 9018, 4).
pub const COOKIE_LEN: usize = CLIENT_LEN + SERVER_LEN;

/// What server cookies are made with; the same on all servers of one address (RFC 9018, 4.4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

/// Makes and checks cookies.
#[derive(Clone, Debug)]
pub struct Cookies {
    secret: Secret,
    previous: Option<Secret>,
}

/// What a client's COOKIE option says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A length that no cookie has: FORMERR (RFC 7873, 5.2.2).
    Malformed,
    /// No server cookie yet, or none that is ours and fresh; the answer carries this one.
    Unproven([u8; COOKIE_LEN]),
    /// The client was told this cookie at this address: nobody else's address is meant. The answer carries this one.
    Proven([u8; COOKIE_LEN]),
}

impl Cookies {
    /// With a random secret.
    pub fn new(secret: Secret) -> Self {
        Self { secret, previous: None }
    }

    /// From now on makes cookies with another secret; those of the one before stay good for as long as they live.
    pub fn roll(&mut self, secret: Secret) {
        self.previous = Some(std::mem::replace(&mut self.secret, secret));
    }

    /// Judges the data of a COOKIE option from `client`; `now` in seconds since 1970.
    pub fn judge(&self, option: &[u8], client: IpAddr, now: u64) -> Standing {
        let Some((theirs, server)) = option.split_first_chunk::<CLIENT_LEN>() else { return Standing::Malformed };
        match server.len() {
            0 => return Standing::Unproven(self.make(theirs, client, now)),
            SERVER_LEN_LEAST..=SERVER_LEN_MOST => {}
            _ => return Standing::Malformed,
        }
        match self.state_of(theirs, server, client, now) {
            Some(State::Fresh) => {
                let mut same = [0; COOKIE_LEN];
                same.copy_from_slice(option);
                Standing::Proven(same)
            }
            Some(State::Old) => Standing::Proven(self.make(theirs, client, now)),
            None => Standing::Unproven(self.make(theirs, client, now)),
        }
    }

    /// Both cookies, as an answer carries them.
    fn make(&self, theirs: &[u8; CLIENT_LEN], client: IpAddr, now: u64) -> [u8; COOKIE_LEN] {
        let mut cookie = [0; COOKIE_LEN];
        cookie[..8].copy_from_slice(theirs);
        cookie[8] = VERSION;
        cookie[12..16].copy_from_slice(&(now as u32).to_be_bytes());
        let hash = hash(self.secret, theirs, &cookie[8..16], client);
        cookie[16..].copy_from_slice(&hash);
        cookie
    }

    /// What a server cookie is worth, when it is one of ours that is still good (RFC 9018, 4.3).
    fn state_of(&self, theirs: &[u8; CLIENT_LEN], server: &[u8], client: IpAddr, now: u64) -> Option<State> {
        let server = <&[u8; SERVER_LEN]>::try_from(server).ok().filter(|server| server[0] == VERSION)?;
        let made = u32::from_be_bytes([server[4], server[5], server[6], server[7]]);
        // Both are times on a circle (RFC 1982), as the 32 bits end in 2106.
        let age = (now as u32).wrapping_sub(made).cast_signed();
        if !(-FUTURE..=LIFETIME).contains(&age) {
            return None;
        }
        let is_made_with = |secret| differ(&hash(secret, theirs, &server[..8], client), &server[8..]) == 0;
        if is_made_with(self.secret) {
            return Some(if age < RENEW_AFTER { State::Fresh } else { State::Old });
        }
        self.previous.is_some_and(is_made_with).then_some(State::Old)
    }
}

/// What a good server cookie is worth.
enum State {
    /// It is good for a while.
    Fresh,
    /// It is good, and a new one is due.
    Old,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// RFC 9018, 4.4: over client cookie, version, reserved octets, time and address.
fn hash(secret: Secret, theirs: &[u8; CLIENT_LEN], front: &[u8], client: IpAddr) -> [u8; 8] {
    let hash = match client.to_canonical() {
        IpAddr::V4(address) => sip_hash(&secret.0, &[theirs, front, &address.octets()]),
        IpAddr::V6(address) => sip_hash(&secret.0, &[theirs, front, &address.octets()]),
    };
    hash.to_le_bytes()
}

/// Not zero when the two differ; takes as long whether they do or not, so that nobody finds a cookie octet by octet.
fn differ(a: &[u8], b: &[u8]) -> u8 {
    a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b))
}

const CLIENT_LEN: usize = 8;
const SERVER_LEN: usize = 16;
/// Other servers' cookies are of other lengths (RFC 7873, 4.2), and well-formed.
const SERVER_LEN_LEAST: usize = 8;
const SERVER_LEN_MOST: usize = 32;
const VERSION: u8 = 1;
/// Seconds until a cookie is refused (RFC 9018, 4.3).
const LIFETIME: i32 = 3600;
/// Seconds that another server's clock may be ahead (RFC 9018, 4.3).
const FUTURE: i32 = 300;
/// Seconds after which a client gets a new cookie for its old one (RFC 9018, 4.3).
const RENEW_AFTER: i32 = 1800;

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Secret = Secret(0xe5e9_73e5_a6b2_a43f_48e7_dc84_9e37_bfcf_u128.to_be_bytes());
    const BEFORE_SECOND: Secret = Secret(0xdd3b_df93_44b6_78b1_85a6_f5cb_60fc_a715_u128.to_be_bytes());
    const SECOND: Secret = Secret(0x4455_36bc_d251_3298_075a_5d37_9663_c962_u128.to_be_bytes());

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).expect("hexadecimal")
    }

    fn judge(cookies: &Cookies, option: &str, client: &str, now: u64) -> (bool, String) {
        let (proven, cookie) = match cookies.judge(&hex(option), client.parse().expect("an address"), now) {
            Standing::Malformed => return (false, "malformed".into()),
            Standing::Unproven(cookie) => (false, cookie),
            Standing::Proven(cookie) => (true, cookie),
        };
        (proven, data_encoding::HEXLOWER.encode(&cookie))
    }

    /// The examples of RFC 9018, appendix A.
    #[test]
    fn cookies_are_those_of_the_standard() {
        let mut cookies = Cookies::new(FIRST);
        let (v4, other, v6) = ("198.51.100.100", "203.0.113.203", "2001:db8:220:1:59de:d0f4:8769:82b8");
        let learned = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        assert_eq!(judge(&cookies, "2464c4abcf10c957", v4, 1_559_731_985), (false, learned.into()));
        let renewed = "2464c4abcf10c957010000005cf7a871d4a564a1442aca77";
        assert_eq!(judge(&cookies, learned, v4, 1_559_734_385), (true, renewed.into()));
        // The reserved octets of another server are hashed as they are.
        let reserved = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
        assert!(judge(&cookies, reserved, other, 1_559_728_000).0);
        assert_eq!(
            judge(&cookies, reserved, other, 1_559_734_700),
            (false, "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e".into())
        );
        let rolled = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
        cookies.roll(BEFORE_SECOND);
        cookies.roll(SECOND);
        assert_eq!(
            judge(&cookies, rolled, v6, 1_559_741_961),
            (true, "22681ab97d52c298010000005cf7c609a6bb79d16625507a".into())
        );
    }

    #[test]
    fn a_fresh_cookie_is_given_back_as_it_is() {
        let cookies = Cookies::new(FIRST);
        let learned = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        let judged = judge(&cookies, learned, "::ffff:198.51.100.100", 1_559_731_985 + 1799);
        assert_eq!(judged, (true, learned.into()));
    }

    #[test]
    fn a_cookie_belongs_to_its_address_its_time_and_its_secret() {
        let cookies = Cookies::new(FIRST);
        let (v4, made) = ("198.51.100.100", 1_559_731_985);
        let learned = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        for (option, client, now, proven) in [
            (learned, v4, made + 3600, true),
            (learned, v4, made + 3601, false),
            (learned, v4, made - 300, true),
            (learned, v4, made - 301, false),
            (learned, "198.51.100.101", made, false),
            ("2464c4abcf10c957010000005cf79f111f8130c3eee29481", v4, made, false),
            ("2464c4abcf10c957020000005cf79f111f8130c3eee29480", v4, made, false),
            ("2464c4abcf10c9570100000000000000", v4, made, false),
        ] {
            assert_eq!(judge(&cookies, option, client, now).0, proven, "{option} {client} {now}");
        }
        let mut twice = Cookies::new(FIRST);
        twice.roll(SECOND);
        twice.roll(SECOND);
        assert!(!judge(&twice, learned, v4, made).0, "a secret replaced twice is gone");
    }

    #[test]
    fn lengths_that_no_cookie_has_are_malformed() {
        let cookies = Cookies::new(FIRST);
        for (len, malformed) in
            [(0, true), (7, true), (8, false), (9, true), (15, true), (16, false), (40, false), (41, true)]
        {
            let standing = cookies.judge(&vec![0; len], IpAddr::from([127, 0, 0, 1]), 0);
            assert_eq!(standing == Standing::Malformed, malformed, "{len}");
        }
    }
}
