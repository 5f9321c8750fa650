//! Response rate limiting: so many answers of a kind a second to one network.
//!
//! A forged query makes its victim a client. What the victim gets is therefore counted by its network and by what was
//! answered, and once more by its network alone, for those who ask for one name after the other; past either limit most
//! answers are dropped and every [`SLIP`]th is cut down to a truncated one, so that a real client behind the same addresses
//! goes on over TCP. Each account is a bucket of credit that fills with time. A limiter belongs to one thread; threads that
//! share a rate have a [`share`] of it each.

use std::net::IpAddr;

use super::sip_hash;
use crate::name::{MAX_LEN, NameRef};

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent.
    Send,
    /// An empty one with TC is sent instead; BADCOOKIE if the client sent a cookie of its own.
    Slip,
    /// Nothing is sent.
    Drop,
}

/// Answers that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Records, counted by their owner: for a wildcard's answer that is the wildcard.
    Answer,
    /// The name exists without such records; counted by the name.
    NoData,
    /// A delegation, counted by the cut.
    Referral,
    /// No such name, counted by the zone: the names asked for are as many as one likes.
    NoName,
    /// Any error, all counted together; the name is the root.
    Error,
}

/// Counts answers to networks.
#[derive(Debug)]
pub struct Limiter {
    /// Answers of a kind a second.
    rate: i64,
    key: [u8; 16],
    accounts: Box<[Account]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    /// Thousandths of answers; below zero is limited.
    credit: i64,
    /// Milliseconds.
    seen: u64,
    /// How many times the limiter's rate it grows by.
    times: i64,
    /// Part of the hash of whose it is; zero for nobody's.
    tag: u32,
    /// Answers limited since the last that slipped.
    held: u32,
}

impl Limiter {
    /// For `rate` answers a second; `key` is random, so that nobody can choose whose account his queries fall into.
    pub fn new(rate: u32, key: [u8; 16]) -> Self {
        Self { rate: i64::from(rate.max(1)), key, accounts: vec![Account::default(); ACCOUNTS].into() }
    }

    /// Counts one answer about `name` to `client`; `now` in milliseconds of any clock that only goes forward.
    pub fn judge(&mut self, client: IpAddr, kind: Kind, name: NameRef<'_>, now: u64) -> Verdict {
        let (network, rate) = (network(client), self.rate);
        let hash = sip_hash(&self.key, &[&network, &[kind as u8], name.lowered(&mut [0; MAX_LEN])]);
        match self.account(hash, 1, now).charge(rate) {
            // What is not sent does not count against the network.
            Verdict::Send => {
                let all = sip_hash(&self.key, &[&network]);
                self.account(all, IN_ALL, now).charge(rate * IN_ALL)
            }
            held => held,
        }
    }

    /// The account of a hash, its credit brought up to `now`. A new one takes the place of the one in its row that has
    /// the most credit for its rate, which is `times` that of the limiter: the network that is limited least.
    fn account(&mut self, hash: u64, times: i64, now: u64) -> &mut Account {
        let row = (hash as usize % (ACCOUNTS / WAYS)) * WAYS;
        let tag = ((hash >> 32) as u32).max(1);
        let accounts = &mut self.accounts[row..row + WAYS];
        for account in accounts.iter_mut() {
            let rate = self.rate * account.times;
            let earned = i64::try_from(now.saturating_sub(account.seen)).unwrap_or(i64::MAX).saturating_mul(rate);
            account.credit = account.credit.saturating_add(earned).min(rate * ONE);
            account.seen = account.seen.max(now);
        }
        let known = accounts.iter().position(|account| account.tag == tag);
        let chosen = known.unwrap_or_else(|| {
            let free = |i: &usize| (accounts[*i].tag == 0, accounts[*i].credit / accounts[*i].times.max(1));
            (0..WAYS).max_by_key(free).unwrap_or_default()
        });
        if known.is_none() {
            accounts[chosen] = Account { credit: self.rate * times * ONE, seen: now, times, tag, held: 0 };
        }
        &mut accounts[chosen]
    }
}

impl Account {
    /// Takes one answer off an account that grows by `rate` a second.
    fn charge(&mut self, rate: i64) -> Verdict {
        self.credit = (self.credit - ONE).max(-rate * ONE * WINDOW);
        if self.credit >= 0 {
            self.held = 0;
            return Verdict::Send;
        }
        self.held += 1;
        if self.held < SLIP {
            return Verdict::Drop;
        }
        self.held = 0;
        Verdict::Slip
    }
}

/// What each of some threads may answer when all of them together may answer so much: whoever asks from many ports is
/// spread over all of them.
pub fn share(rate: u32, threads: usize) -> u32 {
    rate.div_ceil(u32::try_from(threads.max(1)).unwrap_or(u32::MAX))
}

/// The addresses that are taken for one client: what one customer of a provider has at most.
pub fn network(client: IpAddr) -> [u8; 8] {
    let mut network = [0; 8];
    match client.to_canonical() {
        IpAddr::V4(address) => {
            network[0] = 4;
            network[1..4].copy_from_slice(&address.octets()[..3]);
        }
        IpAddr::V6(address) => {
            network[0] = 6;
            network[1..].copy_from_slice(&address.octets()[..7]);
        }
    }
    network
}

