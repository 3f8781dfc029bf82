//! Collations: their names, their code pages and their five bytes on the wire.

use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};

use super::order;

/// A collation: a base (language and version) and what its suffixes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Collation {
    base: u8,
    flags: u8,
}

struct Base {
    name: &'static str,
    lcid: u32,
    code_page: u16,
    version: u8,
    /// SQL collations: the sort ids of their CI_AS and CS_AS forms.
    sort: Option<(u8, u8)>,
}

const fn base(name: &'static str, lcid: u32, code_page: u16, version: u8) -> Base {
    Base { name, lcid, code_page, version, sort: None }
}

const BASES: [Base; 19] = [
    Base { name: "SQL_Latin1_General_CP1", lcid: 0x409, code_page: 1252, version: 0, sort: Some((52, 51)) },
    base("Latin1_General", 0x409, 1252, 0),
    base("Latin1_General_100", 0x409, 1252, 2),
    base("Polish", 0x415, 1250, 0),
    base("Polish_100", 0x415, 1250, 2),
    base("Czech", 0x405, 1250, 0),
    base("Cyrillic_General", 0x419, 1251, 0),
    base("Greek", 0x408, 1253, 0),
    base("Turkish", 0x41f, 1254, 0),
    base("Hebrew", 0x40d, 1255, 0),
    base("Arabic", 0x401, 1256, 0),
    base("Latvian", 0x426, 1257, 0),
    base("Vietnamese", 0x42a, 1258, 0),
    base("Thai", 0x41e, 874, 0),
    base("Japanese", 0x411, 932, 0),
    base("Japanese_XJIS_140", 0x411, 932, 3),
    base("Chinese_PRC", 0x804, 936, 0),
    base("Korean_Wansung", 0x412, 949, 0),
    base("Chinese_Taiwan_Stroke", 0x404, 950, 0),
];

const CASE_SENSITIVE: u8 = 1;
const ACCENT_INSENSITIVE: u8 = 2;
const KANA_SENSITIVE: u8 = 4;
const WIDTH_SENSITIVE: u8 = 8;
const BIN: u8 = 16;
const BIN2: u8 = 32;
const SUPPLEMENTARY: u8 = 64;
const UTF8: u8 = 128;

impl Collation {
    /// SQL_Latin1_General_CP1_CI_AS.
    pub const DEFAULT: Self = Self { base: 0, flags: 0 };
    /// The catalogue's own text columns.
    pub const CATALOGUE: Self = Self { base: 1, flags: KANA_SENSITIVE | WIDTH_SENSITIVE };

    /// Finds a collation by name, as far as the list above goes.
    pub fn parse(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let (at, base) = BASES
            .iter()
            .enumerate()
            .filter(|(_, base)| lower.starts_with(&format!("{}_", base.name.to_ascii_lowercase())))
            .max_by_key(|(_, base)| base.name.len())?;
        let mut flags = 0;
        for suffix in lower.get(base.name.len() + 1..)?.split('_') {
            flags |= match suffix {
                "ci" | "as" => 0,
                "cs" => CASE_SENSITIVE,
                "ai" => ACCENT_INSENSITIVE,
                "ks" => KANA_SENSITIVE,
                "ws" => WIDTH_SENSITIVE,
                "bin" => BIN,
                "bin2" => BIN2,
                "sc" => SUPPLEMENTARY,
                "utf8" => UTF8,
                _ => return None,
            };
        }
        if base.name == "Japanese_XJIS_140" {
            flags |= SUPPLEMENTARY;
        }
        Some(Self { base: u8::try_from(at).ok()?, flags })
    }

    pub fn name(self) -> String {
        let mut name = BASES[usize::from(self.base)].name.to_owned();
        let has = |flag| self.flags & flag != 0;
        let words: &[(bool, &str)] = if has(BIN) {
            &[(true, "_BIN")]
        } else if has(BIN2) {
            &[(true, "_BIN2"), (has(UTF8), "_UTF8")]
        } else {
            &[
                (true, if has(CASE_SENSITIVE) { "_CS" } else { "_CI" }),
                (true, if has(ACCENT_INSENSITIVE) { "_AI" } else { "_AS" }),
                (has(KANA_SENSITIVE), "_KS"),
                (has(WIDTH_SENSITIVE), "_WS"),
                (has(SUPPLEMENTARY) && BASES[usize::from(self.base)].version == 2, "_SC"),
                (has(UTF8), "_UTF8"),
            ]
        };
        name.extend(words.iter().filter(|(shown, _)| *shown).map(|(_, word)| *word));
        name
    }

