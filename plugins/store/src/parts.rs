//! How large an upload's parts are: alike for long, then growing, so that no limit is reached.

/// Parts of the first size. Some stores want all parts of an upload alike; with parts of 8 MiB
/// this is 40 GB.
const ALIKE: u64 = 5_000;
/// After as many again, the size doubles.
const STEP: u64 = 400;
/// S3 and Google Cloud Storage take no larger part than 5 GiB, Azure none above 4 000 MiB.
const LARGEST: u64 = 4_000 << 20;

/// The size of part `number`, counted from zero, where the first is `first` bytes.
pub(crate) fn size(first: u64, number: u64) -> u64 {
    let doublings = number.saturating_sub(ALIKE) / STEP + u64::from(number >= ALIKE);
    let shift = u32::try_from(doublings.min(20)).unwrap_or(20);
    (first << shift).min(LARGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_parts_hold_the_largest_object() {
        for first in [5 << 20, 8 << 20, 64 << 20, 1024 << 20] {
            let whole: u64 = (0..10_000).map(|number| size(first, number)).sum();
            assert!(whole >= 5 << 40, "{first}: {whole}");
            assert!((0..10_000).all(|number| (first..=LARGEST).contains(&size(first, number))));
        }
    }

    #[test]
    fn parts_are_alike_for_long() {
        assert!((0..ALIKE).all(|number| size(8 << 20, number) == 8 << 20));
        assert_eq!(size(8 << 20, ALIKE), 16 << 20);
    }
}
