//! Inputs whose reading is watched, as their files count bytes.

use std::io::{self, Read};

use super::Watch;
use super::inputs::{Input, decompressed, open};

/// Opens an input for reading from its first byte, decompressed. `watch` is told of what is read of a compressed file; of
/// others whoever reads tells it.
///
/// # Errors
/// When the file cannot be opened.
pub(super) fn open_watched<'w>(input: &Input, watch: &'w dyn Watch) -> io::Result<Box<dyn Read + Send + 'w>> {
    if !input.gzip {
        return open(input);
    }
    let mut plain = input.clone();
    plain.gzip = false;
    Ok(decompressed(Told { reader: open(&plain)?, watch }))
}

/// Tells the watch of every byte.
struct Told<'w, R> {
    reader: R,
    watch: &'w dyn Watch,
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.watch.read(u64::try_from(read).unwrap_or(0));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::{AtomicU64, Ordering};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::inputs::held;
    use super::*;

    #[derive(Default)]
    struct Sum(AtomicU64);

    impl Watch for Sum {
        fn read(&self, bytes: u64) {
            self.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_is_compressed_counts_compressed() {
        let capture = [&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0][..], &[0; 100_000]].concat();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&capture).unwrap();
        let gzip = gzip.finish().unwrap();
        let length = u64::try_from(gzip.len()).unwrap();
        let inventory = held(vec![("a.pcap.gz".to_owned(), gzip)]);
        let (sum, mut plain) = (Sum::default(), Vec::new());
        open_watched(&inventory.inputs[0], &sum).unwrap().read_to_end(&mut plain).unwrap();
        assert_eq!(plain, capture);
        assert_eq!(sum.0.into_inner(), length);
    }
}
