//! What a failure of TLS means to whoever configured the connection.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// A failure of TLS, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub text: String,
    /// Why.
    pub cause: Cause,
}

/// Why two sides did not agree on TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Nobody who is trusted signed the server's certificate.
    Authority,
    /// The certificate is another host's.
    Name,
    /// It has expired, or is not valid yet.
    Dates,
    /// It cannot be judged, or is for another purpose.
    Certificate,
    /// The other side does not speak TLS.
    Plain,
    /// No version, or no cipher, is common to both.
    Version,
    /// The server wants another certificate of the client's, or one at all.
    Client,
    /// Anything else.
    Other,
}

impl Fault {
    /// What to do; `trust` says how an authority comes to be trusted.
    pub fn hint(&self, trust: &str) -> String {
        match self.cause {
            Cause::Authority => trust.to_owned(),
            Cause::Name => "connect to a host that the certificate names, or have it name this one".into(),
            Cause::Dates => "renew the server's certificate, or set this machine's clock".into(),
            Cause::Certificate => "give the server another certificate, one that is made for servers".into(),
            Cause::Plain => "check the port: what listens there does not speak TLS".into(),
            Cause::Version => "rivet speaks TLS 1.2 and 1.3: let the server speak one of them".into(),
            Cause::Client => "check the client's certificate and key, and that the server trusts who signed it".into(),
            Cause::Other => "check host and port, and the server's log".into(),
        }
    }
}

/// The failure of TLS in an error of a socket, if it is one.
pub fn in_io(error: &io::Error) -> Option<Fault> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).map(fault)
}

/// What `error` means.
pub fn fault(error: &Error) -> Fault {
    let (cause, text) = match error {
        Error::InvalidCertificate(wrong) => certificate(wrong),
        Error::NoCertificatesPresented => (Cause::Certificate, "the server shows no certificate".to_owned()),
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
            (Cause::Plain, "the answer is not TLS".to_owned())
        }
        Error::PeerIncompatible(why) => (Cause::Version, format!("the server speaks another TLS ({why:?})")),
        Error::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure) => {
            (Cause::Version, "the server refuses every version and cipher that was offered".to_owned())
        }
        Error::AlertReceived(
            alert @ (AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied),
        ) => (Cause::Client, format!("the server refuses the client's certificate ({alert:?})")),
        other => (Cause::Other, other.to_string()),
    };
    Fault { text, cause }
}

fn certificate(wrong: &CertificateError) -> (Cause, String) {
    let its = |what: &str| format!("the server's certificate {what}");
    match wrong {
        CertificateError::UnknownIssuer => (Cause::Authority, its("is signed by nobody who is trusted")),
        // rustls hands it over untyped.
        CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity" => {
            (Cause::Authority, its("is an authority's own (self-signed), and nobody who is trusted"))
        }
        CertificateError::Expired => (Cause::Dates, its("has expired")),
        CertificateError::ExpiredContext { not_after, .. } => {
            (Cause::Dates, its(&format!("has expired, {}", day(not_after.as_secs()))))
        }
        CertificateError::NotValidYet => (Cause::Dates, its("is not valid yet")),
        CertificateError::NotValidYetContext { not_before, .. } => {
            (Cause::Dates, its(&format!("is not valid yet, but from {}", day(not_before.as_secs()))))
        }
        CertificateError::NotValidForName => (Cause::Name, its("is another host's")),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = match presented.as_slice() {
                [] => "no name at all".to_owned(),
                names => names.iter().map(|name| bare(name)).collect::<Vec<_>>().join(", "),
            };
            (Cause::Name, its(&format!("is not for {} but for {names}", expected.to_str())))
        }
        CertificateError::Revoked => (Cause::Certificate, its("is revoked")),
        other => (Cause::Certificate, its(&format!("cannot be accepted: {other}"))),
    }
}

/// `DnsName("a.example")` and `IpAddress(10.0.0.1)`, as rustls shows names, without what is around them.
fn bare(name: &str) -> &str {
    let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(name).trim_matches('"')
}

/// The day of a time in seconds since 1970.
fn day(seconds: u64) -> String {
    // The calendar of Howard Hinnant's `civil_from_days`, for days from 1970 on.
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * from_march + 2) / 5 + 1, (from_march + 2) % 12 + 1);
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_the_calendars() {
        for (seconds, text) in [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (1_796_039_325, "2026-11-30")] {
            assert_eq!(day(seconds), text);
        }
    }

    #[test]
    fn names_are_shown_as_they_are() {
        assert_eq!(bare("DnsName(\"a.example\")"), "a.example");
        assert_eq!(bare("IpAddress(10.0.0.1)"), "10.0.0.1");
        assert_eq!(bare("10.0.0.1"), "10.0.0.1");
    }
}
