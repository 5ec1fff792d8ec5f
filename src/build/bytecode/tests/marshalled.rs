//! Streams written by hand, right ones and wrong ones.

use crate::build::bytecode::marshal::normalize;
use crate::build::bytecode::reader::Malformed;

/// How deep objects may be nested.
const DEPTH_LIMIT: usize = 2000;

fn normalized(stream: &[u8]) -> Result<Vec<u8>, Malformed> {
    normalize(stream, "3.13".parse().unwrap())
}

#[test]
fn only_what_is_referred_to_is_marked() {
    // ("ab", 1, "c d", "ab"), with everything marked.
    assert_eq!(
        normalized(b"\xa9\x04\xda\x02ab\xe9\x01\0\0\0\xfa\x03c dr\x01\0\0\0").unwrap(),
        b")\x04\xda\x02abi\x01\0\0\0z\x03c dr\0\0\0\0"
    );
}

#[test]
fn sets_are_put_in_order_and_what_they_hold_stays_findable() {
    // (frozenset({"b", "a"}), "b") in both orders; "b" is one object.
    let expected = b")\x02>\x02\0\0\0Z\x01a\xda\x01br\0\0\0\0";
    for stream in [
        &b")\x02>\x02\0\0\0\xda\x01bZ\x01ar\0\0\0\0"[..],
        b"\xa9\x02\xbe\x02\0\0\0\xda\x01a\xda\x01br\x03\0\0\0",
    ] {
        assert_eq!(normalized(stream).unwrap(), expected);
    }
    // Two equal ones are one, and then their elements are met once.
    assert_eq!(
        normalized(b")\x03>\x01\0\0\0\xda\x01b>\x01\0\0\0r\0\0\0\0T").unwrap(),
        b")\x03\xbe\x01\0\0\0Z\x01br\0\0\0\0T"
    );
    // (frozenset({"b", ("b",)}), None): the tuple comes first, and with it the one "b".
    assert_eq!(
        normalized(b")\x02>\x02\0\0\0\xfa\x01b)\x01r\0\0\0\0N").unwrap(),
        b")\x02>\x02\0\0\0)\x01\xfa\x01br\0\0\0\0N"
    );
}

#[test]
fn no_stream_makes_it_panic() {
    for bad in [
        &b""[..],
        b"r\0\0\0\0",
        b"\xa9\x01r\0\0\0\0",
        b"(\xff\xff\xff\xff",
        b"l\0\0\0\x80",
        b"u\xff\xff\xff\xffx",
        b"c\0\0\0\0",
        b":NNN",
        b"NN",
        b"?",
    ] {
        assert!(normalized(bad).is_err(), "{bad:?}");
    }
    assert!(normalized(&b")\x01".repeat(DEPTH_LIMIT + 1)).is_err());
    let deep = [b")\x01".repeat(DEPTH_LIMIT), b"N".to_vec()].concat();
    assert_eq!(normalized(&deep).unwrap(), deep);
    let slice = normalize(b"\xbaNNN", "3.14".parse().unwrap());
    assert_eq!(slice.unwrap(), b":NNN");
}
