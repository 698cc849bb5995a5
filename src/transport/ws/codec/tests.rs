//! The codec against valid clients, split in every way, and against hostile ones.

use proptest::collection::vec;
use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data};

use super::*;
use crate::transport::ws::frame::close_frame;

const LIMIT: usize = 70_000;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const TEXT: OpCode = OpCode::Data(Data::Text);
const BINARY: OpCode = OpCode::Data(Data::Binary);
const CONTINUE: OpCode = OpCode::Data(Data::Continue);
const PING: OpCode = OpCode::Control(Control::Ping);
const PONG: OpCode = OpCode::Control(Control::Pong);
const CLOSE: OpCode = OpCode::Control(Control::Close);

fn client(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        is_final,
        opcode,
        mask: Some(MASK),
        ..FrameHeader::default()
    };
    let mut bytes = Vec::new();
    Frame::from_payload(header, Bytes::copy_from_slice(payload))
        .format(&mut bytes)
        .unwrap();
    bytes
}

/// Returns everything that comes out of a stream given in these pieces, with the answers.
fn read(
    codec: &mut Codec,
    pieces: &[&[u8]],
) -> (Vec<ClientMessage>, Vec<u8>, Option<ProtocolViolation>) {
    let (mut messages, mut out) = (Vec::new(), Vec::new());
    for piece in pieces {
        let mut input = *piece;
        loop {
            match codec.feed(&mut input, &mut out) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(broken) => return (messages, out, Some(broken)),
            }
        }
        assert!(input.is_empty(), "None means that all was taken");
    }
    (messages, out, None)
}

fn read_all(bytes: &[u8]) -> (Vec<ClientMessage>, Vec<u8>, Option<ProtocolViolation>) {
    read(&mut Codec::new(LIMIT), &[bytes])
}

fn text(text: &str) -> ClientMessage {
    ClientMessage::Text(text.into())
}

fn binary(bytes: &[u8]) -> ClientMessage {
    ClientMessage::Binary(Bytes::copy_from_slice(bytes))
}

/// Returns the code with which this stream is refused. Also feeds the stream in single bytes, and good frames after it,
/// which must be ignored.
#[track_caller]
fn refused(bytes: &[u8]) -> u16 {
    let (messages, _, broken) = read_all(bytes);
    assert_eq!(messages, [], "nothing of a broken message is delivered");
    let broken = broken.expect("must be refused");

    let mut codec = Codec::new(LIMIT);
    let singles: Vec<_> = bytes.chunks(1).collect();
    assert_eq!(read(&mut codec, &singles).2.as_ref(), Some(&broken));
    assert!(is_small(&codec), "a broken codec holds nothing");
    let (messages, out, again) = read(&mut codec, &[&client(PING, true, b"late")]);
    assert_eq!((messages, out, again), (vec![], vec![], None));
    // It can be sent: the code is allowed on the wire, and the reason fits.
    assert!(close_frame(broken.code, &broken.reason).len() <= 127);
    broken.code
}

/// Returns whether the codec owns what an idle one may own: itself, and nothing on the heap.
fn is_small(codec: &Codec) -> bool {
    codec.context.is_none() && size_of::<Codec>() <= 48
}

#[test]
fn messages_of_each_kind_are_read() {
    let mut stream = client(TEXT, true, "héllo".as_bytes());
    stream.extend(client(BINARY, true, &[0, 255, 10]));
    stream.extend(client(TEXT, true, b""));
    stream.extend(client(PONG, true, b"x"));
    let (messages, out, broken) = read_all(&stream);
    let expected = [
        text("héllo"),
        binary(&[0, 255, 10]),
        text(""),
        ClientMessage::Pong,
    ];
    assert_eq!(messages, expected);
    assert_eq!((out, broken), (vec![], None));
}

#[test]
fn ping_is_answered_by_a_pong_of_the_same_bytes() {
    let mut stream = client(PING, true, b"");
    stream.extend(client(PING, true, b"abc"));
    let (messages, out, _) = read_all(&stream);
    assert_eq!(messages, [ClientMessage::Ping, ClientMessage::Ping]);
    assert_eq!(out, b"\x8a\x00\x8a\x03abc");
}

