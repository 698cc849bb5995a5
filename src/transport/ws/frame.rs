//! WebSocket frames as this server sends them: whole, unmasked, one frame per message, encoded once into shared bytes.
//!
//! tungstenite writes the bits. Knows no socket, no event and no session.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Bytes that a control frame may carry (RFC 6455, 5.5).
pub(crate) const CONTROL_BYTES_MAX: usize = 125;

/// Bytes of a close reason: the payload of a control frame without the code.
pub(crate) const CLOSE_REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// Bytes of the longest header that a server writes: a server never masks.
const SERVER_HEADER_BYTES_MAX: usize = 10;

/// Appends the header of a text message of `payload_bytes` to `out`. The payload must follow it.
pub(crate) fn text_header(payload_bytes: usize, out: &mut Vec<u8>) {
    header(OpCode::Data(Data::Text), payload_bytes, out);
}

/// Appends the header of a binary message of `payload_bytes` to `out`. The payload must follow it.
#[cfg(test)]
pub(crate) fn binary_header(payload_bytes: usize, out: &mut Vec<u8>) {
    header(OpCode::Data(Data::Binary), payload_bytes, out);
}

/// Returns a text message.
pub(crate) fn text_frame(text: &str) -> Bytes {
    whole(OpCode::Data(Data::Text), &[text.as_bytes()])
}

/// Returns a binary message whose payload is given in parts. An event with binary data consists of its JSON, a line
/// feed and the data, which lie in different places.
pub(crate) fn binary_frame(parts: &[&[u8]]) -> Bytes {
    whole(OpCode::Data(Data::Binary), parts)
}

/// Returns a protocol Ping. The Pong repeats the payload. Bytes beyond [`CONTROL_BYTES_MAX`] are cut off.
pub(crate) fn ping_frame(payload: &[u8]) -> Bytes {
    let end = payload.len().min(CONTROL_BYTES_MAX);
    whole(OpCode::Control(Control::Ping), &[&payload[..end]])
}

/// Returns a Close with a code and a reason. The code must be allowed on the wire (1005, 1006 and 1015 are not). A
/// reason longer than [`CLOSE_REASON_BYTES_MAX`] is cut at a character boundary.
pub(crate) fn close_frame(code: u16, reason: &str) -> Bytes {
    debug_assert!(
        (1000..5000).contains(&code) && !matches!(code, 1005 | 1006 | 1015),
        "close code {code} must not be sent"
    );
    let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
    let parts: [&[u8]; 2] = [&code.to_be_bytes(), reason.as_bytes()];
    whole(OpCode::Control(Control::Close), &parts)
}

fn whole(opcode: OpCode, parts: &[&[u8]]) -> Bytes {
    let payload_bytes = parts.iter().map(|part| part.len()).sum();
    let mut frame = Vec::with_capacity(SERVER_HEADER_BYTES_MAX + payload_bytes);
    header(opcode, payload_bytes, &mut frame);
    for part in parts {
        frame.extend_from_slice(part);
    }
    frame.into()
}

fn header(opcode: OpCode, payload_bytes: usize, out: &mut Vec<u8>) {
    let header = FrameHeader {
        opcode,
        ..FrameHeader::default()
    };
    header
        .format(payload_bytes as u64, out)
        .expect("a Vec takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_exact_at_each_length_format() {
        assert_eq!(&text_frame("")[..], b"\x81\x00");
        assert_eq!(&text_frame("hé")[..], b"\x81\x03h\xc3\xa9");
        assert_eq!(&text_frame(&"a".repeat(125))[..3], b"\x81\x7da");
        assert_eq!(&text_frame(&"a".repeat(126))[..5], b"\x81\x7e\x00\x7ea");
        assert_eq!(&text_frame(&"a".repeat(65_535))[..5], b"\x81\x7e\xff\xffa");
        let long = text_frame(&"a".repeat(65_536));
        assert_eq!(&long[..11], b"\x81\x7f\0\0\0\0\0\x01\0\0a");
        assert_eq!(long.len(), 65_536 + SERVER_HEADER_BYTES_MAX);
    }

    #[test]
    fn binary_joins_its_parts() {
        let frame = binary_frame(&[b"{}", b"\n", &[0, 255]]);
        assert_eq!(&frame[..], b"\x82\x05{}\n\x00\xff");
    }

    #[test]
    fn headers_alone_equal_those_of_whole_frames() {
        for payload_bytes in [0, 125, 126, 65_535, 65_536] {
            let text = "a".repeat(payload_bytes);
            let mut parts = Vec::new();
            text_header(payload_bytes, &mut parts);
            parts.extend_from_slice(text.as_bytes());
            assert_eq!(&text_frame(&text)[..], &parts[..]);

            parts.clear();
            binary_header(payload_bytes, &mut parts);
            parts.extend_from_slice(text.as_bytes());
            assert_eq!(&binary_frame(&[text.as_bytes()])[..], &parts[..]);
        }
    }

    #[test]
    fn ping_is_exact_and_keeps_within_a_control_frame() {
        assert_eq!(&ping_frame(b"")[..], b"\x89\x00");
        assert_eq!(&ping_frame(b"42")[..], b"\x89\x0242");
        assert_eq!(ping_frame(&[7; 200]).len(), 2 + CONTROL_BYTES_MAX);
    }

    #[test]
    fn close_is_exact_and_its_reason_ends_at_a_character() {
        assert_eq!(&close_frame(1000, "")[..], b"\x88\x02\x03\xe8");
        assert_eq!(&close_frame(3001, "drain")[..], b"\x88\x07\x0b\xb9drain");
        let frame = close_frame(1009, &"é".repeat(100));
        assert_eq!(frame.len(), 2 + 2 + 122, "61 characters of two bytes fit");
        assert_eq!(frame[1], 124);
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }
}
