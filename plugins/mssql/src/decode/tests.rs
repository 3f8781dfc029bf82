//! Every decoder against bytes as the server sends them, and against bytes no server sends.

use rivet_sdk::arrow_array::Array;
use rivet_sdk::arrow_array::cast::AsArray;
use rivet_testkit::Noise;

use rivet_sdk::OnUnrepresentable;

use super::*;

fn tally(policy: OnUnrepresentable) -> Tally {
    Tally::new(policy)
}

fn pairs() -> Vec<(Kind, Format)> {
    let page = CodePage::Table(encoding_rs::WINDOWS_1252);
    let moment = |utc, nanoseconds| Kind::Timestamp { utc, nanoseconds };
    let decimal = |precision, scale| Format::Decimal { precision, scale };
    vec![
        (Kind::Bool, Format::Bit),
        (Kind::Int16, Format::TinyInt),
        (Kind::Int16, Format::Int16),
        (Kind::Int32, Format::Int32),
        (Kind::Int64, Format::Int64),
        (Kind::Float32, Format::Real),
        (Kind::Float64, Format::Float),
        (Kind::Decimal128(38, 38), decimal(38, 38)),
        (Kind::Decimal128(19, 4), Format::Money),
        (Kind::Decimal256(76, 10), decimal(12, 2)),
        (Kind::Date, Format::Date),
        (Kind::Time { nanoseconds: true }, Format::Time(7)),
        (moment(false, false), Format::DateTime),
        (moment(false, false), Format::SmallDateTime),
        (moment(false, true), Format::DateTime2(7)),
        (moment(true, false), Format::DateTimeOffset(3)),
        (Kind::Uuid, Format::Guid),
        (Kind::Binary, Format::Bytes),
        (Kind::Wkb, Format::Bytes),
        (Kind::TEXT, Format::Utf16),
        (Kind::Text(page), Format::Narrow(CodePage::Unknown)),
        (Kind::TEXT, Format::Narrow(CodePage::Utf8)),
        (Kind::TEXT, Format::Variant),
        (Kind::TEXT, Format::DateTime2(7)),
        (Kind::Json(page), Format::Narrow(page)),
    ]
}

fn bytes(noise: &mut Noise) -> Vec<u8> {
    let length = noise.next() % 40;
    (0..length).map(|_| noise.byte()).collect()
}

#[test]
fn no_bytes_make_a_decoder_panic() {
    let mut noise = Noise::default();
    for (kind, format) in pairs() {
        for _ in 0..3_000 {
            let mut column = Column::new(&kind, format, 2).unwrap();
            let mut tally = tally(OnUnrepresentable::Null);
            if column.push(&bytes(&mut noise), &mut tally).is_ok() {
                column.push_null();
                let array = column.finish().unwrap();
                assert_eq!((array.len(), array.data_type()), (2, &kind.data_type()), "{kind:?}");
            }
        }
    }
}

#[test]
fn a_builder_starts_afresh_after_each_batch() {
    for (kind, format) in pairs() {
        let mut column = Column::new(&kind, format, 4).unwrap();
        for rows in [3, 0, 5] {
            (0..rows).for_each(|_| column.push_null());
            let array = column.finish().unwrap();
            assert_eq!((array.len(), array.null_count()), (rows, rows), "{kind:?}");
            assert_eq!(column.variable_bytes(), 0);
        }
    }
}

#[test]
fn another_type_than_planned_is_noticed() {
    assert!(Column::new(&Kind::Int32, Format::Int64, 1).is_none());
    assert!(Column::new(&Kind::Date, Format::DateTime, 1).is_none());
    assert!(Column::new(&Kind::Uuid, Format::Bytes, 1).is_none());
    assert!(Column::new(&Kind::TEXT, Format::Clr, 1).is_none());
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn a_text_in_pieces_is_the_same_wherever_it_is_cut() {
    let text = "aé€😀\u{0}日本語𝄞z";
    for (format, bytes) in [(Format::Utf16, wide(text)), (Format::Narrow(CodePage::Utf8), text.as_bytes().to_vec())] {
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let mut column = Column::new(&Kind::TEXT, format, 1).unwrap();
                for piece in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    column.push_piece(piece).unwrap();
                }
                column.end_pieces(&mut tally(OnUnrepresentable::Fail)).unwrap();
                assert_eq!(column.finish().unwrap().as_string::<i32>().value(0), text, "{first} {second}");
            }
        }
    }
}

