//! Writes the event logs of a scenario: `cargo run -p rdpwhy-lab --example logs -- FILE.scenario FOLDER`.

use std::path::Path;
use std::process::ExitCode;

use rdpwhy_lab::scenario::Scenario;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scenario, folder] = arguments.as_slice() else {
        eprintln!("usage: logs FILE.scenario FOLDER");
        return ExitCode::from(2);
    };
    match write(Path::new(scenario), Path::new(folder)) {
        Ok(files) => {
            println!("{files} logs written");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{scenario}: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a program of the lab reads its own scenario")]
/// Writes each log as `FOLDER/HOST-CHANNEL.evtx`.
fn write(scenario: &Path, folder: &Path) -> Result<usize, Box<dyn std::error::Error>> {
    let logs = Scenario::parse(&std::fs::read_to_string(scenario)?)?.logs()?;
    std::fs::create_dir_all(folder)?;
    for log in &logs {
        std::fs::write(folder.join(format!("{}-{}", log.host, log.name)), &log.bytes)?;
    }
    Ok(logs.len())
}
