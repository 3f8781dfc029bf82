//! Every decoder against bytes as the server sends them, and against bytes no server sends.

use rivet_sdk::OnUnrepresentable;
use rivet_testkit::Noise;

use super::*;

fn kinds() -> Vec<Kind> {
    let mut kinds = vec![
        Kind::Bool,
        Kind::Int16,
        Kind::Int64,
        Kind::AnyInt(2),
        Kind::NumericInt(8),
        Kind::Float64,
        Kind::Decimal128(15, 2),
        Kind::Decimal128(38, 38),
        Kind::Decimal256(76, 0),
        Kind::Money(2),
        Kind::Date,
        Kind::Time,
        Kind::Timestamp { utc: true, nanoseconds: true },
        Kind::Duration,
        Kind::Uuid,
        Kind::Binary,
        Kind::Jsonb,
        Kind::Hstore,
        Kind::Vector,
    ];
    let forms = [
        TextForm::Plain,
        TextForm::Char,
        TextForm::Numeric,
        TextForm::Interval,
        TextForm::TimeTz,
        TextForm::Inet,
        TextForm::MacAddress,
        TextForm::Bits,
        TextForm::Lsn,
    ];
    kinds.extend(forms.map(Kind::Text));
    for kind in kinds.clone() {
        kinds.push(Kind::List(Box::new(kind.clone())));
        kinds.push(Kind::Multirange(Box::new(kind.clone())));
        kinds.push(Kind::Struct(vec![("a".into(), kind.clone()), ("b".into(), Kind::List(Box::new(kind)))]));
    }
    kinds
}

/// Mostly small numbers, as lengths and counts are.
fn bytes(noise: &mut Noise) -> Vec<u8> {
    let length = noise.next() % 64;
    (0..length).map(|_| if noise.next().is_multiple_of(3) { noise.byte() } else { noise.byte() % 3 % 2 }).collect()
}

#[test]
fn no_bytes_make_a_decoder_panic() {
    let mut noise = Noise::default();
    for kind in kinds() {
        for _ in 0..2_000 {
            let mut column = Column::new(&kind, 2);
            let mut tally = Tally::new(OnUnrepresentable::Null);
            if column.push(&bytes(&mut noise), &mut tally).is_ok() {
                column.push_null();
                // Texts that are not UTF-8 are refused here.
                if let Ok(array) = column.finish() {
                    assert_eq!((array.len(), array.data_type()), (2, &kind.data_type()), "{kind:?}");
                }
            }
        }
    }
}

#[test]
fn a_builder_starts_afresh_after_each_batch() {
    for kind in kinds() {
        let mut column = Column::new(&kind, 4);
        for rows in [3, 0, 5] {
            (0..rows).for_each(|_| column.push_null());
            let array = column.finish().unwrap();
            assert_eq!((array.len(), array.null_count()), (rows, rows), "{kind:?}");
            assert_eq!(column.variable_bytes(), 0);
        }
    }
}

#[test]
fn text_that_is_not_utf8_is_refused_even_across_values() {
    let mut column = Column::new(&Kind::PLAIN, 4);
    let mut tally = Tally::new(OnUnrepresentable::Fail);
    // Together the halves of one character are valid, apart they are not.
    column.push(&[0xC3], &mut tally).unwrap();
    column.push(&[0xA4], &mut tally).unwrap();
    assert!(column.finish().is_err());
}
