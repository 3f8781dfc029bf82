//! Numbers: integers of every width, decimals from their digits, bits, and UUIDs from their text.

use rivet_sdk::arrow_buffer::i256;
use rivet_sdk::sql::number::{self, POWERS, fits, fits256};
use rivet_sdk::sql::rows::Fault;

use super::exact;
use crate::kind::Integer;

/// An integer as it crosses.
#[inline(always)]
pub(super) fn read(value: &[u8], wire: Integer) -> Result<i128, Fault> {
    Ok(match wire {
        Integer::I8 => i8::from_le_bytes(exact(value)?).into(),
        Integer::U8 => u8::from_le_bytes(exact(value)?).into(),
        Integer::I16 => i16::from_le_bytes(exact(value)?).into(),
        Integer::U16 => u16::from_le_bytes(exact(value)?).into(),
        Integer::I32 => i32::from_le_bytes(exact(value)?).into(),
        Integer::U32 => u32::from_le_bytes(exact(value)?).into(),
        Integer::I64 => i64::from_le_bytes(exact(value)?).into(),
        Integer::U64 => u64::from_le_bytes(exact(value)?).into(),
    })
}

/// An integer that must fit `width` bytes.
#[inline(always)]
pub(super) fn integer(value: &[u8], wire: Integer, width: u8) -> Result<i64, Fault> {
    number::integer(read(value, wire)?, width)
}

/// Digits without their sign and point, and how many stood after the point.
struct Digits<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Digits<'a> {
    #[inline(always)]
    fn parse(text: &'a [u8]) -> Result<Self, Fault> {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
            Some(point) => (text.get(..point).unwrap_or_default(), text.get(point + 1..).unwrap_or_default()),
            None => (text, &[][..]),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(Fault::Malformed);
        }
        Ok(Self { negative, whole, fraction })
    }

    /// The digits as an integer of `scale` places after the point. None where that would lose
    /// a digit that is not zero, or does not fit.
    #[inline(always)]
    fn unscaled128(&self, scale: i8) -> Result<Option<i128>, Fault> {
        let scale = usize::from(scale.unsigned_abs());
        let (kept, dropped) = self.fraction.split_at(self.fraction.len().min(scale));
        let mut number: i128 = 0;
        // Eighteen digits fit a word, and a word is quick.
        let mut word: u64 = 0;
        let mut in_word = 0;
        for byte in self.whole.iter().chain(kept) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Err(Fault::Malformed);
            }
            word = word * 10 + u64::from(digit);
            in_word += 1;
            if in_word == 18 {
                let Some(next) = number.checked_mul(POWERS[18]).and_then(|n| n.checked_add(word.into())) else {
                    return Ok(None);
                };
                (number, word, in_word) = (next, 0, 0);
            }
        }
        let shift = POWERS.get(in_word).copied().unwrap_or(1);
        let Some(number) = number.checked_mul(shift).and_then(|n| n.checked_add(word.into())) else { return Ok(None) };
        if dropped.iter().any(|byte| *byte != b'0') {
            return Ok(None);
        }
        let missing = POWERS.get(scale - kept.len()).copied();
        Ok(missing.and_then(|power| number.checked_mul(power)).map(|n| if self.negative { -n } else { n }))
    }

    fn unscaled256(&self, scale: i8) -> Result<Option<i256>, Fault> {
        let scale = usize::from(scale.unsigned_abs());
        let (kept, dropped) = self.fraction.split_at(self.fraction.len().min(scale));
        let ten = i256::from_i128(10);
        let mut number = i256::ZERO;
        for byte in self.whole.iter().chain(kept) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Err(Fault::Malformed);
            }
            match number.checked_mul(ten).and_then(|n| n.checked_add(i256::from_i128(digit.into()))) {
                Some(next) => number = next,
                None => return Ok(None),
            }
        }
        if dropped.iter().any(|byte| *byte != b'0') {
            return Ok(None);
        }
        let missing = u32::try_from(scale - kept.len()).ok().and_then(|places| ten.checked_pow(places));
        Ok(missing
            .and_then(|power| number.checked_mul(power))
            .map(|n| if self.negative { n.wrapping_neg() } else { n }))
    }
}

#[inline(always)]
pub(super) fn decimal128(text: &[u8], precision: u8, scale: i8) -> Result<i128, Fault> {
    match Digits::parse(text)?.unscaled128(scale)? {
        Some(number) if fits(number, precision) => Ok(number),
        _ => Err(does_not_fit(text, &format!("decimal({precision},{scale})"))),
    }
}

pub(super) fn decimal256(text: &[u8], precision: u8, scale: i8) -> Result<i256, Fault> {
    match Digits::parse(text)?.unscaled256(scale)? {
        Some(number) if fits256(number, precision) => Ok(number),
        _ => Err(does_not_fit(text, &format!("decimal({precision},{scale})"))),
    }
}

pub(super) fn decimal_integer(text: &[u8], width: u8) -> Result<i64, Fault> {
    match Digits::parse(text)?.unscaled128(0)? {
        Some(number) => number::integer(number, width),
        None => Err(does_not_fit(text, &format!("int{width}"))),
    }
}

#[cold]
fn does_not_fit(text: &[u8], wanted: &str) -> Fault {
    Fault::DoesNotFit(format!("{} does not fit {wanted}", String::from_utf8_lossy(text)))
}

/// The sixteen bytes behind `a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11`, with or without hyphens.
pub(super) fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let mut out = [0; 16];
    let mut digits = text.iter().filter(|byte| **byte != b'-').map(|byte| char::from(*byte).to_digit(16));
    for byte in &mut out {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    let plain = text.len() == 32;
    let hyphens = text.len() == 36 && [8, 13, 18, 23].iter().all(|at| text.get(*at) == Some(&b'-'));
    (digits.next().is_none() && (plain || hyphens)).then_some(out)
}
