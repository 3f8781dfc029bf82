//! TYPE_INFO (MS-TDS 2.2.5.6): how a column's type is announced.

use super::{Kind, MAX, Type};
use crate::wire::Put;

/// Writes the type of a column or return value. NOT NULL columns have the types of fixed length.
pub fn put(into: &mut Vec<u8>, ty: &Type, nullable: bool) {
    match ty.kind {
        Kind::Bit => fixed(into, nullable, 0x32, 0x68, 1),
        Kind::TinyInt => fixed(into, nullable, 0x30, 0x26, 1),
        Kind::SmallInt => fixed(into, nullable, 0x34, 0x26, 2),
        Kind::Int => fixed(into, nullable, 0x38, 0x26, 4),
        Kind::BigInt => fixed(into, nullable, 0x7f, 0x26, 8),
        Kind::Real => fixed(into, nullable, 0x3b, 0x6d, 4),
        Kind::Float => fixed(into, nullable, 0x3e, 0x6d, 8),
        Kind::Money => fixed(into, nullable, 0x3c, 0x6e, 8),
        Kind::SmallMoney => fixed(into, nullable, 0x7a, 0x6e, 4),
        Kind::DateTime => fixed(into, nullable, 0x3d, 0x6f, 8),
        Kind::SmallDateTime => fixed(into, nullable, 0x3a, 0x6f, 4),
        Kind::Decimal | Kind::Numeric => {
            into.u8(if ty.kind == Kind::Decimal { 0x6a } else { 0x6c });
            into.put(&[17, ty.precision, ty.scale]);
        }
        Kind::Date => into.u8(0x28),
        Kind::Time => into.put(&[0x29, ty.scale]),
        Kind::DateTime2 => into.put(&[0x2a, ty.scale]),
        Kind::DateTimeOffset => into.put(&[0x2b, ty.scale]),
        Kind::Char => sized(into, 0xaf, ty),
        Kind::VarChar => sized(into, 0xa7, ty),
        Kind::NChar => sized(into, 0xef, ty),
        Kind::NVarChar => sized(into, 0xe7, ty),
        Kind::Binary | Kind::RowVersion => sized(into, 0xad, ty),
        Kind::VarBinary => sized(into, 0xa5, ty),
        Kind::Text => {
            into.u8(0x23);
            into.u32(0x7fff_ffff);
            into.put(&ty.collation.wire());
        }
        Kind::NText => {
            into.u8(0x63);
            into.u32(0x7fff_fffe);
            into.put(&ty.collation.wire());
        }
        Kind::Image => {
            into.u8(0x22);
            into.u32(0x7fff_ffff);
        }
        Kind::UniqueIdentifier => into.put(&[0x24, 16]),
        Kind::Xml => into.put(&[0xf1, 0]),
        Kind::SqlVariant => {
            into.u8(0x62);
            into.u32(8009);
        }
        Kind::HierarchyId => udt(into, "hierarchyid", "SqlHierarchyId", 892),
        Kind::Geography => udt(into, "geography", "SqlGeography", MAX),
        Kind::Geometry => udt(into, "geometry", "SqlGeometry", MAX),
    }
}

/// The user type of a column: only rowversion has one worth telling.
pub fn user_type(ty: &Type) -> u32 {
    if ty.kind == Kind::RowVersion { 0x50 } else { 0 }
}

fn fixed(into: &mut Vec<u8>, nullable: bool, code: u8, nullable_code: u8, length: u8) {
    if nullable {
        into.put(&[nullable_code, length]);
    } else {
        into.u8(code);
    }
}

fn sized(into: &mut Vec<u8>, code: u8, ty: &Type) {
    into.u8(code);
    let bytes = match ty.length {
        MAX => MAX,
        length if ty.is_national() => length * 2,
        length => length,
    };
    into.u16(bytes);
    if ty.is_text() {
        into.put(&ty.collation.wire());
    }
}

fn udt(into: &mut Vec<u8>, name: &str, class: &str, length: u16) {
    into.u8(0xf0);
    into.u16(length);
    into.b_varchar("");
    into.b_varchar("sys");
    into.b_varchar(name);
    into.us_varchar(&format!(
        "Microsoft.SqlServer.Types.{class}, Microsoft.SqlServer.Types, Version=11.0.0.0, Culture=neutral, \
         PublicKeyToken=89845dcd8080cc91"
    ));
}
