//! The command line as clap knows it.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use rdpwhy::diagnosis::Said;
use rdpwhy::explain::numbers;
use rdpwhy::time::{Typed, Zone};

use super::answers::Wanted;
use super::examples;
use super::format::Format;

/// Groups of options, as `--help` and the manual show them; the same in every command.
const NARROWING: &str = "Narrowing";
const OUTPUT: &str = "Output";
const REDACTION: &str = "Redaction";
const DECRYPTION: &str = "Decryption";
const WORK: &str = "Performance";

/// Nanoseconds around `--at` where nothing is said.
const WINDOW_NS: i64 = 5 * 60 * 1_000_000_000;

/// Why did this Remote Desktop connection fail? Reads Windows event logs and packet captures and names the step that
/// broke, the cause, how sure it is, the evidence and what to do.
#[derive(Debug, Parser)]
#[command(
    name = "rdpwhy",
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    after_help = examples::PROGRAM
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) analyze: Analyze,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Analyse files and folders (the default)
    #[command(after_help = examples::ANALYZE)]
    Analyze(Analyze),
    /// Read files and folders and write what they say, as JSON lines or Parquet, for `diagnose`
    #[command(after_help = examples::FACTS)]
    Facts(FactsOf),
    /// Give the answer of `analyze` from facts that were written before, on any number of machines
    #[command(after_help = examples::DIAGNOSE)]
    Diagnose(Diagnose),
    /// Write the packets of one session to a pcapng file, with comments at the steps and at the break
    ///
    /// Finds the session as `analyze` does, then reads its captures again. The file has the TCP connection both ways, its
    /// UDP transports, and what passed beside and was told of it: names, Kerberos, ICMP, ARP.
    #[command(after_help = examples::SLICE)]
    Slice(SliceOf),
    /// Say what codes, constants, events and causes mean, or the text of an error box in any language
    #[command(after_help = examples::EXPLAIN)]
    Explain(Explain),
    /// Print the PowerShell scripts that collect the evidence a diagnosis needs
    #[command(after_help = examples::COLLECT)]
    Collect(Collect),
    /// Say of every input what it is, whose, the time it covers, how much was read, and what was lost
    #[command(after_help = examples::INPUTS)]
    Inputs(InputsOf),
    /// Print the completions of a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page
    #[command(after_help = examples::MAN)]
    Man,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct InputsOf {
    #[command(flatten)]
    pub(crate) given: Given,
    #[command(flatten)]
    pub(crate) redacted: Redacted,
    #[command(flatten)]
    pub(crate) working: Working,
}

/// What is asked for.
#[derive(Debug, Clone, Args)]
pub(crate) struct Explain {
    /// Numbers (`0x3 0x7` is the pair of an error box), constants (`ERRINFO_SERVER_DENIED_CONNECTION`,
    /// `ERRCONNECT_LOGON_FAILURE` of FreeRDP), events (`event:1149`, `RdpCoreTS 103`), causes (`bad-password`), steps, a text
    /// in quotes, or `-` for a text on standard input
    #[arg(value_name = "CODE|TEXT", required = true, allow_negative_numbers = true)]
    pub(crate) words: Vec<String>,
}

/// Whose script; all of them where nothing is said.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Collect {
    /// For the computer where the user sits
    #[arg(help_heading = "Whose script", long)]
    pub(crate) client: bool,
    /// For the host that is connected to
    #[arg(help_heading = "Whose script", long)]
    pub(crate) server: bool,
    /// For the RD Gateway
    #[arg(help_heading = "Whose script", long)]
    pub(crate) gateway: bool,
    /// For the connection broker
    #[arg(help_heading = "Whose script", long)]
    pub(crate) broker: bool,
}

/// What is read.
#[derive(Debug, Clone, Args)]
pub(crate) struct Given {
    /// Event logs (evtx), captures (pcap, pcapng), TLS key logs, each also in gzip or zip, folders, or `-` for standard input;
    /// told apart by content
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// TLS key log in the NSS format; may be given several times, and lie among PATH too
    #[arg(help_heading = DECRYPTION, long, value_name = "FILE")]
    pub(crate) keylog: Vec<PathBuf>,
    /// Password of encrypted zip archives; others on this computer may see it in the list of processes
    #[arg(help_heading = DECRYPTION, long, value_name = "PASSWORD")]
    pub(crate) zip_password: Option<String>,
}

/// How it is worked.
#[derive(Debug, Clone, Args)]
pub(crate) struct Working {
    /// Threads; all processors by default
    #[arg(help_heading = WORK, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// SHA-256 of every input
    #[arg(help_heading = OUTPUT, long)]
    pub(crate) hash: bool,
    /// No progress and no notes on standard error
    #[arg(help_heading = OUTPUT, short, long)]
    pub(crate) quiet: bool,
}

