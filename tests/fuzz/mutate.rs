//! Makes new inputs from known ones; the same seed makes the same inputs.

/// No input grows beyond this; every decoder's own limit is below it.
const MAX_INPUT: usize = 4_096;

/// Values at which comparisons and additions change their mind.
const EDGES: [u8; 10] = [0, 1, 9, 0x1F, 0x20, 0x7F, 0x80, 0xC0, 0xFE, 0xFF];

/// Pieces that text formats give a meaning to.
const PIECES: [&[u8]; 24] = [
    b"\"",
    b"\n",
    b"[",
    b"]",
    b"[[",
    b"{",
    b"}",
    b"=",
    b".",
    b"-",
    b"ms",
    b"99999999999999999999",
    b"\xF0\x9F\x9A\xAA",
    b"#",
    b"(",
    b")",
    b";",
    b"\\",
    b"\\# 1 00",
    b"$TTL ",
    b"@",
    b"*",
    b",",
    b"\xC0\x0C",
];

/// A source of mutations, driven by Marsaglia's xorshift64.
pub struct Mutator(u64);

impl Mutator {
    /// A mutator that makes what `seed` decides.
    pub fn new(seed: u64) -> Mutator {
        Mutator(seed.max(1))
    }

    /// One of the corpus, changed in one to eight ways.
    pub fn mutate(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut input, corpus);
        }
        input.truncate(MAX_INPUT);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let end = at + self.below(input.len() - at + 1).min(32);
        let byte = self.below(256) as u8;
        match self.below(10) {
            0 => flip(input, at, 1 << self.below(8)),
            1 => flip(input, at, byte),
            2 => set(input, at, EDGES[self.below(EDGES.len())]),
            3 => set(input, at, byte),
            4 => input.insert(at, byte),
            5 => drop(input.drain(at..end)),
            6 => input.truncate(at),
            7 => {
                let again = input[at..end].to_vec();
                drop(input.splice(at..at, again));
            }
            8 => drop(input.splice(at..at, PIECES[self.below(PIECES.len())].iter().copied())),
            _ => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                drop(input.splice(at.., other[from..].iter().copied()));
            }
        }
    }

    /// A number below `limit`, which is not zero.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn flip(input: &mut [u8], at: usize, bits: u8) {
    if let Some(byte) = input.get_mut(at) {
        *byte ^= bits;
    }
}

fn set(input: &mut [u8], at: usize, value: u8) {
    if let Some(byte) = input.get_mut(at) {
        *byte = value;
    }
}
