//! Decoders against bytes as MySQL documents them, and against any bytes at all.

use proptest::prelude::*;
use rivet_sdk::OnUnrepresentable;
use rivet_sdk::arrow_array::Array;
use rivet_sdk::arrow_array::cast::AsArray;
use rivet_sdk::arrow_array::types::{Date32Type, Decimal128Type, Decimal256Type, Int64Type, TimestampMicrosecondType};

use super::*;

fn tally(policy: OnUnrepresentable) -> Tally {
    Tally::new(policy)
}

fn one(kind: &Kind, value: &[u8]) -> Result<ArrayRef, Fault> {
    let mut column = Column::new(kind, 1);
    column.push(value, &mut tally(OnUnrepresentable::Fail))?;
    Ok(column.finish().unwrap())
}

fn kinds() -> Vec<Kind> {
    use Integer::*;
    let mut kinds = vec![
        Kind::Bit,
        Kind::Bits,
        Kind::UInt64,
        Kind::DecimalInt(2),
        Kind::Float32,
        Kind::Float64,
        Kind::Decimal128(38, 10),
        Kind::Decimal256(65, 30),
        Kind::Date,
        Kind::Time,
        Kind::Duration,
        Kind::Timestamp { utc: true, nanoseconds: false },
        Kind::Timestamp { utc: false, nanoseconds: true },
        Kind::Uuid { text: true },
        Kind::Uuid { text: false },
        Kind::Text,
        Kind::Json,
        Kind::CheckedJson,
        Kind::Binary,
        Kind::Wkb(4326),
        Kind::Vector,
    ];
    for wire in [I8, U8, I16, U16, I32, U32, I64, U64] {
        kinds.extend([Kind::Bool(wire), Kind::Int(wire, 2), Kind::Int(wire, 4), Kind::Int(wire, 8)]);
    }
    kinds
}

#[test]
fn dates_and_times_read_with_every_part_left_out() {
    let date = |bytes: &[u8]| one(&Kind::Date, bytes).map(|array| array.as_primitive::<Date32Type>().value(0));
    assert_eq!(date(&[0xB2, 0x07, 1, 1]), Ok(0));
    assert_eq!(date(&[0xE8, 0x07, 2, 29]), Ok(19_782));
    assert_eq!(date(&[0, 0, 1, 1]), Ok(-719_528));
    assert_eq!(date(&[0x0F, 0x27, 12, 31]), Ok(2_932_896));
    // Midnight is a date, any other time of day is not.
    assert_eq!(date(&[0xB2, 0x07, 1, 1, 0, 0, 0]), Ok(0));
    assert!(matches!(date(&[0xB2, 0x07, 1, 1, 0, 0, 1]), Err(Fault::Malformed)));
    for odd in [&[][..], &[0xE8, 0x07, 0, 0], &[0xE8, 0x07, 2, 0], &[0xE7, 0x07, 2, 29], &[0xE8, 0x07, 13, 1]] {
        assert!(matches!(date(odd), Err(Fault::Unrepresentable(_))), "{odd:?}");
    }
    let kind = Kind::Timestamp { utc: true, nanoseconds: false };
    let moment =
        |bytes: &[u8]| one(&kind, bytes).map(|array| array.as_primitive::<TimestampMicrosecondType>().value(0));
    assert_eq!(moment(&[0xB2, 0x07, 1, 1]), Ok(0));
    assert_eq!(moment(&[0xB2, 0x07, 1, 1, 0, 0, 1]), Ok(1_000_000));
    assert_eq!(moment(&[0xB1, 0x07, 12, 31, 23, 59, 59, 0x3F, 0x42, 0x0F, 0]), Ok(-1));
    assert_eq!(temporal::time(&[1, 34, 0, 0, 0, 22, 59, 59]), Ok(-3_020_399_000_000));
    assert_eq!(temporal::time(&[]), Ok(0));
    assert_eq!(temporal::time(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]), Ok(1));
}

