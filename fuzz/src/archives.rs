//! The target of zip archives.

use std::io::{Cursor, Read};
use std::sync::Arc;

use rdpwhy::read::archive::listing;

/// Bytes that are read of each file.
const READ_MAX: u64 = 1 << 20;
/// Files that are read of one archive.
const FILES_MAX: usize = 16;
/// First bytes that are asked for.
const SNIFFED: u64 = 4_104;

/// An archive: every file begins as the listing said, whoever reads it and however far.
pub fn archive(bytes: &[u8]) {
    for password in [None, Some("secret")] {
        let Ok(listing) = listing(&mut Cursor::new(bytes.to_vec()), password, SNIFFED) else { return };
        for found in listing.found.iter().take(FILES_MAX) {
            assert!(password.is_some() || !found.member.is_encrypted(), "opened without its password");
            let opened = Arc::clone(&found.member).open(Box::new(Cursor::new(bytes.to_vec()))).unwrap();
            let mut read = Vec::new();
            let end = opened.take(READ_MAX).read_to_end(&mut read);
            assert!(end.is_err() || read.starts_with(&found.first), "{} reads otherwise", found.name);
        }
    }
}
