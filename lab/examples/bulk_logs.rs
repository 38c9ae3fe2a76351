//! Writes large event logs: `cargo run --release -p rdpwhy-lab --example bulk_logs -- FOLDER MEGABYTES`.
//!
//! Two thirds are a Security log, a third is a System log, a little are the logs of Remote Desktop's own channels: about 1
//! record in 10 tells of Remote Desktop.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::ExitCode;

use rdpwhy_lab::evtx::{Bulk, BulkLog};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, megabytes] = arguments.as_slice() else {
        eprintln!("usage: bulk_logs FOLDER MEGABYTES");
        return ExitCode::from(2);
    };
    match megabytes.parse().map_err(Into::into).and_then(|megabytes| write(Path::new(folder), megabytes)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{folder}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path, megabytes: u64) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    for (log, parts, bytes) in BulkLog::MIX {
        let name = format!("{log:?}.evtx");
        let records = megabytes * 1_000_000 / 100 * parts / bytes;
        let bulk = Bulk { seed: 1, log, records, start_ns: 1_740_000_000_000_000_000 };
        let out = BufWriter::with_capacity(1 << 20, File::create(folder.join(&name))?);
        let (_, made) = bulk.write(out)?;
        println!("{name}: {} records, {} of them tell of Remote Desktop", made.records, made.telling);
    }
    Ok(())
}
