//! numeric: base-10000 digits to decimals by integer arithmetic, never through floating point.

use rivet_sdk::arrow_buffer::i256;
use rivet_sdk::buffers::Fixed;
use rivet_sdk::sql::number::{fits, fits256, integer, power};
use rivet_sdk::sql::rows::{Fault, Tally};

use super::exact;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const POSITIVE_INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// A numeric as it crosses: sign, the weight of the first digit, and digits of four places.
pub(super) struct Numeric<'a> {
    sign: u16,
    weight: i32,
    pub scale: usize,
    digits: &'a [u8],
}

impl<'a> Numeric<'a> {
    #[inline(always)]
    pub fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        let Some(([n0, n1, w0, w1, s0, s1, d0, d1], digits)) = value.split_first_chunk::<8>() else {
            return Err(Fault::Malformed);
        };
        if digits.len() != 2 * usize::from(u16::from_be_bytes([*n0, *n1])) {
            return Err(Fault::Malformed);
        }
        Ok(Self {
            sign: u16::from_be_bytes([*s0, *s1]),
            weight: i16::from_be_bytes([*w0, *w1]).into(),
            scale: u16::from_be_bytes([*d0, *d1]).into(),
            digits,
        })
    }

    /// A number; None for what is none, which is counted and has to become NULL.
    #[inline(always)]
    fn finite(value: &'a [u8], tally: &mut Tally) -> Result<Option<Self>, Fault> {
        let numeric = Self::parse(value)?;
        match numeric.special() {
            None => Ok(Some(numeric)),
            Some(name) => tally.unrepresentable(|| name.to_owned()).map(|()| None),
        }
    }

    /// `NaN`, `Infinity` or `-Infinity`.
    #[inline(always)]
    pub fn special(&self) -> Option<&'static str> {
        match self.sign {
            0 | NEGATIVE => None,
            POSITIVE_INFINITY => Some("Infinity"),
            NEGATIVE_INFINITY => Some("-Infinity"),
            NAN => Some("NaN"),
            _ => Some("NaN"),
        }
    }

    pub fn is_negative(&self) -> bool {
        self.sign == NEGATIVE
    }

    pub fn weight(&self) -> i32 {
        self.weight
    }

    #[inline(always)]
    pub fn digits(&self) -> impl ExactSizeIterator<Item = u16> + 'a {
        self.digits.chunks_exact(2).map(|pair| match pair {
            [high, low] => u16::from_be_bytes([*high, *low]),
            _ => 0,
        })
    }

    /// The power of ten that turns the digits, read as one integer, into a decimal of `scale`.
    #[inline(always)]
    fn shift(&self, scale: i8) -> i32 {
        let count = i32::try_from(self.digits.len() / 2).unwrap_or(i32::MAX / 8);
        4 * (self.weight + 1 - count) + i32::from(scale)
    }

    /// The value times 10^scale, if that is a whole number of at most 38 digits.
    #[inline(always)]
    fn unscaled128(&self, scale: i8) -> Option<i128> {
        let count = self.digits.len() / 2;
        let shift = self.shift(scale);
        let magnitude = if count <= 4 {
            // Sixteen places: the usual case, and 64 bits are enough.
            let whole = self.digits().fold(0_u64, |sum, digit| sum * 10_000 + u64::from(digit));
            if shift >= 0 {
                i128::from(whole).checked_mul(power(shift)?)?
            } else {
                let divisor = u64::try_from(power(-shift)?).ok();
                match divisor {
                    Some(divisor) if whole % divisor == 0 => i128::from(whole / divisor),
                    None if whole == 0 => 0,
                    _ => return None,
                }
            }
        } else if count <= 9 {
            let whole = self.digits().fold(0_i128, |sum, digit| sum * 10_000 + i128::from(digit));
            if shift >= 0 {
                whole.checked_mul(power(shift)?)?
            } else {
                let divisor = power(-shift)?;
                if whole % divisor != 0 {
                    return None;
                }
                whole / divisor
            }
        } else {
            return self.unscaled256(scale)?.to_i128();
        };
        Some(if self.is_negative() { -magnitude } else { magnitude })
    }

    /// The same with up to 76 digits.
    fn unscaled256(&self, scale: i8) -> Option<i256> {
        let shift = self.shift(scale);
        // Digits below the wanted scale must be zero; leave them out rather than overflow.
        let count = self.digits.len() / 2;
        let surplus = usize::try_from(-shift / 4).unwrap_or(0).min(count);
        let kept = count - surplus;
        if self.digits().skip(kept).any(|digit| digit != 0) {
            return None;
        }
        let base = i256::from_i128(10_000);
        let whole = self
            .digits()
            .take(kept)
            .try_fold(i256::ZERO, |sum, digit| sum.checked_mul(base)?.checked_add(i256::from_i128(digit.into())))?;
        if whole == i256::ZERO {
            return Some(whole);
        }
        let shift = shift + 4 * i32::try_from(surplus).ok()?;
        let magnitude = if shift >= 0 {
            whole.checked_mul(i256::from_i128(10).checked_pow(u32::try_from(shift).ok()?)?)?
        } else {
            let divisor = i256::from_i128(power(-shift)?);
            if whole.checked_rem(divisor)? != i256::ZERO {
                return None;
            }
            whole.checked_div(divisor)?
        };
        if self.is_negative() { magnitude.checked_neg() } else { Some(magnitude) }
    }
}

