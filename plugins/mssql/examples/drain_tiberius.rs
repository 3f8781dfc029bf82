//! What `drain` is measured against: the same table through `tiberius`, its `QueryItem` rows read by
//! `get::<T>` into Arrow builders: `drain_tiberius HOST:PORT USER PASSWORD DATABASE`, for lineitem.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use futures_util::TryStreamExt;
use rivet_sdk::arrow_array::builder::{Date32Builder, Decimal128Builder, Int32Builder, Int64Builder, StringBuilder};
use rivet_sdk::arrow_array::{ArrayRef, RecordBatch};
use tiberius::numeric::Numeric;
use tiberius::time::time::Date;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, QueryItem, Row};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncWriteCompatExt;

const BATCH_ROWS: usize = 16_384;
/// 1970-01-01.
const EPOCH_JULIAN: i32 = 2_440_588;

#[derive(Default)]
struct Batch {
    order: Int64Builder,
    integers: [Int32Builder; 3],
    decimals: [Decimal128Builder; 4],
    dates: [Date32Builder; 3],
    texts: [StringBuilder; 5],
    rows: usize,
}

impl Batch {
    fn push(&mut self, row: &Row) {
        self.order.append_option(row.get::<i64, _>(0));
        for (builder, index) in self.integers.iter_mut().zip(1_usize..) {
            builder.append_option(row.get::<i32, _>(index));
        }
        for (builder, index) in self.decimals.iter_mut().zip(4_usize..) {
            builder.append_option(row.get::<Numeric, _>(index).map(|value| value.value()));
        }
        for (builder, index) in self.dates.iter_mut().zip(10_usize..) {
            builder.append_option(row.get::<Date, _>(index).map(|date| date.to_julian_day() - EPOCH_JULIAN));
        }
        for (builder, index) in self.texts.iter_mut().zip([8_usize, 9, 13, 14, 15]) {
            builder.append_option(row.get::<&str, _>(index));
        }
        self.rows += 1;
    }

    fn finish(&mut self) -> usize {
        self.rows = 0;
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(self.order.finish())];
        arrays.extend(self.integers.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        arrays.extend(self.decimals.iter_mut().map(|builder| {
            let array = builder.finish().with_precision_and_scale(15, 2).unwrap();
            Arc::new(array) as ArrayRef
        }));
        arrays.extend(self.dates.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        arrays.extend(self.texts.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        let columns = arrays.into_iter().enumerate().map(|(index, array)| (index.to_string(), array));
        RecordBatch::try_from_iter(columns).unwrap().num_rows()
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, user, password, database] = &arguments[..] else { panic!("HOST:PORT USER PASSWORD DATABASE") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(async {
        let mut config = Config::new();
        config.authentication(AuthMethod::sql_server(user, password));
        config.database(database);
        config.encryption(EncryptionLevel::NotSupported);
        config.packet_size(16_000);
        let socket = TcpStream::connect(address).await.unwrap();
        let mut client = Client::connect(config, socket.compat_write()).await.unwrap();
        let mut stream = client.simple_query("SELECT * FROM lineitem").await.unwrap();
        let (mut batch, mut rows) = (Batch::default(), 0);
        while let Some(item) = stream.try_next().await.unwrap() {
            if let QueryItem::Row(row) = item {
                batch.push(&row);
                if batch.rows == BATCH_ROWS {
                    rows += batch.finish();
                }
            }
        }
        rows + batch.finish()
    });
    eprintln!("{rows} rows");
}
