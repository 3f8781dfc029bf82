//! Rows like those of TPC-H's lineitem, and of a wide table of many types.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

const BATCH_ROWS: usize = 8192;

/// The table's schema.
pub fn schema(table: &str) -> SchemaRef {
    batches(table, 1).next().map_or_else(|| Arc::new(Schema::empty()), |batch| batch.schema())
}

/// The table's rows, made as they are asked for.
pub fn batches(table: &str, rows: usize) -> Box<dyn Iterator<Item = RecordBatch>> {
    let mut random = Random(42);
    let starts = (0..rows).step_by(BATCH_ROWS).map(move |start| (start, BATCH_ROWS.min(rows - start)));
    if table == "wide" {
        Box::new(starts.map(move |(start, count)| wide(&mut random, start, count)))
    } else {
        let mut order = Order::default();
        Box::new(starts.map(move |(_, count)| lineitem(&mut random, &mut order, count)))
    }
}

#[derive(Default)]
struct Order {
    key: i32,
    line: i32,
    lines: i32,
    date: i32,
}

fn lineitem(random: &mut Random, order: &mut Order, rows: usize) -> RecordBatch {
    let mut columns: Vec<Vec<i64>> = (0..11).map(|_| Vec::with_capacity(rows)).collect();
    let mut texts: Vec<StringBuilder> = (0..5).map(|_| StringBuilder::with_capacity(rows, rows * 16)).collect();
    let mut comment = String::new();
    for _ in 0..rows {
        if order.line == order.lines {
            order.key += if order.key % 8 == 7 { 25 } else { 1 };
            order.line = 0;
            order.lines = random.range(1, 8) as i32;
            order.date = 8035 + random.range(0, 2406) as i32;
        }
        order.line += 1;
        let part = random.range(1, 200_001);
        let quantity = random.range(1, 51);
        let price = 90_000 + (part / 10) % 20_001 + 100 * (part % 1000);
        let ship = i64::from(order.date) + random.range(1, 122);
        let commit = i64::from(order.date) + random.range(30, 91);
        let receipt = ship + random.range(1, 31);
        let values = [
            i64::from(order.key),
            part,
            random.range(1, 10_001),
            i64::from(order.line),
            quantity * 100,
            quantity * price,
            random.range(0, 11),
            random.range(0, 9),
            ship,
            commit,
            receipt,
        ];
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(value);
        }
        let old = receipt <= 9298;
        texts[0].append_value(if !old {
            "N"
        } else if random.range(0, 2) == 0 {
            "R"
        } else {
            "A"
        });
        texts[1].append_value(if ship > 9298 { "O" } else { "F" });
        texts[2].append_value(random.pick(&["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"]));
        texts[3].append_value(random.pick(&["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"]));
        comment.clear();
        let length = random.range(10, 44) as usize;
        random.words(&mut comment, length);
        texts[4].append_value(&comment[..length]);
    }
    let ints = |index: usize| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(columns[index].iter().map(|v| i32::try_from(*v).unwrap_or(0))))
    };
    let dates = |index: usize| -> ArrayRef {
        Arc::new(Date32Array::from_iter_values(columns[index].iter().map(|v| i32::try_from(*v).unwrap_or(0))))
    };
    let decimals = |index: usize| -> ArrayRef {
        let values = Decimal128Array::from_iter_values(columns[index].iter().map(|value| i128::from(*value)));
        Arc::new(values.with_precision_and_scale(15, 2).expect("fits"))
    };
    let mut texts = texts.into_iter().map(|mut text| -> ArrayRef { Arc::new(text.finish()) });
    let mut text = || texts.next().expect("five");
    let columns = [
        ("l_orderkey", ints(0)),
        ("l_partkey", ints(1)),
        ("l_suppkey", ints(2)),
        ("l_linenumber", ints(3)),
        ("l_quantity", decimals(4)),
        ("l_extendedprice", decimals(5)),
        ("l_discount", decimals(6)),
        ("l_tax", decimals(7)),
        ("l_returnflag", text()),
        ("l_linestatus", text()),
        ("l_shipdate", dates(8)),
        ("l_commitdate", dates(9)),
        ("l_receiptdate", dates(10)),
        ("l_shipinstruct", text()),
        ("l_shipmode", text()),
        ("l_comment", text()),
    ];
    batch(columns, false)
}

