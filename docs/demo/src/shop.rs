//! A small shop's database, the same every time.

use std::path::Path;

use rusqlite::{Connection, Result};

const CUSTOMERS: i64 = 5_000;
const ORDERS: i64 = 50_000;
const ITEMS: i64 = 150_000;

/// Writes the shop to a file that is not there yet.
pub fn make(path: &Path) -> Result<()> {
    let shop = Connection::open(path)?;
    shop.execute_batch(
        "PRAGMA journal_mode = OFF;
         PRAGMA synchronous = OFF;
         BEGIN;
         CREATE TABLE customers (
             id        INTEGER PRIMARY KEY,
             name      TEXT NOT NULL,
             country   TEXT NOT NULL,
             email     TEXT,
             newsletter BOOLEAN NOT NULL,
             joined    DATE NOT NULL,
             settings  JSON
         );
         CREATE TABLE orders (
             id          INTEGER PRIMARY KEY,
             customer_id INTEGER NOT NULL REFERENCES customers,
             placed_at   TIMESTAMP NOT NULL,
             status      TEXT NOT NULL,
             total       DECIMAL(12,2) NOT NULL,
             note        TEXT
         );
         CREATE TABLE order_items (
             id       INTEGER PRIMARY KEY,
             order_id INTEGER NOT NULL REFERENCES orders,
             product  TEXT NOT NULL,
             quantity INTEGER NOT NULL,
             price    DECIMAL(10,2) NOT NULL,
             weight   REAL,
             barcode  BLOB NOT NULL
         );",
    )?;
    let mut dice = Dice(20_240_229);
    customers(&shop, &mut dice)?;
    orders(&shop, &mut dice)?;
    items(&shop, &mut dice)?;
    shop.execute_batch("COMMIT")
}

fn customers(shop: &Connection, dice: &mut Dice) -> Result<()> {
    let mut insert = shop.prepare("INSERT INTO customers VALUES (?, ?, ?, ?, ?, date('2015-01-01', ?), ?)")?;
    for id in 1..=CUSTOMERS {
        let name = format!(
            "{} {}",
            dice.of(&["Ana", "Bo", "Chloé", "Đorđe", "Eve", "Łucja"]),
            dice.of(&["Ito", "Nagy", "Öz", "Silva"])
        );
        let email = (dice.below(10) > 0).then(|| format!("customer{id}@example.com"));
        let settings = (dice.below(3) > 0)
            .then(|| format!(r#"{{"theme":"{}","page":{}}}"#, dice.of(&["dark", "light"]), dice.below(50)));
        let joined = format!("+{} days", dice.below(3650));
        insert.execute((
            id,
            name,
            dice.of(&["DE", "FR", "JP", "PL", "TR"]),
            email,
            dice.below(2) == 1,
            joined,
            settings,
        ))?;
    }
    Ok(())
}

fn orders(shop: &Connection, dice: &mut Dice) -> Result<()> {
    let mut insert = shop.prepare("INSERT INTO orders VALUES (?, ?, datetime('2020-01-01', ?), ?, ? / 100.0, ?)")?;
    for id in 1..=ORDERS {
        let placed = format!("+{} seconds", id * 2_500 + dice.below(2_500));
        let note =
            (dice.below(20) == 0).then(|| dice.of(&["leave at the door", "ring twice", "gift: no bill, please"]));
        insert.execute((
            id,
            1 + dice.below(CUSTOMERS),
            placed,
            dice.of(&["new", "paid", "sent", "returned"]),
            dice.below(500_000),
            note,
        ))?;
    }
    Ok(())
}

fn items(shop: &Connection, dice: &mut Dice) -> Result<()> {
    let mut insert = shop.prepare("INSERT INTO order_items VALUES (?, ?, ?, ?, ? / 100.0, ? / 1000.0, ?)")?;
    for id in 1..=ITEMS {
        let product = format!(
            "{} {}",
            dice.of(&["red", "blue", "plain", "striped"]),
            dice.of(&["mug", "scarf", "lamp", "notebook"])
        );
        let weight = (dice.below(8) > 0).then(|| 1 + dice.below(9_999));
        let barcode = dice.below(i64::MAX).to_be_bytes();
        insert.execute((
            id,
            1 + id * ORDERS / (ITEMS + 1),
            product,
            1 + dice.below(5),
            99 + dice.below(20_000),
            weight,
            barcode,
        ))?;
    }
    Ok(())
}

/// A small generator of our own, so that the sample never changes with a crate's version.
struct Dice(u64);

impl Dice {
    /// A number from 0 to `sides` - 1.
    fn below(&mut self, sides: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 1).unwrap_or(0) / 65_536 % sides
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let count = i64::try_from(words.len()).unwrap_or(1);
        words[usize::try_from(self.below(count)).unwrap_or(0)]
    }
}
