//! Exact decimals: a mantissa of at most 38 digits and a scale.

use std::cmp::Ordering;

use crate::error::{SqlError, SqlResult};

/// `mantissa / 10^scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    pub mantissa: i128,
    pub scale: u8,
}

/// Bytes of a decimal on the wire and in sys.columns, its sign included.
pub const fn bytes(precision: u8) -> u16 {
    match precision {
        ..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}

impl Number {
    /// Reads `[sign]digits[.digits]`, with blanks around.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(' ');
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            if !digit.is_ascii_digit() {
                return None;
            }
            mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        let scale = u8::try_from(fraction.len()).ok()?;
        Some(Self { mantissa: if negative { -mantissa } else { mantissa }, scale })
    }

    /// Reads also `1.5e-3`, as float literals are written.
    pub fn parse_scientific(text: &str) -> Option<Self> {
        let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return Self::parse(text) };
        let number = Self::parse(mantissa)?;
        let scale = i32::from(number.scale) - exponent.parse::<i32>().ok()?;
        match u8::try_from(scale) {
            Ok(scale) => Some(Self { mantissa: number.mantissa, scale }),
            Err(_) if scale < 0 => {
                let factor = 10_i128.checked_pow(scale.unsigned_abs())?;
                Some(Self { mantissa: number.mantissa.checked_mul(factor)?, scale: 0 })
            }
            Err(_) => None,
        }
    }

    /// The same number with another scale, rounded half away from zero.
    pub fn rescaled(self, scale: u8) -> Option<Self> {
        let mantissa = if scale >= self.scale {
            self.mantissa.checked_mul(10_i128.checked_pow(u32::from(scale - self.scale))?)?
        } else {
            match 10_i128.checked_pow(u32::from(self.scale - scale)) {
                Some(factor) => {
                    let (quotient, rest) = (self.mantissa / factor, self.mantissa % factor);
                    if rest.abs() * 2 >= factor { quotient + self.mantissa.signum() } else { quotient }
                }
                None => 0,
            }
        };
        Some(Self { mantissa, scale })
    }

    pub fn digits(self) -> u32 {
        self.mantissa.unsigned_abs().checked_ilog10().map_or(1, |digits| digits + 1)
    }

    /// As decimal(precision, scale), or 8115.
    pub fn fitted(self, precision: u8, scale: u8) -> SqlResult<Self> {
        self.rescaled(scale)
            .filter(|number| number.digits() <= u32::from(precision))
            .ok_or_else(|| SqlError::overflow("numeric"))
    }

    /// The integer part, fraction cut off.
    pub fn truncated(self) -> i128 {
        10_i128.checked_pow(u32::from(self.scale)).map_or(0, |factor| self.mantissa / factor)
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let scale = usize::from(self.scale);
        let digits = format!("{:0>width$}", self.mantissa.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        if scale == 0 { write!(formatter, "{sign}{whole}") } else { write!(formatter, "{sign}{whole}.{fraction}") }
    }
}

/// Compares two decimal texts of any scales.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (Some(left), Some(right)) = (Number::parse(a), Number::parse(b)) else { return a.cmp(b) };
    if left.scale == right.scale {
        return left.mantissa.cmp(&right.mantissa);
    }
    // Whole parts first: bringing both to one scale could overflow.
    let whole = left.truncated().cmp(&right.truncated());
    whole.then_with(|| {
        let fraction = |number: Number| {
            let rest = number.mantissa - number.truncated() * 10_i128.pow(u32::from(number.scale));
            Number { mantissa: rest, scale: number.scale }.rescaled(38).map_or(rest, |number| number.mantissa)
        };
        fraction(left).cmp(&fraction(right))
    })
}
