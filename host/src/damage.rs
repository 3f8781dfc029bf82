//! Damage of many kinds in a text that rivet wrote. The product's tests use it as well.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "for tests")]

/// xorshift64: the same damage in every run of the test.
pub struct Random(u64);

impl Random {
    /// The same numbers for the same seed, which is not 0.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`; 0 below 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

/// The bytes with one bit, digit, stretch or line changed.
pub fn damaged(body: &[u8], random: &mut Random) -> Vec<u8> {
    let mut body = body.to_vec();
    if body.is_empty() {
        return body;
    }
    let at = random.below(body.len());
    match random.below(7) {
        0 => body[at] ^= 1 << random.below(8),
        1 => {
            let digits: Vec<usize> = (0..body.len()).filter(|at| body[*at].is_ascii_digit()).collect();
            if let Some(at) = digits.get(random.below(digits.len())) {
                body[*at] = b'0' + u8::try_from(random.below(10)).unwrap();
            }
        }
        2 => {
            let end = (at + 1 + random.below(40)).min(body.len());
            body.drain(at..end);
        }
        3 => {
            let end = (at + 1 + random.below(40)).min(body.len());
            let twice = body[at..end].to_vec();
            body.splice(at..at, twice);
        }
        4 => body.truncate(at),
        5 => {
            let mut lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
            let (one, other) = (random.below(lines.len()), random.below(lines.len()));
            lines.swap(one, other);
            body = lines.concat();
        }
        _ => {
            let mut lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
            lines.remove(random.below(lines.len()));
            body = lines.concat();
        }
    }
    body
}