    pub fn is_case_sensitive(self) -> bool {
        self.flags & (CASE_SENSITIVE | BIN | BIN2) != 0
    }

    pub fn code_page(self) -> u16 {
        if self.flags & UTF8 != 0 { 65001 } else { BASES[usize::from(self.base)].code_page }
    }

    pub fn encoding(self) -> &'static Encoding {
        match self.code_page() {
            874 => encoding_rs::WINDOWS_874,
            932 => encoding_rs::SHIFT_JIS,
            936 => encoding_rs::GBK,
            949 => encoding_rs::EUC_KR,
            950 => encoding_rs::BIG5,
            1250 => encoding_rs::WINDOWS_1250,
            1251 => encoding_rs::WINDOWS_1251,
            1253 => encoding_rs::WINDOWS_1253,
            1254 => encoding_rs::WINDOWS_1254,
            1255 => encoding_rs::WINDOWS_1255,
            1256 => encoding_rs::WINDOWS_1256,
            1257 => encoding_rs::WINDOWS_1257,
            1258 => encoding_rs::WINDOWS_1258,
            65001 => encoding_rs::UTF_8,
            _ => encoding_rs::WINDOWS_1252,
        }
    }

    /// LCID, flags, version and sort id (MS-TDS 2.2.5.1.2).
    pub fn wire(self) -> [u8; 5] {
        let base = &BASES[usize::from(self.base)];
        let mut info = base.lcid;
        let has = |flag| self.flags & flag != 0;
        if has(BIN) {
            info |= 0x0100_0000;
        } else if has(BIN2) {
            info |= 0x0200_0000;
        } else {
            info |= if has(CASE_SENSITIVE) { 0 } else { 0x10_0000 };
            info |= if has(ACCENT_INSENSITIVE) { 0x20_0000 } else { 0 };
            info |= if has(KANA_SENSITIVE) { 0 } else { 0x40_0000 };
            info |= if has(WIDTH_SENSITIVE) { 0 } else { 0x80_0000 };
        }
        info |= if has(UTF8) { 0x0400_0000 } else { 0 };
        info |= u32::from(base.version) << 28;
        let sort = match base.sort {
            Some((insensitive, sensitive)) => {
                if has(CASE_SENSITIVE) {
                    sensitive
                } else {
                    insensitive
                }
            }
            None => 0,
        };
        let [a, b, c, d] = info.to_le_bytes();
        [a, b, c, d, sort]
    }

    /// The SQLite collation that orders its texts.
    pub fn order(self) -> &'static str {
        if self.flags & BIN2 != 0 || self.flags & BIN != 0 {
            order::BINARY
        } else if self.flags & CASE_SENSITIVE != 0 {
            order::CASED
        } else {
            order::CASELESS
        }
    }

    /// The code page's bytes; what it lacks becomes `?`.
    pub fn encode(self, text: &str) -> Vec<u8> {
        let mut encoder = self.encoding().new_encoder();
        let mut bytes = Vec::with_capacity(text.len() + 16);
        let mut rest = text;
        loop {
            bytes.reserve(rest.len() * 2 + 16);
            let (outcome, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut bytes, true);
            rest = &rest[read..];
            match outcome {
                encoding_rs::EncoderResult::InputEmpty => return bytes,
                encoding_rs::EncoderResult::Unmappable(_) => bytes.push(b'?'),
                encoding_rs::EncoderResult::OutputFull => {}
            }
        }
    }

    /// Text of the code page's bytes.
    pub fn decode(self, bytes: &[u8]) -> String {
        self.encoding().decode_without_bom_handling(bytes).0.into_owned()
    }
}
