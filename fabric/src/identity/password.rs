//! One-time passwords: what a spawner gives to what it starts, to be recognised by it once.
//!
//! A password has 32 random octets. People copy it as 55 letters in groups of five, with a sum that finds slips of the
//! pen. It never crosses the wire: both ends derive from it a *handle*, by which the spawner finds it, and a *shared
//! key*, with which the handshake proves that both have it (Noise NNpsk0). The spawner keeps these two and forgets the
//! password; it keeps them in memory only, so that none survives it.
//!
//! **Invariant:** a password is taken out by the first attempt with it, whether that succeeds or fails; a timeout, and
//! the end of what was started, take it out as well. Handles and keys are compared in constant time and wiped.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::units::Time;

/// Passwords that a spawner may have given out at a time; each stands for something that is being started.
pub const MAX_PASSWORDS: usize = 1_024;
/// How long a password is good for, unless its spawner says otherwise: the queue of a cluster is longer than that, and
/// has to say so.
pub const PASSWORD_TTL: Duration = Duration::from_secs(10 * 60);

const SECRET: usize = 32;
const SUM: usize = 2;
const LETTERS: usize = 55;
const GROUP: usize = 5;
const HANDLE_CONTEXT: &str = "gatehouse one-time password handle 1";
const KEY_CONTEXT: &str = "gatehouse one-time password key 1";
const SUM_CONTEXT: &str = "gatehouse one-time password sum 1";

/// Why a text is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Letters that are none of it, or too many or too few.
    #[error("a password has 55 letters and digits, a to z and 2 to 7")]
    Letters,
    /// Something was mistyped.
    #[error("the password was mistyped")]
    Mistyped,
}

/// Why no password is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_PASSWORDS} passwords are out already; wait until some were used or have ended")]
pub struct TooManyPasswords;

/// A one-time password; wiped when dropped, and never printed by accident.
pub struct Password(Zeroizing<[u8; SECRET]>);

impl Password {
    /// The password with these octets, which must be unpredictable and new.
    pub fn new(random: Zeroizing<[u8; SECRET]>) -> Password {
        Password(random)
    }

    /// What people copy; wiped when dropped.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut octets = Zeroizing::new([0; SECRET + SUM]);
        let (secret, sum) = octets.split_at_mut(SECRET);
        secret.copy_from_slice(self.0.as_ref());
        sum.copy_from_slice(&self.sum());
        let letters = Zeroizing::new(BASE32_NOPAD.encode(octets.as_ref()));
        let mut text = Zeroizing::new(String::with_capacity(LETTERS + LETTERS / GROUP));
        for (place, letter) in letters.chars().enumerate() {
            if place > 0 && place % GROUP == 0 {
                text.push('-');
            }
            text.push(letter.to_ascii_lowercase());
        }
        text
    }

    /// By what the spawner finds it. It says nothing about the password, and may be overheard.
    pub fn handle(&self) -> Handle {
        let mut handle = [0; 16];
        handle.iter_mut().zip(blake3::derive_key(HANDLE_CONTEXT, self.0.as_ref())).for_each(|(to, from)| *to = from);
        Handle(handle)
    }

    /// With what both ends prove that they have it.
    pub fn shared_key(&self) -> SharedKey {
        SharedKey(Zeroizing::new(blake3::derive_key(KEY_CONTEXT, self.0.as_ref())))
    }

    fn sum(&self) -> [u8; SUM] {
        let [first, second, ..] = blake3::derive_key(SUM_CONTEXT, self.0.as_ref());
        [first, second]
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl FromStr for Password {
    type Err = PasswordError;

    /// Reads what people typed: in large or small letters, with or without dashes and spaces.
    fn from_str(text: &str) -> Result<Password, PasswordError> {
        let mut letters = Zeroizing::new(String::with_capacity(LETTERS));
        for letter in text.chars().filter(|letter| *letter != '-' && !letter.is_whitespace()) {
            if letters.len() == LETTERS {
                return Err(PasswordError::Letters);
            }
            letters.push(if letter.is_ascii() { letter.to_ascii_uppercase() } else { '-' });
        }
        if letters.len() != LETTERS {
            return Err(PasswordError::Letters);
        }
        let octets = BASE32_NOPAD.decode(letters.as_bytes()).map_err(|_| PasswordError::Letters)?;
        let octets = Zeroizing::new(octets);
        let (secret, sum) = octets.split_first_chunk::<SECRET>().ok_or(PasswordError::Letters)?;
        let password = Password(Zeroizing::new(*secret));
        let right = bool::from(password.sum().as_slice().ct_eq(sum));
        if right { Ok(password) } else { Err(PasswordError::Mistyped) }
    }
}

/// What a password is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(pub [u8; 16]);

/// A key that both ends of a handshake have by a password; wiped when dropped.
pub struct SharedKey(Zeroizing<[u8; 32]>);

impl SharedKey {
    /// Its octets.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(..)")
    }
}

/// The passwords that a spawner has given out, each with what it was given out for.
#[derive(Debug)]
pub struct Passwords<T> {
    out: Vec<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    handle: Handle,
    key: SharedKey,
    until: Time,
    purpose: T,
}

impl<T> Default for Passwords<T> {
    fn default() -> Passwords<T> {
        Passwords { out: Vec::new() }
    }
}

