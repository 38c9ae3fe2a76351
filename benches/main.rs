//! All benches in one binary: the reader, the whole pipe, and ratios against one thread and other programs.
//!
//! `cargo bench` measures, `cargo test --benches` runs each once. What was measured stands in RESULTS.md.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on stops here")]
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "a bench measures time and finds its own files")]

mod made;
mod pipe;
mod ratios;
mod reader;

fn main() {
    divan::main();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // A number belongs to an option of divan.
    let is_filter = |argument: &&String| !argument.starts_with("--") && argument.parse::<f64>().is_err();
    let filters: Vec<&String> = arguments.iter().filter(is_filter).collect();
    let wanted = filters.is_empty() || filters.iter().any(|filter| *filter == "ratios");
    if wanted && !arguments.iter().any(|argument| argument == "--list") {
        ratios::run(!arguments.iter().any(|argument| argument == "--bench"));
    }
}
