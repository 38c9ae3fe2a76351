//! Examples below the help of each command; a test parses every one of them.

pub(super) const PROGRAM: &str = "Examples:
  rdpwhy case-4711/                        why each connection failed, from everything in a folder
  rdpwhy case-4711/ -o report.html         the same as a page to look at, filter and send
  rdpwhy case-4711/ --user alice --at 2026-11-22T10:12 --timezone Europe/Berlin
                                           what one user reported
  rdpwhy explain 0x3 0x7                   what the numbers of the error box prove
  rdpwhy collect --server > server.ps1     the script that collects the evidence of a host

Text fits the columns of the terminal, from 60 on.
Exit status: 0 analysed; 1 a --fail-on condition is met; 2 wrong usage, or nothing readable;
3 the answer could not be written; 130 interrupted.";

pub(super) const ANALYZE: &str = "Examples:
  rdpwhy analyze client.pcapng Security.evtx
  rdpwhy analyze case-4711/ --keylog keys.log -o why.md -o why.json -o parquet:tables
  rdpwhy analyze case-4711/ -v --only-failed
  rdpwhy analyze case-4711/ --redact --redact-map map.jsonl -o send.html
  rdpwhy analyze case-4711/ --said \"0x3 0x7\" --fail-on broke";

pub(super) const FACTS: &str = "Examples:
  rdpwhy facts case-4711/ -o host7.jsonl
  rdpwhy facts case-4711/ -o host7.parquet";

pub(super) const DIAGNOSE: &str = "Examples:
  rdpwhy diagnose host7.jsonl host8.jsonl
  rdpwhy diagnose host7.parquet -o report.html";

pub(super) const SLICE: &str = "Examples:
  rdpwhy slice 198.51.100.10:46030 case-4711/ -o guilty.pcapng
  rdpwhy slice 198.51.100.10:46030 case-4711/ --secrets keep --names drop -o guilty.pcapng";

pub(super) const EXPLAIN: &str = "Examples:
  rdpwhy explain 0x3 0x7
  rdpwhy explain ERRCONNECT_LOGON_FAILURE
  rdpwhy explain \"RdpCoreTS 226\"
  rdpwhy explain \"Fehlercode: 0x904 Erweiterter Fehlercode: 0x7\"
  rdpwhy explain - < box.txt";

pub(super) const COLLECT: &str = "Examples:
  rdpwhy collect --server > server.ps1
  rdpwhy collect --client --gateway";

pub(super) const INPUTS: &str = "Examples:
  rdpwhy inputs case-4711/
  rdpwhy inputs case-4711/ --hash";

pub(super) const COMPLETIONS: &str = "Examples:
  rdpwhy completions bash > rdpwhy.bash
  rdpwhy completions powershell > rdpwhy.ps1";

pub(super) const MAN: &str = "Examples:
  rdpwhy man > rdpwhy.1";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::super::arguments::Arguments;

    /// The words of a line as a shell takes them, up to where it sends input and output elsewhere.
    fn words(line: &str) -> Vec<String> {
        let quoted = line.split('"').enumerate().flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        });
        quoted.take_while(|word| word != ">" && word != "<").collect()
    }

    #[test]
    fn every_command_has_examples_and_each_is_a_command_line() {
        let program = Arguments::command();
        let mut parsed = 0;
        for command in std::iter::once(&program).chain(program.get_subcommands()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n"), "{}", command.get_name());
            for line in help.lines().filter_map(|line| line.strip_prefix("  rdpwhy ")) {
                // What the example is for stands behind it.
                let line = line.split("   ").next().unwrap_or_default();
                let all = std::iter::once("rdpwhy".to_owned()).chain(words(line));
                assert!(Arguments::try_parse_from(all).is_ok(), "rdpwhy {line}");
                parsed += 1;
            }
        }
        assert!(parsed > 20, "{parsed}");
    }

    #[test]
    fn every_option_stands_in_a_group() {
        let mut program = Arguments::command();
        program.build();
        for command in std::iter::once(&program).chain(program.get_subcommands()) {
            let plain = ["help", "version"];
            for option in command.get_arguments().filter(|one| !one.is_positional()) {
                let (name, heading) = (option.get_id().as_str(), option.get_help_heading());
                let is_plain = plain.contains(&name);
                assert!(is_plain || heading.is_some(), "{} --{name}", command.get_name());
            }
        }
    }
}
