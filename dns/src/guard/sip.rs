//! SipHash-2-4, a keyed hash of short inputs that nobody without the key can aim at (Aumasson and Bernstein, 2012).

/// The hash of the concatenation of `parts` under `key`. As octets the hash is little-endian.
pub fn sip_hash(key: &[u8; 16], parts: &[&[u8]]) -> u64 {
    let (low, high) = key.split_at(8);
    let (k0, k1) = (word(low), word(high));
    let mut state = State([
        k0 ^ u64::from_be_bytes(*b"somepseu"),
        k1 ^ u64::from_be_bytes(*b"dorandom"),
        k0 ^ u64::from_be_bytes(*b"lygenera"),
        k1 ^ u64::from_be_bytes(*b"tedbytes"),
    ]);
    let (mut pending, mut have, mut total) = ([0; 8], 0, 0u8);
    for &octet in parts.iter().copied().flatten() {
        pending[have] = octet;
        have += 1;
        total = total.wrapping_add(1);
        if have == 8 {
            state.absorb(u64::from_le_bytes(pending));
            (pending, have) = ([0; 8], 0);
        }
    }
    // The last word ends with the length, modulo 256.
    pending[7] = total;
    state.absorb(u64::from_le_bytes(pending));
    state.0[2] ^= 0xff;
    for _ in 0..4 {
        state.round();
    }
    state.0.iter().fold(0, |hash, v| hash ^ v)
}

struct State([u64; 4]);

impl State {
    fn absorb(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.round();
        self.0[0] ^= word;
    }

    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.0 = [a, b, c, d];
    }
}

fn word(octets: &[u8]) -> u64 {
    octets.iter().rev().fold(0, |word, octet| word << 8 | u64::from(*octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_paper() {
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        let input: Vec<u8> = (0..15).collect();
        // Appendix A of the paper.
        assert_eq!(sip_hash(&key, &[&input]), 0xa129_ca61_49be_45e5);
        assert_eq!(sip_hash(&key, &[&input[..3], &[], &input[3..11], &input[11..]]), 0xa129_ca61_49be_45e5);
        assert_eq!(sip_hash(&key, &[]), 0x726f_db47_dd0e_0e31);
    }
}