/// What of names and times is shown.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Redacted {
    /// Pseudonyms in place of users, hosts, domains, addresses, SIDs, certificates and file names in all answers; what is
    /// written is searched for every real name, and nothing is written when one is left. Needs --redact-map
    #[arg(help_heading = REDACTION, long, requires = "redact_map")]
    pub(crate) redact: bool,
    /// Write which pseudonym is whose to FILE, which only its owner may read. When FILE is the map of an earlier run, its
    /// pseudonyms and its shift stay, and new names are added
    #[arg(help_heading = REDACTION, long, value_name = "FILE", requires = "redact")]
    pub(crate) redact_map: Option<PathBuf>,
    /// Draw the pseudonyms from the bytes of FILE (16 at least), so that all runs with it have the same ones; without it, and
    /// without an earlier map, they are drawn at random
    #[arg(help_heading = REDACTION, long, value_name = "FILE", requires = "redact")]
    pub(crate) redact_key: Option<PathBuf>,
    /// Add SPAN to all times of the answers, such as -400d or 13h; --at and the timeline stay as they were
    #[arg(help_heading = REDACTION, long, value_name = "SPAN", requires = "redact", value_parser = shift, allow_hyphen_values = true)]
    pub(crate) redact_shift: Option<i64>,
}

/// How the answer is shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct Shown {
    /// Show only what failed
    #[arg(help_heading = NARROWING, long)]
    pub(crate) only_failed: bool,
    /// Only what was tried at TIME, give or take 5 minutes or what follows `+-` (`+-30s`, `+-2h`). TIME is
    /// 2026-11-22T10:12Z, 2026-11-22T11:12+01:00, or 2026-11-22T11:12 in the zone of --timezone
    #[arg(help_heading = NARROWING, long, value_name = "TIME[+-WINDOW]", value_parser = moment)]
    pub(crate) at: Option<(Typed, i64)>,
    /// The numbers of the error box, such as "0x3 0x7", or its text: leaves out what it cannot tell of, or says so
    #[arg(help_heading = NARROWING, long, value_name = "CODES", value_parser = said)]
    pub(crate) said: Option<Said>,
    /// Of the timelines only what lies at TIME or later; leaves out no attempt
    #[arg(help_heading = NARROWING, long, value_name = "TIME", value_parser = time)]
    pub(crate) timeline_start: Option<Typed>,
    /// Of the timelines only what lies at TIME or earlier; leaves out no attempt
    #[arg(help_heading = NARROWING, long, value_name = "TIME", value_parser = time)]
    pub(crate) timeline_end: Option<Typed>,
    /// Only attempts of this client: address, or part of the name
    #[arg(help_heading = NARROWING, long, value_name = "CLIENT")]
    pub(crate) client: Option<String>,
    /// Only attempts to this server: address, or part of the name
    #[arg(help_heading = NARROWING, long, value_name = "SERVER")]
    pub(crate) server: Option<String>,
    /// Only attempts of this user
    #[arg(help_heading = NARROWING, long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Form of the answer on standard output, text by default; and of a FILE whose ending names none
    #[arg(help_heading = OUTPUT, long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Write the answer to FILE, in the format of its ending or of FORMAT; may be given several times. Standard output
    /// then stays empty unless `-o -`, or a --format that no FILE gets, asks for it
    #[arg(help_heading = OUTPUT, short, long, value_name = "[FORMAT:]FILE", value_parser = written())]
    pub(crate) output: Vec<Wanted>,
    /// Time zone of the times in text and Markdown, and of a TIME that is given without an offset: a name such as
    /// Europe/Berlin, `local`, or an offset such as +02:00; data and the HTML page stay in UTC
    #[arg(help_heading = OUTPUT, long, value_name = "ZONE", value_parser = zone, default_value = "UTC", allow_hyphen_values = true)]
    pub(crate) timezone: Zone,
    /// Exit with 1 when an attempt broke or was refused, or when evidence was lost
    #[arg(help_heading = OUTPUT, long, value_enum, value_name = "WHAT")]
    pub(crate) fail_on: Vec<FailOn>,
    /// Every attempt by itself, with its ladder and its whole timeline; progress also where standard error is no terminal
    #[arg(help_heading = OUTPUT, short, long)]
    pub(crate) verbose: bool,
    /// Colours; `auto` on a terminal, unless NO_COLOR or CLICOLOR says otherwise
    #[arg(help_heading = OUTPUT, long, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Draw with ASCII characters only; done by itself on a terminal whose locale is not UTF-8
    #[arg(help_heading = OUTPUT, long)]
    pub(crate) ascii: bool,
    #[command(flatten)]
    pub(crate) redacted: Redacted,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Analyze {
    #[command(flatten)]
    pub(crate) given: Given,
    #[command(flatten)]
    pub(crate) shown: Shown,
    #[command(flatten)]
    pub(crate) working: Working,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FactsOf {
    #[command(flatten)]
    pub(crate) given: Given,
    /// Write the facts to FILE instead of standard output: as a Parquet file where it ends in .parquet, else as JSON lines
    #[arg(help_heading = OUTPUT, short, long, value_name = "[FORMAT:]FILE", value_parser = written())]
    pub(crate) output: Option<Wanted>,
    #[command(flatten)]
    pub(crate) redacted: Redacted,
    #[command(flatten)]
    pub(crate) working: Working,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Diagnose {
    /// Files that `rdpwhy facts` wrote, or `-` for standard input
    #[arg(value_name = "FACTS", required = true)]
    pub(crate) facts: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) shown: Shown,
    #[command(flatten)]
    pub(crate) working: Working,
}

/// Which session goes where.
#[derive(Debug, Clone, Args)]
pub(crate) struct SliceOf {
    /// Id of the session in the JSON answer (also one of its aliases), or as much of its beginning as no other has, such as
    /// the client's address and port
    #[arg(value_name = "SESSION-ID")]
    pub(crate) session: String,
    #[command(flatten)]
    pub(crate) given: Given,
    /// Write the packets to FILE
    #[arg(help_heading = OUTPUT, short, long, value_name = "FILE.pcapng")]
    pub(crate) output: PathBuf,
    /// Names that the captures have for the addresses of this session
    #[arg(help_heading = OUTPUT, long, value_enum, default_value_t = Keep::Keep, value_name = "WHAT")]
    pub(crate) names: Keep,
    /// TLS secrets of this session, from key logs and captures: whoever has a file with them can read the session
    #[arg(help_heading = DECRYPTION, long, value_enum, default_value_t = Keep::Drop, value_name = "WHAT")]
    pub(crate) secrets: Keep,
    /// SESSION-ID is of an answer that was made with --redact: MAP is the map of that answer. The slice holds the real names
    #[arg(help_heading = REDACTION, long, value_name = "MAP")]
    pub(crate) redact_map: Option<PathBuf>,
    /// Refused: a slice holds packets as they were
    #[arg(help_heading = OUTPUT, long, hide = true)]
    pub(crate) redact: bool,
    /// How far it is, on standard error, also where that is no terminal
    #[arg(help_heading = OUTPUT, short, long)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) working: Working,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keep {
    /// Into the file
    Keep,
    /// Not into the file
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    /// Also into a file or a pipe
    Always,
    /// Never
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// An attempt broke or was refused
    Broke,
    /// Evidence was lost: a cut file, unreadable packets, drops
    Lost,
}

/// What follows `-o`.
fn written() -> impl TypedValueParser<Value = Wanted> {
    PathBufValueParser::new().map(|text| Wanted::of(&text))
}

/// A moment, and the nanoseconds around it that count.
fn moment(text: &str) -> Result<(Typed, i64), String> {
    let (time, window) = text.split_once("+-").map_or((text, None), |(time, window)| (time, Some(window)));
    let at = self::time(time)?;
    let window = window.map_or(Some(WINDOW_NS), length);
    window.map(|window| (at, window)).ok_or_else(|| "expected a window such as 30s, 5m, 2h or 1d".to_owned())
}

fn time(text: &str) -> Result<Typed, String> {
    Typed::parse(text).ok_or_else(|| {
        format!(
            "found `{text}`, expected a time such as 2026-11-22T10:00:00Z, 2026-11-22T11:00:00+01:00, or \
             2026-11-22T11:00 in the zone of --timezone"
        )
    })
}

fn zone(name: &str) -> Result<Zone, String> {
    Zone::named(name).ok_or_else(|| {
        "no time zone: expected a name such as Europe/Berlin, UTC, local, or +02:00".to_owned()
    })
}

fn length(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let count: i64 = text.strip_suffix(unit)?.parse().ok().filter(|count| *count >= 0)?;
    count.checked_mul(seconds)?.checked_mul(1_000_000_000)
}

/// Nanoseconds, forwards or back.
fn shift(text: &str) -> Result<i64, String> {
    let (back, span) = match text.strip_prefix('-') {
        Some(span) => (true, span),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let span = length(span).ok_or_else(|| "expected a span such as -400d, 13h, 90m or 30s".to_owned())?;
    Ok(if back { span.saturating_neg() } else { span })
}

fn said(text: &str) -> Result<Said, String> {
    match numbers(text).as_slice() {
        [code] => Ok(Said { code: *code, extended: None }),
        [code, extended, ..] => Ok(Said { code: *code, extended: Some(*extended) }),
        [] => Err("found no number, expected one or two such as `0x3 0x7`".to_owned()),
    }
}