#[inline(always)]
pub(super) fn push_decimal128(
    to: &mut Fixed<i128>,
    value: &[u8],
    precision: u8,
    scale: i8,
    tally: &mut Tally,
) -> Result<(), Fault> {
    let Some(numeric) = Numeric::finite(value, tally)? else {
        to.push_null();
        return Ok(());
    };
    match numeric.unscaled128(scale) {
        Some(unscaled) if fits(unscaled, precision) => to.push(unscaled),
        _ => return Err(does_not_fit(value, &format!("decimal({precision},{scale})"))),
    }
    Ok(())
}

pub(super) fn push_decimal256(
    to: &mut Fixed<i256>,
    value: &[u8],
    precision: u8,
    scale: i8,
    tally: &mut Tally,
) -> Result<(), Fault> {
    let Some(numeric) = Numeric::finite(value, tally)? else {
        to.push_null();
        return Ok(());
    };
    match numeric.unscaled256(scale) {
        Some(unscaled) if fits256(unscaled, precision) => to.push(unscaled),
        _ => return Err(does_not_fit(value, &format!("decimal({precision},{scale})"))),
    }
    Ok(())
}

pub(super) fn push_integer(
    to: &mut Fixed<i64>,
    value: &[u8],
    numeric: bool,
    width: u8,
    tally: &mut Tally,
) -> Result<(), Fault> {
    let number = if numeric {
        let Some(numeric) = Numeric::finite(value, tally)? else {
            to.push_null();
            return Ok(());
        };
        numeric.unscaled128(0).ok_or_else(|| does_not_fit(value, &format!("int{width}")))?
    } else {
        match value.len() {
            2 => i16::from_be_bytes(exact(value)?).into(),
            4 => i32::from_be_bytes(exact(value)?).into(),
            _ => i64::from_be_bytes(exact(value)?).into(),
        }
    };
    to.push(integer(number, width)?);
    Ok(())
}

#[cold]
fn does_not_fit(value: &[u8], wanted: &str) -> Fault {
    let mut text = Vec::new();
    match super::text::append(&mut text, value, crate::kind::TextForm::Numeric) {
        Ok(()) => Fault::DoesNotFit(format!("{} does not fit {wanted}", String::from_utf8_lossy(&text))),
        Err(fault) => fault,
    }
}

#[cfg(test)]
mod tests {
    use rivet_sdk::sql::number::POWERS;

    use super::*;

    fn bytes(sign: u16, weight: i16, scale: u16, digits: &[u16]) -> Vec<u8> {
        let count = u16::try_from(digits.len()).unwrap();
        let mut out = count.to_be_bytes().to_vec();
        out.extend(weight.to_be_bytes());
        out.extend(sign.to_be_bytes());
        out.extend(scale.to_be_bytes());
        digits.iter().for_each(|digit| out.extend(digit.to_be_bytes()));
        out
    }

    #[test]
    fn digits_become_unscaled_integers() {
        for (value, scale, expected) in [
            (bytes(0, 0, 2, &[12, 3400]), 2, Some(1234)),
            (bytes(NEGATIVE, 0, 2, &[12, 3400]), 2, Some(-1234)),
            (bytes(0, 0, 0, &[]), 2, Some(0)),
            (bytes(0, -1, 4, &[1]), 4, Some(1)),
            (bytes(0, -1, 4, &[1]), 2, None),
            (bytes(0, 1, 0, &[1]), 0, Some(10_000)),
            (bytes(0, 0, 0, &[7]), 30, Some(7 * POWERS[30])),
            (bytes(0, 4, 0, &[9999, 9999, 9999, 9999, 9999]), 0, Some(POWERS[20] - 1)),
            (bytes(0, 9, 0, &[99, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999]), 0, Some(POWERS[38] - 1)),
            (bytes(0, 100, 0, &[1]), 0, None),
        ] {
            assert_eq!(Numeric::parse(&value).unwrap().unscaled128(scale), expected, "{value:?}");
        }
    }

    #[test]
    fn both_widths_agree() {
        let value = bytes(NEGATIVE, 2, 6, &[12, 3456, 7890, 1234, 5600]);
        let numeric = Numeric::parse(&value).unwrap();
        assert_eq!(numeric.unscaled256(6).unwrap().to_i128(), numeric.unscaled128(6));
        assert_eq!(numeric.unscaled128(6), Some(-1_234_567_890_123_456));
        assert_eq!(numeric.unscaled128(5), None);
    }

    #[test]
    fn short_bytes_are_refused() {
        assert!(Numeric::parse(b"\0\x01\0\0\0\0\0\0").is_err());
        assert!(Numeric::parse(b"").is_err());
    }
}