#[test]
fn half_a_pair_follows_the_policy_and_spares_its_neighbours() {
    let half = [0x61, 0, 0x3D, 0xD8, 0x62, 0];
    for in_pieces in [false, true] {
        let mut column = Column::new(&Kind::TEXT, Format::Utf16, 4).unwrap();
        let mut strict = tally(OnUnrepresentable::Fail);
        let mut lenient = tally(OnUnrepresentable::Null);
        column.push(&wide("before"), &mut strict).unwrap();
        let push = |column: &mut Column, tally: &mut Tally| match in_pieces {
            false => column.push(&half, tally),
            true => half
                .chunks(3)
                .try_for_each(|piece| column.push_piece(piece).map(|_| ()))
                .and_then(|()| column.end_pieces(tally)),
        };
        push(&mut column, &mut lenient).unwrap();
        column.push(&wide("after"), &mut strict).unwrap();
        assert_eq!(lenient.unrepresentable, 1);
        let array = column.finish().unwrap();
        let texts: Vec<_> = array.as_string::<i32>().iter().collect();
        assert_eq!(texts, [Some("before"), None, Some("after")]);
        assert!(matches!(push(&mut column, &mut strict), Err(Fault::Unrepresentable(_))));
    }
}

#[test]
fn code_pages_are_those_of_windows() {
    for (page, bytes, text) in [
        (1252, &b"caf\xE9 \x80"[..], "café €"),
        (1251, b"\xCF\xF0\xE8", "При"),
        (1250, b"\x9C\xB3", "śł"),
        (1253, b"\xC1\xE2", "Αβ"),
        (874, b"\xA1\xE0", "กเ"),
        (65001, "😀".as_bytes(), "😀"),
    ] {
        let page = CodePage::numbered(page).unwrap();
        let mut column = Column::new(&Kind::Text(page), Format::Narrow(page), 1).unwrap();
        column.push(bytes, &mut tally(OnUnrepresentable::Fail)).unwrap();
        assert_eq!(column.finish().unwrap().as_string::<i32>().value(0), text);
    }
    assert_eq!(CodePage::numbered(932), None);
}

#[test]
fn lost_digits_are_counted_and_years_beyond_nanoseconds_refused() {
    // 0001-01-01 00:00:00.0000001 and 2000-01-01 (730119 days).
    let early = [1, 0, 0, 0, 0, 0, 0, 0];
    let late = [0, 0, 0, 0, 0, 0x07, 0x24, 0x0B];
    let micros = Kind::Timestamp { utc: false, nanoseconds: false };
    let mut column = Column::new(&micros, Format::DateTime2(7), 2).unwrap();
    let mut counted = tally(OnUnrepresentable::Fail);
    column.push(&early, &mut counted).unwrap();
    column.push(&late, &mut counted).unwrap();
    assert_eq!((counted.rounded, counted.unrepresentable), (1, 0));
    let array = column.finish().unwrap();
    assert_eq!(
        array.as_primitive::<TimestampMicrosecondType>().values()[..],
        [-62_135_596_800_000_000, 946_684_800_000_000]
    );

    let nanos = Kind::Timestamp { utc: false, nanoseconds: true };
    let mut column = Column::new(&nanos, Format::DateTime2(7), 2).unwrap();
    assert!(matches!(column.push(&early, &mut counted), Err(Fault::Unrepresentable(_))));
    column.push(&late, &mut counted).unwrap();
    assert_eq!(column.finish().unwrap().as_primitive::<TimestampNanosecondType>().value(0), 946_684_800_000_000_000);
}

#[test]
fn decimals_are_rescaled_exactly_or_refused() {
    let value = [&[1][..], &1250_u32.to_le_bytes()].concat();
    let format = Format::Decimal { precision: 9, scale: 2 };
    for (kind, expected) in [
        (Kind::Decimal128(9, 2), Some("12.50")),
        (Kind::Decimal128(38, 10), Some("12.5000000000")),
        (Kind::Decimal128(3, 1), Some("12.5")),
        (Kind::Decimal128(2, 1), None),
        (Kind::Decimal128(9, 0), None),
    ] {
        let mut column = Column::new(&kind, format, 1).unwrap();
        let pushed = column.push(&value, &mut tally(OnUnrepresentable::Null));
        let found =
            pushed.is_ok().then(|| column.finish().unwrap().as_primitive::<Decimal128Type>().value_as_string(0));
        assert_eq!(found.as_deref(), expected, "{kind:?}");
    }
    let mut column = Column::new(&Kind::Decimal256(76, 60), format, 1).unwrap();
    column.push(&value, &mut tally(OnUnrepresentable::Fail)).unwrap();
    let found = column.finish().unwrap().as_primitive::<Decimal256Type>().value_as_string(0);
    assert_eq!(found, format!("12.5{}", "0".repeat(59)));
}