#[test]
fn close_is_echoed_and_ends_the_reading() {
    for (payload, code, reason, echo) in [
        (&b""[..], None, "", &b"\x88\x00"[..]),
        (b"\x03\xe8", Some(1000), "", b"\x88\x02\x03\xe8"),
        (b"\x03\xe9bye", Some(1001), "bye", b"\x88\x05\x03\xe9bye"),
        (b"\x0b\xb8", Some(3000), "", b"\x88\x02\x0b\xb8"),
        (b"\x13\x87", Some(4999), "", b"\x88\x02\x13\x87"),
    ] {
        let mut stream = client(CLOSE, true, payload);
        stream.extend(client(TEXT, true, b"after"));
        let mut codec = Codec::new(LIMIT);
        let (messages, out, broken) = read(&mut codec, &[&stream, b"more"]);
        let reason = reason.into();
        assert_eq!(messages, [ClientMessage::Close { code, reason }]);
        assert_eq!((&out[..], broken), (echo, None));
        assert!(is_small(&codec));
    }
}

#[test]
fn close_codes_that_must_not_be_sent_are_answered_by_1002() {
    for code in [
        0u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        let (messages, out, _) = read_all(&client(CLOSE, true, &code.to_be_bytes()));
        assert!(
            matches!(
                messages[..],
                [ClientMessage::Close {
                    code: Some(1002),
                    ..
                }]
            ),
            "{code}: {messages:?}"
        );
        assert_eq!(out[..4], [0x88, out.len() as u8 - 2, 0x03, 0xea], "{code}");
    }
    assert_eq!(refused(&client(CLOSE, true, b"\x03")), 1002);
    assert_eq!(refused(&client(CLOSE, true, b"\x03\xe8\xff")), 1007);
}

#[test]
fn fragments_are_joined_and_pings_between_them_are_answered_at_once() {
    let mut stream = client(TEXT, false, b"h\xc3");
    stream.extend(client(PING, true, b"1"));
    stream.extend(client(CONTINUE, false, b""));
    stream.extend(client(CONTINUE, true, b"\xa9!"));
    let mut codec = Codec::new(LIMIT);
    let (messages, out, broken) = read(&mut codec, &[&stream]);
    assert_eq!(messages, [ClientMessage::Ping, text("hé!")]);
    assert_eq!((&out[..], broken), (&b"\x8a\x011"[..], None));
    assert!(is_small(&codec));
}

#[test]
fn the_caller_may_stop_after_each_message() {
    let mut stream = client(TEXT, true, b"one");
    stream.extend(client(TEXT, true, b"two"));
    let mut input = &stream[..];
    let (mut codec, mut out) = (Codec::new(LIMIT), Vec::new());
    assert_eq!(codec.feed(&mut input, &mut out), Ok(Some(text("one"))));
    assert_eq!(
        input,
        client(TEXT, true, b"two"),
        "what follows is untouched"
    );
    assert_eq!(codec.feed(&mut input, &mut out), Ok(Some(text("two"))));
    assert_eq!(codec.feed(&mut input, &mut out), Ok(None));
}

#[test]
fn a_stream_cut_at_any_byte_reads_the_same() {
    let mut stream = client(TEXT, true, "grüße".as_bytes());
    stream.extend(client(BINARY, false, &[1; 126]));
    stream.extend(client(PING, true, b"p"));
    stream.extend(client(CONTINUE, true, &[2; 300]));
    stream.extend(client(BINARY, true, &[3; 66_000]));
    stream.extend(client(CLOSE, true, b"\x03\xe8done"));
    let whole = read_all(&stream);
    assert_eq!(whole.0.len(), 5);
    for cut in (0..600).chain(stream.len() - 100..stream.len()) {
        let (left, right) = stream.split_at(cut);
        assert_eq!(read(&mut Codec::new(LIMIT), &[left, right]), whole, "{cut}");
    }
    let singles: Vec<_> = stream.chunks(1).collect();
    assert_eq!(read(&mut Codec::new(LIMIT), &singles), whole);
}

#[test]
fn an_idle_codec_is_small_after_a_large_message() {
    let large = vec![7; 1 << 20];
    let mut codec = Codec::new(1 << 20);
    let stream = client(BINARY, true, &large);
    for piece in stream.chunks(1400) {
        assert!(is_small(&codec) || codec.frame_bytes_left > 0);
        read(&mut codec, &[piece]);
    }
    assert!(is_small(&codec));

    let (half, rest) = large.split_at(large.len() / 2);
    let (_, _, broken) = read(&mut codec, &[&client(BINARY, false, half)]);
    assert!(
        broken.is_none() && !is_small(&codec),
        "it waits for the rest"
    );
    let (messages, _, _) = read(&mut codec, &[&client(CONTINUE, true, rest)]);
    assert_eq!(messages, [binary(&large)]);
    assert!(is_small(&codec));
}

