//! Numbers as exact digits.

use std::fmt::Write;

/// Writes the shortest text that reads back as `value`.
pub fn write_real(value: f64, out: &mut String) {
    if value.is_infinite() {
        out.push_str(if value < 0.0 { "-Infinity" } else { "Infinity" });
    } else {
        let _ = write!(out, "{value:?}");
    }
}

/// Writes the digits of `text` as a whole number of units of 10^-scale. False if that loses a
/// digit, needs more than `precision` digits, or if the text is no number.
pub fn write_unscaled(text: &str, precision: u8, scale: i8, out: &mut String) -> bool {
    unscaled(text, precision, scale, out).is_some()
}

fn unscaled(text: &str, precision: u8, scale: i8, out: &mut String) -> Option<()> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number =
        whole.len() + fraction.len() > 0 && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if !is_number {
        return None;
    }
    out.clear();
    if text.starts_with('-') {
        out.push('-');
    }
    let start = out.len();
    out.push_str(whole);
    out.push_str(fraction);
    let zeros = out.get(start..)?.bytes().take_while(|byte| *byte == b'0').count();
    out.replace_range(start..start + zeros, "");
    if out.len() == start {
        out.clear();
        out.push('0');
        return Some(());
    }
    let shift = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(scale.into())?;
    if shift < 0 {
        for _ in 0..shift.unsigned_abs() {
            if out.len() == start || out.pop()? != '0' {
                return None;
            }
        }
    }
    let appended = usize::try_from(shift.max(0)).ok()?;
    if out.len() - start + appended > precision.into() {
        return None;
    }
    out.extend(std::iter::repeat_n('0', appended));
    (out.len() > start).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str, precision: u8, scale: i8) -> Option<String> {
        let mut out = String::new();
        write_unscaled(text, precision, scale, &mut out).then_some(out)
    }

    #[test]
    fn digits_are_kept() {
        for (text, precision, scale, digits) in [
            ("12.5", 10, 2, "1250"),
            ("-0.01", 4, 2, "-1"),
            ("1.5e3", 6, 1, "15000"),
            ("1e-2", 4, 2, "1"),
            ("-0.0", 4, 2, "0"),
            ("7.00", 3, 0, "7"),
            (".5", 2, 1, "5"),
            ("99999999999999999999999999999999999999", 38, 0, "99999999999999999999999999999999999999"),
        ] {
            assert_eq!(decimal(text, precision, scale).as_deref(), Some(digits), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (text, precision, scale) in [
            ("0.001", 10, 2),
            ("1000", 3, 0),
            ("99.995", 4, 2),
            ("", 4, 2),
            ("-", 4, 2),
            (".", 4, 2),
            ("1e", 4, 2),
            ("nan", 4, 2),
            ("0x10", 4, 2),
            ("1e400", 76, 0),
            ("1e-400", 76, 10),
            (" 1", 4, 2),
            ("1e99999999999999999999", 4, 2),
        ] {
            assert_eq!(decimal(text, precision, scale), None, "{text}");
        }
    }

    #[test]
    fn reals_print_as_they_read() {
        let mut out = String::new();
        for value in [0.1, 1.0, -2.5e-300, 1e300, f64::MAX, 5e-324] {
            out.clear();
            write_real(value, &mut out);
            assert_eq!(out.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }
}
