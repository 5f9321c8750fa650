//! One DNS question and whether a datagram answers it (RFC 1035, 4.1). Pure; reading is total.

/// The bytes before the question.
const HEADER: usize = 12;

/// A question for the IPv4 addresses of a name.
#[derive(Clone, Debug)]
pub struct Question {
    id: [u8; 2],
    /// Name, type and class as they go over the wire.
    section: Vec<u8>,
}

/// What a datagram says to a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The question was answered without an error (NOERROR), with this many records.
    Good {
        /// The records in the answer section.
        records: u16,
    },
    /// The server refused or failed: its response code.
    Bad {
        /// RFC 1035, 4.1.1; 1 to 15.
        rcode: u8,
    },
    /// Not a reply to this question.
    Unrelated,
}

impl Question {
    /// Asks for type A of `name`, a list of labels of 1 to 63 bytes; `id` should be unpredictable.
    pub fn new(id: [u8; 2], name: &str) -> Question {
        let mut section = Vec::new();
        for label in name.split('.') {
            // The configuration has checked the lengths; a longer label would be cut, never misread.
            let label = label.as_bytes().get(..63).unwrap_or(label.as_bytes());
            section.push(u8::try_from(label.len()).unwrap_or(0));
            section.extend_from_slice(label);
        }
        section.extend_from_slice(&[0, 0, 1, 0, 1]);
        Question { id, section }
    }

    /// The datagram to send.
    pub fn encode(&self) -> Vec<u8> {
        let recursion_desired = 0x01;
        let mut datagram = vec![self.id[0], self.id[1], recursion_desired, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        datagram.extend_from_slice(&self.section);
        datagram
    }

    /// What `datagram` says to it.
    pub fn read(&self, datagram: &[u8]) -> Reply {
        let Some(([id0, id1, flags, rcode, questions @ .., an0, an1, _, _, _, _], rest)) =
            datagram.split_first_chunk::<HEADER>()
        else {
            return Reply::Unrelated;
        };
        let response_to_query = flags & 0b1111_1000 == 0b1000_0000;
        if [*id0, *id1] != self.id || !response_to_query {
            return Reply::Unrelated;
        }
        let rcode = rcode & 0x0f;
        let repeated =
            rest.get(..self.section.len()).is_some_and(|section| section.eq_ignore_ascii_case(&self.section));
        match (rcode, *questions == [0, 1] && repeated) {
            (0, true) => Reply::Good { records: u16::from_be_bytes([*an0, *an1]) },
            // A server that could not read the question need not repeat it.
            (1.., _) => Reply::Bad { rcode },
            (0, false) => Reply::Unrelated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_on_the_wire() {
        let expected =
            [&[0xab, 0xcd, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x07example\x03org\x00", &[0, 1, 0, 1]];
        assert_eq!(question().encode(), expected.concat());
    }

    #[test]
    fn replies() {
        let good = reply(0x80, 0x80);
        let mut other_id = good.clone();
        other_id[0] ^= 1;
        let mut other_name = good.clone();
        other_name[13] = b'x';
        let mut other_case = good.clone();
        other_case[13] = b'E';
        let mut no_question = good.clone();
        no_question[5] = 0;
        let cases = [
            (good.clone(), Reply::Good { records: 2 }),
            (other_case, Reply::Good { records: 2 }),
            (reply(0x80, 0x82), Reply::Bad { rcode: 2 }),
            (reply(0x80, 0x83)[..12].to_vec(), Reply::Bad { rcode: 3 }),
            (reply(0x01, 0x00), Reply::Unrelated),
            (reply(0xa8, 0x00), Reply::Unrelated),
            (other_id, Reply::Unrelated),
            (other_name, Reply::Unrelated),
            (no_question, Reply::Unrelated),
            (good[..20].to_vec(), Reply::Unrelated),
            (Vec::new(), Reply::Unrelated),
        ];
        for (datagram, expected) in cases {
            assert_eq!(question().read(&datagram), expected, "{datagram:02x?}");
        }
    }

    fn question() -> Question {
        Question::new([0xab, 0xcd], "example.org")
    }

    fn reply(flags: u8, rcode: u8) -> Vec<u8> {
        let mut datagram = question().encode();
        datagram[2] = flags;
        datagram[3] = rcode;
        datagram[7] = 2;
        datagram
    }
}
