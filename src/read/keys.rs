//! TLS secrets, read before everything else: key logs, and the secrets blocks of pcapng files (pcapng 4.7).

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use super::inputs::{self, Input, Kind};
use crate::note::Note;
use crate::wire::keylog::{Added, KeyLog};

/// Longest line of a key log that is looked at.
const LINE_BYTES_MAX: u64 = 4_096;
/// Bytes of one key log that are read.
const LOG_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Bytes of the buffer through which blocks of packets are passed over.
const BUFFER_BYTES: usize = 1024 * 1024;
/// Secrets of one block that are read.
const BLOCK_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// Decompressed bytes at the start of a compressed capture in which secrets are looked for.
const COMPRESSED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Type of a section header block, the same in both byte orders.
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
/// Type of a decryption secrets block.
const DECRYPTION_SECRETS: u32 = 0x0a;
/// Secrets in the form of a TLS key log, `TLSK`.
const TLS_KEY_LOG: u32 = 0x544c_534b;

/// Every secret that the inputs hold.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// The secrets.
    pub log: Arc<KeyLog>,
    /// What was wrong with them.
    pub notes: Vec<Note>,
    /// Blocks of secrets that were read, by input.
    pub blocks: Vec<u64>,
}

/// Reads the secrets of all inputs, in their order.
#[must_use]
pub fn collect(inputs: &[Input]) -> Keys {
    let mut log = KeyLog::default();
    let mut keys = Keys { blocks: vec![0; inputs.len()], ..Keys::default() };
    for ((index, input), blocks) in (0_u32..).zip(inputs).zip(&mut keys.blocks) {
        let added = match input.kind {
            Kind::KeyLog => key_log(input, &mut log),
            Kind::Pcapng if input.is_read_again() => capture(input, &mut log, blocks),
            _ => continue,
        };
        match added {
            Ok(added) => {
                if input.kind == Kind::KeyLog && added.secrets == 0 {
                    let note = if input.bytes == 0 && input.path.is_some() {
                        Note::key_log_without_bytes
                    } else {
                        Note::key_log_empty
                    };
                    keys.notes.push(note(index));
                }
                if added.bad_lines > 0 {
                    keys.notes.push(Note::key_log_bad_lines(index, added.bad_lines));
                }
                if added.left_out > 0 {
                    keys.notes.push(Note::key_log_over_limit(index, added.left_out));
                }
            }
            Err(error) if input.kind == Kind::KeyLog => {
                keys.notes.push(Note::unreadable(index, &error.to_string()));
            }
            // The capture is read again, and what is wrong with it is said then.
            Err(_) => {}
        }
    }
    keys.log = Arc::new(log);
    keys
}

fn key_log(input: &Input, log: &mut KeyLog) -> io::Result<Added> {
    let mut reader = BufReader::new(inputs::open(input)?.take(LOG_BYTES_MAX));
    let mut added = Added::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(added);
        }
        log.add_line(&line, &mut added);
    }
}

/// Reads the headers of all blocks and the bytes of those with secrets.
fn capture(input: &Input, log: &mut KeyLog, blocks: &mut u64) -> io::Result<Added> {
    let limit = if input.gzip { COMPRESSED_BYTES_MAX } else { u64::MAX };
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, inputs::open(input)?.take(limit));
    let mut added = Added::default();
    let mut big_endian = false;
    loop {
        let mut header = [0; 12];
        if let Err(error) = reader.read_exact(&mut header) {
            return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(added) } else { Err(error) };
        }
        let [kind, length, third] = numbers(header, big_endian);
        if kind == SECTION_HEADER {
            big_endian = header.ends_with(&[0x1a, 0x2b, 0x3c, 0x4d]);
        }
        let [_, length, third] =
            if kind == SECTION_HEADER { numbers(header, big_endian) } else { [kind, length, third] };
        let Some(mut rest) = length.checked_sub(12).filter(|_| length.is_multiple_of(4)) else {
            return Ok(added);
        };
        if kind == DECRYPTION_SECRETS && third == TLS_KEY_LOG && rest <= BLOCK_BYTES_MAX {
            let mut body = Vec::new();
            let read = reader.by_ref().take(u64::from(rest)).read_to_end(&mut body)?;
            rest = rest.saturating_sub(u32::try_from(read).unwrap_or(rest));
            *blocks += 1;
            add(&mut added, log.add(secrets(&body, big_endian)));
        }
        pass_over(&mut reader, u64::from(rest))?;
    }
}

fn add(sum: &mut Added, more: Added) {
    sum.secrets += more.secrets;
    sum.bad_lines += more.bad_lines;
    sum.left_out += more.left_out;
}

fn numbers(header: [u8; 12], big_endian: bool) -> [u32; 3] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = header;
    let words = [[a, b, c, d], [e, f, g, h], [i, j, k, l]];
    words.map(if big_endian { u32::from_be_bytes } else { u32::from_le_bytes })
}

/// The text of a block: its length (4), then the bytes, padded.
fn secrets(body: &[u8], big_endian: bool) -> &[u8] {
    let Some((length, text)) = body.split_first_chunk::<4>() else { return &[] };
    let length = if big_endian { u32::from_be_bytes(*length) } else { u32::from_le_bytes(*length) };
    text.get(..usize::try_from(length).unwrap_or(usize::MAX)).unwrap_or_default()
}

fn pass_over(reader: &mut impl BufRead, bytes: u64) -> io::Result<()> {
    let mut left = bytes;
    while left > 0 {
        let at_hand = reader.fill_buf()?.len();
        if at_hand == 0 {
            return Ok(());
        }
        let step = usize::try_from(left).unwrap_or(usize::MAX).min(at_hand);
        reader.consume(step);
        left = left.saturating_sub(u64::try_from(step).unwrap_or(left));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::keylog::Label;

    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = u32::try_from(body.len() + 12).unwrap();
        let mut bytes = [kind.to_be_bytes(), length.to_be_bytes()].concat();
        bytes.extend(body);
        bytes.extend(length.to_be_bytes());
        bytes
    }

    #[test]
    fn secrets_blocks_are_found_between_packets_in_either_byte_order() {
        let text = format!("CLIENT_RANDOM {} 0102\nnonsense\n", "07".repeat(32));
        let mut secrets =
            [TLS_KEY_LOG.to_be_bytes(), u32::try_from(text.len()).unwrap().to_be_bytes()].concat();
        secrets.extend(text.as_bytes());
        let mut file = block(
            SECTION_HEADER,
            &[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255],
        );
        file.extend(block(1, &[0, 1, 0, 0, 0, 0, 0, 0]));
        file.extend(block(6, &[9; 40]));
        file.extend(block(DECRYPTION_SECRETS, &secrets));
        let inventory =
            inputs::held(vec![("a".to_owned(), file), ("k.txt".to_owned(), b"# c\nRSA 01 02\n".to_vec())]);
        let keys = collect(&inventory.inputs);
        assert_eq!(keys.log.secret(&[7; 32], Label::Master), Some([1, 2].as_slice()));
        assert_eq!(keys.blocks, [1, 0]);
        assert_eq!(keys.notes, [Note::key_log_bad_lines(0, 1), Note::key_log_empty(1)]);
    }
}