fn wide(random: &mut Random, start: usize, rows: usize) -> RecordBatch {
    let null = |random: &mut Random| random.range(0, 10) == 0;
    let (mut name, mut body, mut json) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut bytes, mut uuid) = (BinaryBuilder::new(), FixedSizeBinaryBuilder::new(16));
    let (mut amount, mut at, mut flag, mut day, mut real) = (vec![], vec![], vec![], vec![], vec![]);
    let mut text = String::new();
    for row in start..start + rows {
        text.clear();
        let _ = write!(text, "customer {}", random.range(0, 1_000_000));
        name.append_value(&text);
        text.clear();
        random.words(&mut text, 500);
        body.append_value(&text[..500]);
        text.clear();
        let (id, score) = (random.range(0, 100_000), random.range(0, 1000));
        let _ = write!(text, "{{\"id\": {id}, \"tags\": [\"a\", \"b{}\"], \"score\": {score}}}", id % 7);
        json.append_option((!null(random)).then_some(&text));
        amount.push((!null(random)).then(|| i128::from(random.range(0, 1_000_000_000))));
        at.push((!null(random)).then(|| 1_700_000_000_000_000 + row as i64 * 1_000_003));
        flag.push((!null(random)).then(|| random.range(0, 2) == 0));
        day.push((!null(random)).then(|| 19_000 + random.range(0, 1000) as i32));
        real.push((!null(random)).then(|| random.range(0, 1 << 52) as f64 / 1e6));
        let mut raw = [0u8; 32];
        raw.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&random.next().to_le_bytes()));
        uuid.append_value(&raw[..16]).expect("sixteen");
        bytes.append_option((!null(random)).then_some(raw));
    }
    let amount = Decimal128Array::from_iter(amount).with_precision_and_scale(18, 4).expect("fits");
    let at = TimestampMicrosecondArray::from_iter(at).with_timezone("UTC");
    let key = Int64Array::from_iter_values(start as i64..(start + rows) as i64);
    let columns: [(&str, ArrayRef); 11] = [
        ("id", Arc::new(key)),
        ("name", Arc::new(name.finish())),
        ("body", Arc::new(body.finish())),
        ("doc", Arc::new(json.finish())),
        ("amount", Arc::new(amount)),
        ("at", Arc::new(at)),
        ("flag", Arc::new(BooleanArray::from(flag))),
        ("uuid", Arc::new(uuid.finish())),
        ("day", Arc::new(Date32Array::from(day))),
        ("real", Arc::new(Float64Array::from(real))),
        ("bytes", Arc::new(bytes.finish())),
    ];
    batch(columns, true)
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N], nullable: bool) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| {
            let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            let data_type = if *name == "at" { utc } else { array.data_type().clone() };
            Field::new(*name, data_type, nullable && *name != "id")
        })
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns fit their schema")
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn range(&mut self, from: i64, to: i64) -> i64 {
        from + (self.next() % (to - from).unsigned_abs()).cast_signed()
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.next() % words.len() as u64).unwrap_or(0)]
    }

    fn words(&mut self, out: &mut String, length: usize) {
        const WORDS: [&str; 40] = [
            "the",
            "furiously",
            "carefully",
            "quickly",
            "blithely",
            "deposits",
            "requests",
            "packages",
            "accounts",
            "instructions",
            "foxes",
            "ideas",
            "theodolites",
            "dependencies",
            "platelets",
            "pinto",
            "beans",
            "regular",
            "final",
            "express",
            "special",
            "pending",
            "bold",
            "even",
            "ironic",
            "silent",
            "sleep",
            "haggle",
            "nag",
            "cajole",
            "boost",
            "detect",
            "along",
            "among",
            "above",
            "across",
            "slyly",
            "fluffily",
            "asymptotes",
            "courts",
        ];
        while out.len() < length {
            out.push_str(self.pick(&WORDS));
            out.push(' ');
        }
    }
}