#[test]
fn an_idle_codec_holds_a_split_header_in_place() {
    let stream = client(BINARY, true, &[1; 66_000]);
    let mut codec = Codec::new(LIMIT);
    read(&mut codec, &[&stream[..HEADER_BYTES_MAX - 1]]);
    assert!(is_small(&codec));
    let (messages, _, _) = read(&mut codec, &[&stream[HEADER_BYTES_MAX - 1..]]);
    assert_eq!(messages, [binary(&[1; 66_000])]);
}

#[test]
fn a_short_message_does_not_hold_a_large_buffer() {
    for (payload_bytes, held_bytes_max) in [(1, 32), (100, 128), (5_000, 8_192 + 64)] {
        let stream = client(BINARY, true, &vec![1; payload_bytes]);
        let (messages, _, _) = read_all(&stream);
        let [ClientMessage::Binary(bytes)] = &messages[..] else {
            panic!("{messages:?}");
        };
        let held = bytes.clone();
        drop(messages);
        let held_bytes = held.try_into_mut().expect("the only owner").capacity();
        assert!(
            held_bytes <= held_bytes_max,
            "{payload_bytes}: {held_bytes}"
        );
    }
}

#[test]
fn frames_without_a_mask_are_1002() {
    assert_eq!(refused(b"\x81\x02hi"), 1002);
    assert_eq!(refused(b"\x89\x00"), 1002);
}

#[test]
fn reserved_bits_and_opcodes_are_1002() {
    for bit in [0x40, 0x20, 0x10] {
        for opcode in [TEXT, PING, CLOSE] {
            let mut frame = client(opcode, true, b"");
            frame[0] |= bit;
            assert_eq!(refused(&frame), 1002);
        }
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        let mut frame = client(TEXT, true, b"x");
        frame[0] = 0x80 | opcode;
        assert_eq!(refused(&frame), 1002);
    }
}

#[test]
fn control_frames_that_are_long_or_in_fragments_are_1002() {
    for opcode in [PING, PONG, CLOSE] {
        assert_eq!(refused(&client(opcode, true, &[b'a'; 126])), 1002);
        assert_eq!(refused(&client(opcode, false, b"")), 1002);
    }
    let (messages, out, _) = read_all(&client(PING, true, &[b'a'; 125]));
    assert_eq!((messages, out.len()), (vec![ClientMessage::Ping], 127));
}

#[test]
fn fragments_out_of_order_are_1002() {
    assert_eq!(refused(&client(CONTINUE, true, b"x")), 1002);
    assert_eq!(refused(&client(CONTINUE, false, b"x")), 1002);
    let mut stream = client(TEXT, false, b"a");
    stream.extend(client(TEXT, true, b"b"));
    assert_eq!(refused(&stream), 1002);
}

#[test]
fn text_that_is_not_utf8_is_1007() {
    for bad in [
        &b"\xff"[..],
        b"\xc3",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"a\x80",
    ] {
        assert_eq!(refused(&client(TEXT, true, bad)), 1007, "{bad:x?}");
    }
    // A fragment fails as soon as it is read, not when the message is complete.
    assert_eq!(refused(&client(TEXT, false, b"a\xffb")), 1007);
    // The end of a fragment may cut a character, but the end of a message may not.
    let mut stream = client(TEXT, false, b"a\xc3");
    stream.extend(client(CONTINUE, true, b""));
    assert_eq!(refused(&stream), 1007);
    // Binary data may be any bytes.
    let (messages, _, _) = read_all(&client(BINARY, true, b"\xff"));
    assert_eq!(messages, [binary(b"\xff")]);
}

#[test]
fn what_is_too_large_is_1009() {
    let most = vec![b'a'; LIMIT];
    let (messages, _, _) = read_all(&client(TEXT, true, &most));
    assert_eq!(messages.len(), 1);
    assert_eq!(refused(&client(BINARY, true, &vec![b'a'; LIMIT + 1])), 1009);

    let mut stream = client(TEXT, false, &most);
    stream.extend(client(CONTINUE, true, b"b"));
    assert_eq!(refused(&stream), 1009);
}

#[test]
fn a_length_beyond_the_limit_is_1009_at_the_header() {
    for length in [LIMIT as u64 + 1, 1 << 32, 1 << 63, u64::MAX] {
        let mut head = vec![0x82, 0x80 | 127];
        head.extend(length.to_be_bytes());
        head.extend(MASK);
        assert_eq!(refused(&head), 1009, "{length}");
    }
}

