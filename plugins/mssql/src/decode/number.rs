//! Exact numbers with another count of digits after the point, never by way of a float.

use rivet_sdk::arrow_buffer::i256;
use rivet_sdk::sql::number::power;
use rivet_sdk::sql::rows::Fault;

use crate::meta::Format;
use crate::value;

/// The integer behind an exact number, and its digits after the point.
#[inline]
pub(super) fn unscaled(format: Format, value: &[u8]) -> Result<(i128, u8), Fault> {
    match format {
        Format::Decimal { scale, .. } => Ok((value::decimal(value)?, scale)),
        _ => Ok((value::money(value)?.into(), 4)),
    }
}

/// The same number with another count of digits after the point; None where it has more.
#[inline]
pub(super) fn rescale(value: i128, from: u8, to: i8) -> Option<i128> {
    let shift = i32::from(to) - i32::from(from);
    if shift == 0 {
        return Some(value);
    }
    match (shift > 0, power(shift.abs())) {
        (true, Some(power)) => value.checked_mul(power),
        (false, Some(power)) => (value % power == 0).then(|| value / power),
        (_, None) => (value == 0).then_some(0),
    }
}

pub(super) fn rescale256(value: i128, from: u8, to: i8) -> Option<i256> {
    let shift = i32::from(to) - i32::from(from);
    if shift < 0 {
        return rescale(value, from, to).map(i256::from_i128);
    }
    i256::from_i128(value).checked_mul(i256::from_i128(10).checked_pow(shift.unsigned_abs())?)
}

#[cold]
pub(super) fn too_wide(unscaled: i128, from: u8, precision: u8, scale: i8) -> Fault {
    let mut text = Vec::new();
    value::digits(&mut text, unscaled, from);
    Fault::DoesNotFit(format!("{} does not fit decimal({precision},{scale})", String::from_utf8_lossy(&text)))
}
