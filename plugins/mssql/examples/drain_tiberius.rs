//! What `decode_mssql` is measured against: the same table through `tiberius`, its `QueryItem` rows read by `get::<T>`
//! into Arrow builders: `drain_tiberius URL`, for lineitem. `drain_tiberius URL run` runs each line of its input as a
//! statement, for `tests/bench/drain` to make that table.

#![allow(clippy::unwrap_used)]

use futures_util::TryStreamExt;
use rivet_sdk::arrow_array;
use tiberius::numeric::Numeric;
use tiberius::time::time::Date;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, QueryItem, Row};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use lineitem::Batches;

#[path = "../../../tests/bench/drain_lineitem.rs"]
mod lineitem;

/// 1970-01-01.
const EPOCH_JULIAN: i32 = 2_440_588;

fn push(batches: &mut Batches, row: &Row) {
    batches.order.append_option(row.get::<i64, _>(0));
    for (builder, index) in batches.integers.iter_mut().zip(1_usize..) {
        builder.append_option(row.get::<i32, _>(index));
    }
    for (builder, index) in batches.decimals.iter_mut().zip(4_usize..) {
        builder.append_option(row.get::<Numeric, _>(index).map(|value| value.value()));
    }
    for (builder, index) in batches.flags.iter_mut().zip(8_usize..) {
        builder.append_option(row.get::<&str, _>(index));
    }
    for (builder, index) in batches.dates.iter_mut().zip(10_usize..) {
        builder.append_option(row.get::<Date, _>(index).map(|date| date.to_julian_day() - EPOCH_JULIAN));
    }
    for (builder, index) in batches.texts.iter_mut().zip(13_usize..) {
        builder.append_option(row.get::<&str, _>(index));
    }
    batches.end_row();
}

/// `mssql://USER:PASSWORD@HOST:PORT/DATABASE`, of a server that does without TLS.
async fn connect(url: &str) -> Client<Compat<TcpStream>> {
    let (login, place) = url.split_once("://").unwrap().1.rsplit_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap();
    let (address, database) = place.split_once('/').unwrap();
    let mut config = Config::new();
    config.authentication(AuthMethod::sql_server(user, password));
    config.database(database);
    config.encryption(EncryptionLevel::NotSupported);
    config.packet_size(16_000);
    let socket = TcpStream::connect(address).await.unwrap();
    Client::connect(config, socket.compat_write()).await.unwrap()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut client = runtime.block_on(connect(&arguments[0]));
    if arguments.get(1).is_some_and(|word| word == "run") {
        for statement in std::io::stdin().lines() {
            let statement = statement.unwrap();
            runtime.block_on(async { client.simple_query(statement).await.unwrap().into_results().await.unwrap() });
        }
        return;
    }
    let rows = runtime.block_on(async {
        let mut stream = client.simple_query("SELECT * FROM lineitem").await.unwrap();
        let mut batches = Batches::default();
        while let Some(item) = stream.try_next().await.unwrap() {
            if let QueryItem::Row(row) = item {
                push(&mut batches, &row);
            }
        }
        batches.finish()
    });
    eprintln!("{rows} rows");
}
