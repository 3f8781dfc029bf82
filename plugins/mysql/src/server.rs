//! Which server this is: MySQL or MariaDB, and of what version.

/// Product and version, from the greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Server {
    pub mariadb: bool,
    /// 101119 for 10.11.19.
    pub version: u32,
}

impl Server {
    /// Reads a greeting's version: `9.7.4`, `8.0.36-28`, `5.5.5-10.11.14-MariaDB-1`.
    pub fn of(greeting: &str) -> Self {
        let mariadb = greeting.to_ascii_lowercase().contains("mariadb");
        // Old MariaDB pretends to be MySQL 5.5.5, for clients that know nothing newer.
        let text = if mariadb { greeting.strip_prefix("5.5.5-").unwrap_or(greeting) } else { greeting };
        let mut numbers = text
            .split(|c: char| !c.is_ascii_digit() && c != '.')
            .next()
            .unwrap_or_default()
            .split('.')
            .map(|number| number.parse::<u32>().unwrap_or(0).min(99));
        let mut next = || numbers.next().unwrap_or(0);
        Self { mariadb, version: next() * 10_000 + next() * 100 + next() }
    }

    /// The name of the product.
    pub fn product(self) -> &'static str {
        if self.mariadb { "MariaDB" } else { "MySQL" }
    }

    /// Whether this is MySQL of at least this version.
    pub fn is_mysql_since(self, version: u32) -> bool {
        !self.mariadb && self.version >= version
    }

    /// Whether this is MariaDB of at least this version.
    pub fn is_mariadb_since(self, version: u32) -> bool {
        self.mariadb && self.version >= version
    }

    /// The session variable that says whether transactions may write.
    pub fn read_only_variable(self) -> &'static str {
        if self.is_mysql_since(50_720) || self.is_mariadb_since(110_101) {
            "transaction_read_only"
        } else {
            "tx_read_only"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_every_shape_are_numbers() {
        for (text, mariadb, version) in [
            ("9.7.4-2", false, 90_704),
            ("8.0.36-28.1", false, 80_036),
            ("5.7.44-log", false, 50_744),
            ("5.5.5-10.11.19-MariaDB-0+deb12u1-log", true, 101_119),
            ("11.8.2-MariaDB", true, 110_802),
            ("", false, 0),
        ] {
            assert_eq!(Server::of(text), Server { mariadb, version }, "{text}");
        }
    }
}