#[test]
fn endless_empty_fragments_hold_no_more_than_one() {
    let mut codec = Codec::new(LIMIT);
    read(&mut codec, &[&client(TEXT, false, b"")]);
    for _ in 0..10_000 {
        let (messages, out, broken) = read(&mut codec, &[&client(CONTINUE, false, b"")]);
        assert_eq!((messages, out, broken), (vec![], vec![], None));
    }
    let (messages, _, _) = read(&mut codec, &[&client(CONTINUE, true, b"x")]);
    assert_eq!(messages, [text("x")]);
}

/// A client's message, cut into frames at random places, and the result that the server must produce.
fn message() -> impl Strategy<Value = (Vec<u8>, ClientMessage)> {
    let cuts = || vec(any::<prop::sample::Index>(), 0..4);
    prop_oneof![
        (".{0,80}", cuts())
            .prop_map(|(said, cuts)| (fragments(TEXT, said.as_bytes(), &cuts), text(&said))),
        (vec(any::<u8>(), 0..400), cuts())
            .prop_map(|(said, cuts)| (fragments(BINARY, &said, &cuts), binary(&said))),
        vec(any::<u8>(), 0..=125).prop_map(|said| (client(PING, true, &said), ClientMessage::Ping)),
        vec(any::<u8>(), 0..=125).prop_map(|said| (client(PONG, true, &said), ClientMessage::Pong)),
    ]
}

fn fragments(opcode: OpCode, payload: &[u8], cuts: &[prop::sample::Index]) -> Vec<u8> {
    let mut ends: Vec<_> = cuts
        .iter()
        .map(|cut| cut.index(payload.len() + 1))
        .collect();
    ends.sort_unstable();
    ends.push(payload.len());
    let (mut bytes, mut start) = (Vec::new(), 0);
    for (n, end) in ends.iter().enumerate() {
        let opcode = if n == 0 { opcode } else { CONTINUE };
        bytes.extend(client(opcode, n + 1 == ends.len(), &payload[start..*end]));
        start = *end;
    }
    bytes
}

/// tungstenite itself, with one context for the whole stream.
fn read_by_one_context(bytes: &[u8]) -> (Vec<ClientMessage>, Vec<u8>, Option<ProtocolViolation>) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT));
    let mut context = WebSocketContext::new(Role::Server, Some(config));
    let (mut messages, mut out) = (Vec::new(), Vec::new());
    let mut wire = CodecIo {
        head: &[],
        body: bytes,
        out: &mut out,
    };
    let error = loop {
        match context.read(&mut wire) {
            Ok(message) => messages.push(Codec::new(LIMIT).translate(message)),
            Err(error) => break error,
        }
    };
    let broken = match error {
        Error::ConnectionClosed => None,
        Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        error => Some(ProtocolViolation::from(error)),
    };
    (messages, out, broken)
}

proptest! {
    #[test]
    fn a_context_per_message_reads_what_one_context_reads(
        said in vec(message(), 1..6),
        end in prop_oneof![
            Just(vec![]),
            Just(client(CLOSE, true, b"\x03\xe8")),
            Just(client(TEXT, false, b"half")),
        ],
        changed in any::<prop::sample::Index>(),
        to in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut stream: Vec<u8> = said.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        stream.extend(end);
        let changed = changed.index(stream.len());
        stream[changed] = to;
        let (left, right) = stream.split_at(cut.index(stream.len() + 1));
        prop_assert_eq!(
            read(&mut Codec::new(LIMIT), &[left, right]),
            read_by_one_context(&stream)
        );
    }

    #[test]
    fn any_split_of_a_valid_stream_reads_the_same(
        said in vec(message(), 0..12),
        cuts in vec(any::<prop::sample::Index>(), 0..24),
    ) {
        let stream: Vec<u8> = said.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let expected: Vec<_> = said.into_iter().map(|(_, message)| message).collect();
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        ends.extend([0, stream.len()]);
        ends.sort_unstable();
        let pieces: Vec<_> = ends.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();

        let mut codec = Codec::new(LIMIT);
        let (messages, out, broken) = read(&mut codec, &pieces);
        prop_assert_eq!(broken, None);
        prop_assert_eq!(messages, expected);
        prop_assert_eq!(out, read_all(&stream).1);
        prop_assert!(is_small(&codec));
    }

    #[test]
    fn any_bytes_are_refused_or_read_without_a_panic(
        bytes in vec(any::<u8>(), 0..300),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = read_all(&bytes);
        let (left, right) = bytes.split_at(cut.index(bytes.len() + 1));
        prop_assert_eq!(read(&mut Codec::new(LIMIT), &[left, right]), whole);
    }
}
