//! hierarchyid, geometry and geography, as far as their methods are asked.
//!
//! A shape is stored as its SRID and its well-known binary; a hierarchyid as its text.

use rusqlite::types::{Value, ValueRef};

use crate::error::{SqlError, SqlResult};

/// A hierarchyid from `/1/2.5/3/`.
pub fn hierarchy(text: &str) -> SqlResult<Value> {
    let node = |part: &str| !part.is_empty() && part.split('.').all(|number| number.parse::<i64>().is_ok());
    let inside =
        text.strip_prefix('/').and_then(|text| if text.is_empty() { Some("") } else { text.strip_suffix('/') });
    match inside {
        Some(inside) if inside.is_empty() || inside.split('/').all(node) => Ok(Value::Text(text.to_owned())),
        _ => {
            Err(broken(&format!("24001: SqlHierarchyId.Parse failed because the input string '{text}' is not valid.")))
        }
    }
}

fn broken(message: &str) -> SqlError {
    SqlError::new(6522, format!("A .NET Framework error occurred during execution of user-defined routine: {message}"))
}

/// A shape of its well-known binary.
pub fn from_binary(wkb: &[u8], srid: i64) -> SqlResult<Value> {
    if wkb.len() < 9 || wkb[0] > 1 {
        return Err(broken("24210: The well-known binary (WKB) input is not valid."));
    }
    let mut bytes = i32::try_from(srid).map_err(|_| broken("24204: The SRID is not valid."))?.to_le_bytes().to_vec();
    bytes.extend_from_slice(wkb);
    Ok(Value::Blob(bytes))
}

/// SRID and well-known binary.
pub fn parts(value: ValueRef<'_>) -> SqlResult<(i64, &[u8])> {
    let ValueRef::Blob(bytes) = value else { return Err(broken("not a shape")) };
    let (srid, wkb) = bytes.split_at_checked(4).ok_or_else(|| broken("not a shape"))?;
    Ok((i64::from(i32::from_le_bytes([srid[0], srid[1], srid[2], srid[3]])), wkb))
}

/// A shape of its well-known text: POINT, LINESTRING or POLYGON.
pub fn from_text(text: &str, srid: i64) -> SqlResult<Value> {
    let wkb = wkb(text).ok_or_else(|| broken("24114: The well-known text (WKT) input is not valid."))?;
    from_binary(&wkb, srid)
}

pub fn point(x: f64, y: f64) -> Vec<u8> {
    let mut bytes = vec![1, 1, 0, 0, 0];
    bytes.extend(x.to_le_bytes());
    bytes.extend(y.to_le_bytes());
    bytes
}

fn wkb(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let open = text.find('(')?;
    let (name, body) = (text[..open].trim().to_ascii_uppercase(), text[open..].trim());
    match name.as_str() {
        "POINT" => {
            let points = points(body)?;
            let [(x, y)] = points[..] else { return None };
            Some(point(x, y))
        }
        "LINESTRING" => {
            let mut bytes = vec![1, 2, 0, 0, 0];
            put_points(&mut bytes, &points(body)?)?;
            Some(bytes)
        }
        "POLYGON" => {
            let inside = body.strip_prefix('(')?.strip_suffix(')')?;
            let rings: Vec<&str> = inside.split("),").collect();
            let mut bytes = vec![1, 3, 0, 0, 0];
            bytes.extend(u32::try_from(rings.len()).ok()?.to_le_bytes());
            for ring in rings {
                let ring = format!("{})", ring.trim().trim_end_matches(')'));
                put_points(&mut bytes, &points(&ring)?)?;
            }
            Some(bytes)
        }
        _ => None,
    }
}

fn put_points(into: &mut Vec<u8>, points: &[(f64, f64)]) -> Option<()> {
    into.extend(u32::try_from(points.len()).ok()?.to_le_bytes());
    for (x, y) in points {
        into.extend(x.to_le_bytes());
        into.extend(y.to_le_bytes());
    }
    Some(())
}

fn points(text: &str) -> Option<Vec<(f64, f64)>> {
    let inside = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    inside
        .split(',')
        .map(|pair| {
            let mut numbers = pair.split_whitespace();
            let point = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
            numbers.next().is_none().then_some(point)
        })
        .collect()
}
