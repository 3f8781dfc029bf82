//! A collation's five bytes on the wire (MS-TDS 2.2.5.1.2), and the code page they stand for.

use crate::kind::CodePage;

/// Set in the collations of UTF-8.
const UTF8: u32 = 1 << 26;

/// How char and varchar of a collation are read: 20 bits of locale, flags, four bits of version, a sort order. A
/// collation of SQL Server's own has a sort order, which names the code page; for those of Windows, the locale does.
pub(crate) fn code_page([a, b, c, d, sort]: [u8; 5]) -> CodePage {
    let info = u32::from_le_bytes([a, b, c, d]);
    if info & UTF8 != 0 {
        return CodePage::Utf8;
    }
    let page = if sort == 0 { page_of_locale(info & 0xFFFF) } else { page_of_sort(sort) };
    page.and_then(|page| CodePage::numbered(page.into())).unwrap_or(CodePage::Unknown)
}

/// The code page of a locale that Windows has one for, by the lower bits of its number: the language, and where it is
/// spoken (MS-LCID). None for those that exist in Unicode alone.
fn page_of_locale(locale: u32) -> Option<u16> {
    let region = locale >> 10;
    Some(match locale & 0x3FF {
        // Chinese: traditional in Taiwan, Hong Kong and Macao.
        0x04 => match region {
            1 | 3 | 5 => 950,
            _ => 936,
        },
        0x11 => 932,
        0x12 => 949,
        0x1E => 874,
        // Czech, Hungarian, Polish, Romanian, Slovak, Albanian, Slovenian, Turkmen.
        0x05 | 0x0E | 0x15 | 0x18 | 0x1B | 0x1C | 0x24 | 0x42 => 1250,
        // Croatian, Bosnian and Serbian, the last two in Cyrillic, too.
        0x1A => match region {
            3 | 7 | 8 | 10 | 12 => 1251,
            _ => 1250,
        },
        // Bulgarian, Russian, Ukrainian, Belarusian, Tajik, Macedonian, Kazakh, Kyrgyz, Tatar, Mongolian, Bashkir, Yakut.
        0x02 | 0x19 | 0x22 | 0x23 | 0x28 | 0x2F | 0x3F | 0x40 | 0x44 | 0x50 | 0x6D | 0x85 => 1251,
        // Azerbaijani and Uzbek: Latin, then Cyrillic.
        0x2C | 0x43 => {
            if region == 2 {
                1251
            } else {
                1254
            }
        }
        0x08 => 1253,
        0x1F => 1254,
        0x0D => 1255,
        // Arabic, Urdu, Persian, Uyghur, Dari.
        0x01 | 0x20 | 0x29 | 0x80 | 0x8C => 1256,
        // Estonian, Latvian, Lithuanian.
        0x25..=0x27 => 1257,
        0x2A => 1258,
        // Hindi, Maltese, the other languages of India, Tibetan, Khmer, Lao, Syriac, Sinhala, Nepali, Pashto, Divehi, Maori.
        0x39 | 0x3A | 0x45..=0x4F | 0x51 | 0x53 | 0x54 | 0x57 | 0x5A | 0x5B | 0x61 | 0x63 | 0x65 | 0x81 => return None,
        0x03
        | 0x06
        | 0x07
        | 0x09..=0x0C
        | 0x0F
        | 0x10
        | 0x13
        | 0x14
        | 0x16
        | 0x17
        | 0x1D
        | 0x21
        | 0x2B
        | 0x2D
        | 0x2E => 1252,
        0x32
        | 0x34..=0x38
        | 0x3B
        | 0x3C
        | 0x3E
        | 0x41
        | 0x52
        | 0x56
        | 0x5D..=0x5F
        | 0x62
        | 0x64
        | 0x68
        | 0x6A..=0x6C => 1252,
        0x6E..=0x70 | 0x78 | 0x7A | 0x7C | 0x7E | 0x82..=0x84 | 0x86..=0x88 => 1252,
        _ => return None,
    })
}

/// The code page of a sort order of SQL Server's own collations.
fn page_of_sort(sort: u8) -> Option<u16> {
    Some(match sort {
        30..=35 => 437,
        40..=45 | 49 | 55..=61 => 850,
        50..=54 | 71..=75 | 183..=186 | 210..=217 => 1252,
        80..=98 => 1250,
        104..=108 => 1251,
        112..=114 | 120..=122 | 124 => 1253,
        128..=130 => 1254,
        136..=138 => 1255,
        144..=146 => 1256,
        152..=160 => 1257,
        192 | 193 | 200 => 932,
        194 | 195 | 201 => 949,
        196 | 197 | 202 => 950,
        198 | 199 | 203 => 936,
        204..=206 => 874,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(info: u32, sort: u8) -> CodePage {
        let [a, b, c, d] = info.to_le_bytes();
        code_page([a, b, c, d, sort])
    }

    #[test]
    fn a_collation_names_its_code_page_by_sort_order_or_locale() {
        let numbered = |number| CodePage::numbered(number).unwrap();
        for (info, sort, expected) in [
            // SQL_Latin1_General_CP1_CI_AS, whose five bytes MS-TDS prints in its examples.
            (0x00D0_0409, 52, numbered(1252)),
            (0x00D0_0409, 0, numbered(1252)),
            (0x00D0_0409, 106, numbered(1251)),
            (0x00D0_0419, 0, numbered(1251)),
            (0x20D0_0415, 0, numbered(1250)),
            (0x00D0_041A, 0, numbered(1250)),
            (0x20D0_0C1A, 0, numbered(1251)),
            (0x20D0_201A, 0, numbered(1251)),
            (0x20D0_141A, 0, numbered(1250)),
            (0x00D0_0408, 0, numbered(1253)),
            (0x20D0_082C, 0, numbered(1251)),
            (0x20D0_042C, 0, numbered(1254)),
            (0x00D0_040D, 0, numbered(1255)),
            (0x00D0_0401, 0, numbered(1256)),
            (0x00D0_0827, 0, numbered(1257)),
            (0x00D0_042A, 0, numbered(1258)),
            (0x00D0_041E, 0, numbered(874)),
            (0x0001_0407, 0, numbered(1252)),
            (0x24D0_0409, 0, CodePage::Utf8),
            // Several bytes a character, or no code page at all: the server's own to convert.
            (0x00D0_0411, 0, CodePage::Unknown),
            (0x00D0_0804, 0, CodePage::Unknown),
            (0x00D0_0C04, 0, CodePage::Unknown),
            (0x20D0_0439, 0, CodePage::Unknown),
            (0x00D0_0409, 40, CodePage::Unknown),
            (0x00D0_0409, 255, CodePage::Unknown),
        ] {
            assert_eq!(page(info, sort), expected, "{info:08X} {sort}");
        }
    }
}
