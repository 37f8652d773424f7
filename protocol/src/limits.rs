//! Bounds on everything that travels. A peer that exceeds one is told so and dropped.

/// Bytes of one frame's payload.
pub const MAX_FRAME: usize = 1 << 20;

/// Bytes of one string; longer ones are cut at a character boundary by whoever interns them.
pub const MAX_STRING: usize = 1024;

/// Entries of a process's string table. The last one reads `<overflow>` and stands for all that did not fit.
pub const MAX_STRINGS: usize = 1 << 16;

/// Records in one batch of events.
pub const MAX_BATCH: usize = 8192;

/// Rows of either kind in one frame of a snapshot.
pub const MAX_ROWS: usize = 2048;

/// Runtimes in a hello.
pub const MAX_RUNTIMES: usize = 64;

/// Rows of either kind in a whole snapshot, however many frames it takes. A board larger than that is sent up to here.
pub const MAX_SNAPSHOT_ROWS: usize = 1 << 18;

/// Bytes a single record may take in a batch of events. The largest one today takes fewer than 64.
pub const MAX_RECORD: usize = 255;

/// Records of text that may follow a span's entry or a log record.
pub const MAX_TEXTS: usize = 8;

/// `text`, cut to at most [`MAX_STRING`] bytes at a character boundary.
#[must_use]
pub fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_STRING);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        let long = format!("a{}", "ß".repeat(MAX_STRING));
        assert_eq!(cut(&long).len(), MAX_STRING - 1);
        assert!(long.starts_with(cut(&long)));
        assert_eq!(cut("short"), "short");
    }
}