impl<T> Passwords<T> {
    /// Remembers a password that is given out for `purpose`, until `until`.
    ///
    /// # Errors
    /// When [`MAX_PASSWORDS`] are out.
    pub fn give(&mut self, password: &Password, purpose: T, until: Time) -> Result<Handle, TooManyPasswords> {
        if self.out.len() >= MAX_PASSWORDS {
            return Err(TooManyPasswords);
        }
        let handle = password.handle();
        self.out.push(Entry { handle, key: password.shared_key(), until, purpose });
        Ok(handle)
    }

    /// The key and the purpose of the password with this handle, which from now on is good for nothing else: whoever
    /// comes with the handle again, or the handshake fails, needs a new password. Nothing if it is not out, or has ended.
    pub fn take(&mut self, handle: &Handle, now: Time) -> Option<(SharedKey, T)> {
        // Every entry is looked at, so that the time it takes says nothing about those that are out.
        let mut found = None;
        for (place, entry) in self.out.iter().enumerate() {
            if bool::from(entry.handle.0.ct_eq(&handle.0)) {
                found = Some(place);
            }
        }
        let Entry { key, purpose, until, .. } = self.out.swap_remove(found?);
        (now < until).then_some((key, purpose))
    }

    /// Burns the password with this handle: what was started has ended or failed. Its purpose, if it was still out.
    pub fn burn(&mut self, handle: &Handle) -> Option<T> {
        let place = self.out.iter().position(|entry| entry.handle == *handle)?;
        Some(self.out.swap_remove(place).purpose)
    }

    /// When the next password ends by itself.
    pub fn deadline(&self) -> Option<Time> {
        self.out.iter().map(|entry| entry.until).min()
    }

    /// Burns the passwords that have ended by now; their purposes.
    pub fn expire(&mut self, now: Time) -> Vec<T> {
        let ended = self.out.extract_if(.., |entry| entry.until <= now);
        ended.map(|entry| entry.purpose).collect()
    }

    /// How many are out.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether none is out.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(number: u8) -> Password {
        Password::new(Zeroizing::new([number; SECRET]))
    }

    const NOW: Time = Time::from_millis(1_000);
    const END: Time = Time::from_millis(2_000);

    #[test]
    fn what_people_copy_is_read_however_they_type_it() {
        let text = password(5).to_text();
        assert_eq!(text.len(), LETTERS + 10);
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [GROUP; 11]);
        let typed =
            [text.to_string(), text.to_uppercase(), text.replace('-', ""), format!(" {}\n", text.replace('-', " "))];
        for typed in typed {
            let read: Password = typed.parse().unwrap();
            assert_eq!(read.0, password(5).0);
        }
    }

    #[test]
    fn slips_are_noticed() {
        let text = password(0x5A).to_text();
        for place in text.char_indices().filter(|(_, letter)| *letter != '-').map(|(place, _)| place) {
            let mut slipped = text.to_string();
            let other = if &text[place..=place] == "a" { "b" } else { "a" };
            slipped.replace_range(place..=place, other);
            assert!(slipped.parse::<Password>().is_err(), "{slipped}");
        }
        for wrong in ["", "abcde", &text[..64], &format!("{}a", text.as_str()), &text.replace('-', "1"), "ä"] {
            assert_eq!(wrong.parse::<Password>().unwrap_err(), PasswordError::Letters, "{wrong}");
        }
    }

    #[test]
    fn a_password_is_good_once() {
        let mut passwords = Passwords::default();
        let handle = passwords.give(&password(1), "agent", END).unwrap();
        passwords.give(&password(2), "bridge", END).unwrap();
        assert!(passwords.take(&password(3).handle(), NOW).is_none(), "a wrong one");
        let (key, purpose) = passwords.take(&handle, NOW).unwrap();
        assert_eq!((key.as_bytes(), purpose), (password(1).shared_key().as_bytes(), "agent"));
        assert!(passwords.take(&handle, NOW).is_none(), "used before");
        assert_eq!(passwords.len(), 1);
    }

    #[test]
    fn a_password_ends_by_itself_and_with_what_was_started() {
        let mut passwords = Passwords::default();
        let [one, two, three] = [1, 2, 3].map(|number| passwords.give(&password(number), number, END).unwrap());
        assert!(passwords.take(&one, END).is_none(), "too late, and burnt by that");
        assert_eq!((passwords.len(), passwords.deadline()), (2, Some(END)));
        assert_eq!((passwords.burn(&two), passwords.burn(&two)), (Some(2), None));
        assert_eq!((passwords.expire(NOW), passwords.expire(END)), (vec![], vec![3]));
        assert!(passwords.take(&three, NOW).is_none() && passwords.is_empty() && passwords.deadline().is_none());
    }

    #[test]
    fn passwords_are_bounded_and_not_printed() {
        let mut passwords = Passwords::default();
        for number in 0..MAX_PASSWORDS {
            let mut random = Zeroizing::new([0; SECRET]);
            random[..8].copy_from_slice(&(number as u64).to_be_bytes());
            passwords.give(&Password::new(random), (), END).unwrap();
        }
        assert_eq!(passwords.give(&password(9), (), END), Err(TooManyPasswords));
        let one = password(0xEE);
        assert_eq!(format!("{one:?} {:?}", one.shared_key()), "Password(..) SharedKey(..)");
    }

    #[test]
    fn a_handle_says_nothing_of_the_key() {
        let one = password(1);
        assert_ne!(one.handle().0, one.shared_key().as_bytes()[..16]);
        assert_ne!(one.handle(), password(2).handle());
    }
}
