//! Sizes (`256MB`, `64MiB`) and durations (`10m`).

const SIZES: [(&str, u64); 8] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

const DURATIONS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Bytes. `MB` is a million of them, `MiB` is 1 048 576.
pub fn size_bytes(text: &str) -> Result<u64, &'static str> {
    measure(text, &SIZES).ok_or("a size such as 256MB, 64MiB or 1GB")
}

/// Milliseconds.
pub fn duration_ms(text: &str) -> Result<u64, &'static str> {
    measure(text, &DURATIONS).ok_or("a duration such as 30s, 10m or 2h")
}

fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit = unit.trim().to_ascii_lowercase();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor).filter(|amount| i64::try_from(*amount).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_carry_their_unit() {
        assert_eq!(size_bytes("256MB"), Ok(256_000_000));
        assert_eq!(size_bytes("64 MiB"), Ok(64 << 20));
        assert_eq!(size_bytes("1gb"), Ok(1_000_000_000));
        assert_eq!(duration_ms("10m"), Ok(600_000));
        for bad in ["", "12", "MB", "-1MB", "1.5GB", "9999999999999GB", "1 parsec"] {
            assert!(size_bytes(bad).is_err(), "{bad}");
        }
    }
}
