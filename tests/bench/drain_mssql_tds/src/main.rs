//! What `decode_mssql` is measured against: the same table through `mssql-tds`, whose `RowWriter` is handed each value
//! where it lies, into Arrow builders: `drain-mssql-tds URL`, for lineitem, of a server that does without TLS.

extern crate arrow_array;

use std::borrow::Cow;

use mssql_tds::connection::client_context::ClientContext;
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::EncryptionSetting;
use mssql_tds::datatypes::column_values::{
    SqlDate, SqlDateTime, SqlDateTime2, SqlDateTimeOffset, SqlMoney, SqlSmallDateTime, SqlSmallMoney, SqlTime, SqlXml,
};
use mssql_tds::datatypes::decoder::DecimalParts;
use mssql_tds::datatypes::row_writer::RowWriter;
use mssql_tds::datatypes::sql_json::SqlJson;
use mssql_tds::datatypes::sql_string::EncodingType;
use mssql_tds::datatypes::sql_vector::SqlVector;

use lineitem::Batches;

#[path = "../../drain_lineitem.rs"]
mod lineitem;

/// From 0001-01-01 to 1970-01-01.
const EPOCH_DAYS: i32 = 719_162;

struct Writer(Batches);

/// What lineitem has no column for.
macro_rules! never {
    ($($method:ident: $value:ty),*) => {
        $(fn $method(&mut self, column: usize, _: $value) {
            panic!("column {column} of lineitem is none of these: {}", stringify!($value));
        })*
    };
}

impl RowWriter for Writer {
    fn write_null(&mut self, column: usize) {
        panic!("column {column} of lineitem is NOT NULL");
    }

    fn write_i32(&mut self, column: usize, value: i32) {
        self.0.integers[column - 1].append_value(value);
    }

    fn write_i64(&mut self, _: usize, value: i64) {
        self.0.order.append_value(value);
    }

    fn write_decimal(&mut self, column: usize, value: DecimalParts) {
        let magnitude = i128::try_from(value.magnitude()).unwrap();
        self.0.decimals[column - 4].append_value(if value.is_positive { magnitude } else { -magnitude });
    }

    fn write_numeric(&mut self, column: usize, value: DecimalParts) {
        self.write_decimal(column, value);
    }

    fn write_date(&mut self, column: usize, value: SqlDate) {
        self.0.dates[column - 10].append_value(i32::try_from(value.get_days()).unwrap() - EPOCH_DAYS);
    }

    fn write_string(&mut self, column: usize, bytes: Cow<'_, [u8]>, encoding: EncodingType) {
        let (text, malformed) = encoding.encoding().unwrap().decode_without_bom_handling(&bytes);
        assert!(!malformed);
        match column {
            8 | 9 => self.0.flags[column - 8].append_value(text),
            _ => self.0.texts[column - 13].append_value(text),
        }
    }

    fn end_row(&mut self) {
        self.0.end_row();
    }

    never!(write_bool: bool, write_u8: u8, write_i16: i16, write_f32: f32, write_f64: f64, write_bytes: Cow<'_, [u8]>);
    never!(write_time: SqlTime, write_datetime: SqlDateTime, write_smalldatetime: SqlSmallDateTime);
    never!(write_datetime2: SqlDateTime2, write_datetimeoffset: SqlDateTimeOffset, write_money: SqlMoney);
    never!(write_smallmoney: SqlSmallMoney, write_uuid: uuid::Uuid, write_xml: SqlXml, write_json: SqlJson);
    never!(write_vector: SqlVector);
}

fn main() {
    let url = std::env::args().nth(1).expect("drain-mssql-tds URL");
    let (login, place) = url.split_once("://").unwrap().1.rsplit_once('@').unwrap();
    let (user, password) = login.split_once(':').unwrap();
    let (address, database) = place.split_once('/').unwrap();
    let mut context = ClientContext::default();
    context.user_name = user.to_owned();
    context.password = password.to_owned();
    context.database = database.to_owned();
    context.packet_size = 16_000;
    context.encryption_options.mode = EncryptionSetting::PreferOff;
    let server = format!("tcp:{}", address.replace(':', ","));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(async {
        let mut client = TdsConnectionProvider {}.create_client(context, &server, None).await.unwrap();
        client.execute("SELECT * FROM lineitem".to_owned(), ()).await.unwrap();
        let mut writer = Writer(Batches::default());
        while client.next_row_into(&mut writer).await.unwrap() {}
        writer.0.finish()
    });
    eprintln!("{rows} rows");
}
