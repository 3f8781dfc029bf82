//! The dates of a certificate that is trusted because the user named this very one. Such a one is its own authority, or
//! of version 1, so that the usual verifier does not look at it.

use std::time::Duration;

use rustls::CertificateError;
use rustls_pki_types::{CertificateDer, UnixTime};

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, in which the version stands; version 1 is left out.
const VERSION: u8 = 0xA0;

/// Fails unless the certificate is valid at `now`, both its dates included.
pub(super) fn check_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let (begin, end) = dates(certificate).ok_or(CertificateError::BadEncoding)?;
    let moment = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    if now.as_secs() < begin {
        return Err(CertificateError::NotValidYetContext { time: now, not_before: moment(begin) }.into());
    }
    if now.as_secs() > end {
        return Err(CertificateError::ExpiredContext { time: now, not_after: moment(end) }.into());
    }
    Ok(())
}

/// `notBefore` and `notAfter` in seconds since 1970: of RFC 5280's `Certificate`, the fifth of what is signed.
fn dates(certificate: &[u8]) -> Option<(u64, u64)> {
    let (SEQUENCE, certificate, _) = element(certificate)? else { return None };
    let (SEQUENCE, mut signed, _) = element(certificate)? else { return None };
    if let (VERSION, _, rest) = element(signed)? {
        signed = rest;
    }
    // The serial number, the signature's algorithm, the issuer.
    for _ in 0..3 {
        signed = element(signed)?.2;
    }
    let (SEQUENCE, validity, _) = element(signed)? else { return None };
    let (kind, begin, rest) = element(validity)?;
    let begin = seconds(kind, begin)?;
    let (kind, end, _) = element(rest)?;
    Some((begin, seconds(kind, end)?))
}

/// The tag, the content and what follows of the first DER element.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `261130114845Z` and `20261130114845Z`. A date before 1970 is 1970.
fn seconds(kind: u8, text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let number =
        |text: &str| if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse::<i64>().ok() } else { None };
    let (year, rest) = match kind {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = number(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 {
        return None;
    }
    let part = |at: usize| number(rest.get(at..at + 2)?);
    let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
    // Days from March of the year 0, so that a leap day ends a year.
    let (shifted, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + (153 * month + 2) / 5 + day - 1;
    let days_to_1970 = 719_468;
    Some(u64::try_from((days - days_to_1970) * 86_400 + hour * 3600 + minute * 60 + second).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_both_forms_are_seconds() {
        for (kind, text, found) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (UTC_TIME, "500101000000Z", Some(0)),
            (GENERALIZED_TIME, "20000229120000Z", Some(951_825_600)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "7001010000Z", None),
            (UTC_TIME, "70010100+000Z", None),
            (GENERALIZED_TIME, "20000229120000", None),
            (SEQUENCE, "700101000000Z", None),
        ] {
            assert_eq!(seconds(kind, text.as_bytes()), found, "{text}");
        }
        assert_eq!(dates(&[SEQUENCE, 0x82, 1]), None);
    }
}
