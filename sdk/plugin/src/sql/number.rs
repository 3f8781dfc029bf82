//! Exact numbers on their way into Arrow: powers of ten, and whether a number fits a type.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int16Array, Int32Array, Int64Array};
use arrow_buffer::{ScalarBuffer, i256};

use super::rows::Fault;
use crate::buffers::Fixed;
use crate::{Error, Result};

/// The powers of ten that 128 bits hold, each at its exponent.
pub const POWERS: [i128; 39] = {
    let mut powers = [1_i128; 39];
    let mut index = 1;
    while index < 39 {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

/// Ten to this power; None where it is negative, or 128 bits do not hold it.
#[inline(always)]
pub fn power(exponent: i32) -> Option<i128> {
    usize::try_from(exponent).ok().and_then(|index| POWERS.get(index)).copied()
}

/// Whether an unscaled decimal has at most `precision` digits.
#[inline(always)]
pub fn fits(unscaled: i128, precision: u8) -> bool {
    let limit = POWERS.get(usize::from(precision)).copied().unwrap_or(i128::MAX);
    -limit < unscaled && unscaled < limit
}

/// The same of one of 256 bits.
pub fn fits256(unscaled: i256, precision: u8) -> bool {
    let limit = i256::from_i128(10).checked_pow(precision.into());
    limit.is_none_or(|limit| unscaled < limit && unscaled > -limit)
}

/// An integer that must fit `width` bytes: 2, 4 or 8.
#[inline(always)]
pub fn integer(number: i128, width: u8) -> Result<i64, Fault> {
    let limit = 1_i128 << (8 * u32::from(width) - 1);
    match i64::try_from(number) {
        Ok(fits) if (-limit..limit).contains(&number) => Ok(fits),
        _ => Err(Fault::DoesNotFit(format!("{number} does not fit int{width}"))),
    }
}

/// Integers that [`integer`] let pass, as an array of their width.
pub fn narrow(values: &mut Fixed<i64>, width: u8) -> Result<ArrayRef> {
    let (values, nulls) = values.take();
    let overflow = |_| Error::internal("an integer that was checked does not fit");
    Ok(match width {
        2 => {
            let narrow = values.into_iter().map(i16::try_from).collect::<Result<Vec<_>, _>>().map_err(overflow)?;
            Arc::new(Int16Array::new(ScalarBuffer::from(narrow), nulls))
        }
        4 => {
            let narrow = values.into_iter().map(i32::try_from).collect::<Result<Vec<_>, _>>().map_err(overflow)?;
            Arc::new(Int32Array::new(ScalarBuffer::from(narrow), nulls))
        }
        _ => Arc::new(Int64Array::new(ScalarBuffer::from(values), nulls)),
    })
}
