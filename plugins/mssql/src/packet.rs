//! TDS packets: a header of eight bytes, and a message cut into as many as it needs; its texts are UTF-16.

/// What a message is.
pub(crate) mod kind {
    pub const BATCH: u8 = 0x01;
    pub const ANSWER: u8 = 0x04;
    pub const ATTENTION: u8 = 0x06;
    pub const LOGIN: u8 = 0x10;
    pub const PRELOGIN: u8 = 0x12;
}

pub(crate) const HEADER_BYTES: usize = 8;
/// The header's bit for the last packet of a message.
pub(crate) const LAST: u8 = 0x01;

/// `payload` as packets of at most `packet_bytes` each.
pub(crate) fn packets(of: u8, payload: &[u8], packet_bytes: usize) -> Vec<Vec<u8>> {
    let room = packet_bytes.saturating_sub(HEADER_BYTES).clamp(1, 32_000);
    let mut pieces: Vec<&[u8]> = payload.chunks(room).collect();
    if pieces.is_empty() {
        pieces.push(&[]);
    }
    let count = pieces.len();
    pieces
        .into_iter()
        .enumerate()
        .map(|(index, piece)| {
            let length = u16::try_from(piece.len() + HEADER_BYTES).unwrap_or(u16::MAX).to_be_bytes();
            let [_, .., number] = (index + 1).to_be_bytes();
            let status = if index + 1 == count { LAST } else { 0 };
            let mut packet = Vec::with_capacity(piece.len() + HEADER_BYTES);
            packet.extend_from_slice(&[of, status, length[0], length[1], 0, 0, number, 0]);
            packet.extend_from_slice(piece);
            packet
        })
        .collect()
}

/// A SQL batch: the headers that every request carries since TDS 7.2 (no transaction, one request
/// outstanding), then the text in UTF-16.
pub(crate) fn batch(sql: &str) -> Vec<u8> {
    let mut payload = Vec::with_capacity(22 + sql.len() * 2);
    payload.extend_from_slice(&22_u32.to_le_bytes());
    payload.extend_from_slice(&18_u32.to_le_bytes());
    payload.extend_from_slice(&2_u16.to_le_bytes());
    payload.extend_from_slice(&0_u64.to_le_bytes());
    payload.extend_from_slice(&1_u32.to_le_bytes());
    payload.extend(sql.encode_utf16().flat_map(u16::to_le_bytes));
    payload
}

/// The packet that stops a running statement.
pub(crate) fn attention() -> Vec<u8> {
    packets(kind::ATTENTION, &[], 4096).concat()
}

/// UTF-16 of a catalogue or a message: a half of a pair becomes a replacement character.
pub(crate) fn lossy_utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_and_its_last_packet_says_so() {
        let cut = packets(kind::BATCH, &[7; 20], 16);
        assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [16, 16, 12]);
        assert_eq!(cut.iter().map(|packet| packet[1]).collect::<Vec<_>>(), [0, 0, LAST]);
        assert_eq!(cut.iter().map(|packet| packet[6]).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(packets(kind::ATTENTION, &[], 4096), [[6, 1, 0, 8, 0, 0, 1, 0]]);
    }

    #[test]
    fn a_batch_is_the_specifications() {
        // MS-TDS 4.4, "SQL Batch Client Request": the headers, then the text.
        let bytes = batch("\nselect 'foo' as 'bar'\n");
        assert_eq!(bytes[..22], [0x16, 0, 0, 0, 0x12, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(bytes[22..28], [0x0A, 0, 0x73, 0, 0x65, 0]);
    }
}