#[test]
fn decimals_read_to_their_last_digit() {
    let value = |text: &str| {
        one(&Kind::Decimal128(38, 10), text.as_bytes()).map(|array| array.as_primitive::<Decimal128Type>().value(0))
    };
    assert_eq!(value("12.5"), Ok(125_000_000_000));
    assert_eq!(value("-0.0000000001"), Ok(-1));
    assert_eq!(value("9999999999999999999999999999.9999999999"), Ok(10_i128.pow(38) - 1));
    assert!(matches!(value("10000000000000000000000000000.0"), Err(Fault::DoesNotFit(_))));
    assert!(matches!(value("0.00000000001"), Err(Fault::DoesNotFit(_))));
    assert_eq!(value("0.00000000000"), Ok(0));
    for odd in ["", "-", ".", "1e5", "1.2.3", "NaN"] {
        assert!(matches!(value(odd), Err(Fault::Malformed)), "{odd}");
    }
    let digits = format!("-{}.{}", "9".repeat(35), "9".repeat(30));
    let wide = one(&Kind::Decimal256(65, 30), digits.as_bytes()).unwrap();
    assert_eq!(wide.as_primitive::<Decimal256Type>().value_as_string(0), digits);
}

#[test]
fn integers_bits_and_uuids_are_checked() {
    let int = |wire, width, bytes: &[u8]| number::integer(bytes, wire, width);
    assert_eq!(int(Integer::U64, 8, &u64::MAX.to_le_bytes()).ok(), None);
    assert_eq!(int(Integer::U32, 8, &u32::MAX.to_le_bytes()), Ok(4_294_967_295));
    assert_eq!(int(Integer::I32, 2, &(-32_769_i32).to_le_bytes()).ok(), None);
    assert_eq!(one(&Kind::Bits, &[0xFF; 8]).unwrap().as_primitive::<UInt64Type>().value(0), u64::MAX);
    // Digits, as MariaDB sends a bit of an expression; or the bytes of a bit column.
    for odd in [&b"2730"[..], &[0x0A, 0xAA]] {
        assert!(matches!(one(&Kind::Bits, odd), Err(Fault::Malformed)));
        assert!(matches!(one(&Kind::Bit, odd), Err(Fault::Malformed)));
    }
    assert!(number::uuid(b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11").is_some());
    for odd in [
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
        "a0eebc999c0b-4ef8-bb6d-6bb9bd380a11--",
        "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ] {
        assert!(number::uuid(odd.as_bytes()).is_none(), "{odd}");
    }
    let column = one(&Kind::DecimalInt(8), b"42.00").unwrap();
    assert_eq!(column.as_primitive::<Int64Type>().value(0), 42);
}

#[test]
fn a_policy_turns_what_does_not_fit_into_counted_nulls() {
    for (kind, value) in [
        (Kind::Date, &[][..]),
        (Kind::Time, &[0, 1, 0, 0, 0, 0, 0, 0]),
        (Kind::Text, &[0xFF]),
        (Kind::CheckedJson, b"{"),
        (Kind::Bool(Integer::I8), &[2]),
        (Kind::Uuid { text: true }, b"no"),
        (Kind::Wkb(0), &[1, 0, 0, 0, 1]),
    ] {
        assert!(matches!(one(&kind, value), Err(Fault::Unrepresentable(_))), "{kind:?}");
        let mut tally = tally(OnUnrepresentable::Null);
        let mut column = Column::new(&kind, 1);
        column.push(value, &mut tally).unwrap();
        let array = column.finish().unwrap();
        assert_eq!((tally.unrepresentable, array.len(), array.null_count()), (1, 1, 1), "{kind:?}");
        assert!(kind.may_not_fit());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic_or_lose_a_row(value in prop::collection::vec(any::<u8>(), 0..40)) {
        for kind in kinds() {
            for policy in [OnUnrepresentable::Fail, OnUnrepresentable::Null] {
                let mut column = Column::new(&kind, 1);
                column.push_null();
                if column.push(&value, &mut tally(policy)).is_ok() {
                    let array = column.finish().unwrap();
                    prop_assert_eq!(array.len(), 2);
                    prop_assert_eq!(array.data_type(), &kind.data_type());
                }
            }
        }
    }
}