/// How many times its rate for one answer a network gets in all.
const IN_ALL: i64 = 5;
/// Networks and kinds that are remembered at once, in about a megabyte; an attack on more victims than that is thin for each.
const ACCOUNTS: usize = 1 << 15;
/// How many accounts a hash may be in.
const WAYS: usize = 4;
/// The price of an answer: credit grows by the rate a millisecond.
const ONE: i64 = 1000;
/// Seconds that a network which asks without end stays limited after it stops.
const WINDOW: i64 = 5;
/// Every how manieth limited answer is sent as a truncated one.
const SLIP: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    const NOW: u64 = 1_000_000;

    fn count(limiter: &mut Limiter, client: &str, kind: Kind, now: u64, times: usize) -> [usize; 3] {
        let name: Name = "Www.example.com".parse().expect("a name");
        let mut verdicts = [0; 3];
        for _ in 0..times {
            verdicts[limiter.judge(client.parse().expect("an address"), kind, name.as_ref(), now) as usize] += 1;
        }
        verdicts
    }

    #[test]
    fn past_the_rate_half_is_dropped_and_half_slips() {
        let mut limiter = Limiter::new(5, [7; 16]);
        assert_eq!(count(&mut limiter, "192.0.2.1", Kind::Answer, NOW, 25), [5, 10, 10]);
        assert_eq!(count(&mut limiter, "192.0.2.200", Kind::Answer, NOW, 2), [0, 1, 1], "the same /24");
        assert_eq!(count(&mut limiter, "::ffff:192.0.2.3", Kind::Answer, NOW, 2), [0, 1, 1], "the same address");
        assert_eq!(count(&mut limiter, "192.0.3.1", Kind::Answer, NOW, 5), [5, 0, 0], "another network");
        assert_eq!(count(&mut limiter, "192.0.2.1", Kind::NoName, NOW, 5), [5, 0, 0], "another kind");
    }

    #[test]
    fn a_customer_of_ipv6_is_a_56() {
        let mut limiter = Limiter::new(1, [7; 16]);
        assert_eq!(count(&mut limiter, "2001:db8:0:aa00::1", Kind::Answer, NOW, 1), [1, 0, 0]);
        assert_eq!(count(&mut limiter, "2001:db8:0:aaff::1", Kind::Answer, NOW, 1), [0, 0, 1]);
        assert_eq!(count(&mut limiter, "2001:db8:0:ab00::1", Kind::Answer, NOW, 1), [1, 0, 0]);
    }

    #[test]
    fn one_name_after_the_other_is_limited_in_all() {
        let mut limiter = Limiter::new(5, [7; 16]);
        let mut ask = |client: [u8; 4], number: usize| {
            let name: Name = format!("n{number}.example.com").parse().expect("a name");
            limiter.judge(client.into(), Kind::Answer, name.as_ref(), NOW)
        };
        let sent = (0..100).filter(|number| ask([192, 0, 2, *number as u8], *number) == Verdict::Send).count();
        assert_eq!(sent, 25);
        assert_eq!(ask([192, 0, 3, 1], 0), Verdict::Send, "another network");
    }

    #[test]
    fn threads_share_a_rate() {
        assert_eq!([(50, 1), (50, 4), (1, 8), (50, 0)].map(|(rate, threads)| share(rate, threads)), [50, 13, 1, 50]);
    }

    #[test]
    fn credit_comes_back_with_time() {
        let mut limiter = Limiter::new(10, [7; 16]);
        assert_eq!(count(&mut limiter, "192.0.2.1", Kind::Answer, NOW, 11)[0], 10);
        // Twelve further ones are owed 1.2 seconds.
        assert_eq!(count(&mut limiter, "192.0.2.1", Kind::Answer, NOW, 11)[0], 0);
        assert_eq!(count(&mut limiter, "192.0.2.1", Kind::Answer, NOW + 1200, 1)[0], 0);
        assert_eq!(count(&mut limiter, "192.0.2.1", Kind::Answer, NOW + 1400, 1)[0], 1);
        assert_eq!(count(&mut limiter, "192.0.2.1", Kind::Answer, NOW + 60_000, 20)[0], 10, "one second's at most");
    }

    #[test]
    fn an_endless_flood_is_forgiven_after_the_window() {
        let mut limiter = Limiter::new(10, [7; 16]);
        count(&mut limiter, "192.0.2.1", Kind::Error, NOW, 100_000);
        assert_eq!(count(&mut limiter, "192.0.2.1", Kind::Error, NOW + 5000, 1)[0], 0);
        assert_eq!(count(&mut limiter, "192.0.2.1", Kind::Error, NOW + 5300, 1)[0], 1);
    }

    #[test]
    fn the_table_is_bounded_and_keeps_the_limited() {
        let mut limiter = Limiter::new(1, [7; 16]);
        assert_eq!(count(&mut limiter, "192.0.2.1", Kind::Answer, NOW, 10)[0], 1);
        let root = Name::root();
        for network in 0..ACCOUNTS as u32 * 4 {
            limiter.judge(IpAddr::from((network << 8).to_be_bytes()), Kind::Error, root.as_ref(), NOW);
        }
        assert_eq!(count(&mut limiter, "192.0.2.1", Kind::Answer, NOW, 1)[0], 0, "still limited");
    }

    #[test]
    fn a_clock_that_stands_or_jumps_does_no_harm() {
        let mut limiter = Limiter::new(u32::MAX, [7; 16]);
        assert_eq!(count(&mut limiter, "192.0.2.1", Kind::Answer, u64::MAX, 2)[0], 2);
        assert_eq!(count(&mut limiter, "192.0.2.1", Kind::Answer, 0, 2)[0], 2);
    }
}
