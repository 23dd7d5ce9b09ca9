//! Bytes cut into pieces: lines first, then the rest. What is cut so can be written by hand and read in a hex dump, and a
//! change of one piece moves no other.

/// The first `N` lines, and what follows them.
pub fn lines<const N: usize>(data: &[u8]) -> ([&[u8]; N], &[u8]) {
    let mut rest = data;
    let lines = [(); N].map(|()| {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        line
    });
    (lines, rest)
}

/// Bytes as text, with U+FFFD for what is none.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
