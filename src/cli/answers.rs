//! The answers of one run: which forms go where, begun before the reading and each written whole or not at all.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use rdpwhy::Analysis;
use rdpwhy::read::Inventory;
use rdpwhy::read::inputs::shown;
use rdpwhy::report::safe::printable;

use super::arguments::Shown;
use super::format::{Format, Shape};
use super::output::{Output, Partials, identity, overwritten};

/// What follows `-o`: a file, or `-`, with the format where one stands in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(super) format: Option<Format>,
    /// `None` for standard output.
    pub(super) file: Option<PathBuf>,
}

impl Wanted {
    /// `FILE`, `FORMAT:FILE`, `-` or `FORMAT:-`. What stands before a colon and is no format is part of the name.
    pub(crate) fn of(text: &Path) -> Self {
        let split = text.to_str().and_then(|text| text.split_once(':'));
        let named = split.and_then(|(name, file)| Some((Format::named(name)?, Path::new(file))));
        let (format, file) = named.map_or((None, text), |(format, file)| (Some(format), file));
        Self { format, file: Some(file.to_owned()).filter(|file| file.as_os_str() != "-") }
    }
}

/// One answer and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) format: Format,
    /// `None` for standard output.
    pub(super) file: Option<PathBuf>,
}

/// Every answer that the arguments ask for; standard output last.
///
/// With `-o`, standard output stays empty unless `-o -` or a `--format` that no file gets asks for it.
pub(super) fn answers(shown: &Shown) -> Result<Vec<Answer>, String> {
    let mut answers = Vec::new();
    for wanted in &shown.output {
        let format = match (&wanted.file, wanted.format) {
            (_, Some(format)) => format,
            (None, None) => shown.format.unwrap_or(Format::Text),
            (Some(file), None) => Format::of_ending(file).or(shown.format).ok_or_else(|| unknown(file))?,
        };
        answers.push(Answer { format, file: wanted.file.clone() });
    }
    let asked = shown.format.filter(|format| answers.iter().all(|answer| answer.format != *format));
    let plain = answers.is_empty().then_some(Format::Text);
    let to_stdout = answers.iter().filter(|answer| answer.file.is_none()).count();
    if to_stdout > 1 {
        return Err("two answers for standard output: give all but one a FILE".to_owned());
    }
    if to_stdout == 0 {
        answers.extend(asked.or(plain).map(|format| Answer { format, file: None }));
    }
    let mut files = BTreeSet::new();
    for file in answers.iter().filter_map(|answer| answer.file.as_deref()) {
        if file.as_os_str().is_empty() {
            return Err("no FILE stands behind the format of --output".to_owned());
        }
        if !files.insert(identity(file)) {
            return Err(format!("two answers for {}: give each a FILE of its own", printable(&name(file))));
        }
    }
    answers.sort_by_key(|answer| answer.file.is_none());
    Ok(answers)
}

fn unknown(file: &Path) -> String {
    format!(
        "the ending of {} names no format: use FORMAT:FILE, or an ending of {}",
        printable(&name(file)),
        Format::told()
    )
}

fn name(file: &Path) -> String {
    shown(file)
}

/// Refuses to write over what is read.
pub(super) fn check(answers: &[Answer], inventory: &Inventory) -> Result<(), String> {
    let files = answers.iter().filter_map(|answer| answer.file.as_deref());
    for file in files {
        if let Some(input) = overwritten(file, inventory) {
            return Err(would_overwrite(input));
        }
    }
    Ok(())
}

/// The same for inputs that are known by their paths.
pub(super) fn check_paths(answers: &[Answer], inputs: &[PathBuf]) -> Result<(), String> {
    let inputs: Vec<(PathBuf, &PathBuf)> = inputs.iter().map(|input| (identity(input), input)).collect();
    let written = |file: &Path| inputs.iter().find(|(input, _)| *input == identity(file));
    let files = answers.iter().filter_map(|answer| answer.file.as_deref());
    match files.into_iter().find_map(written) {
        Some((_, input)) => Err(would_overwrite(&name(input))),
        None => Ok(()),
    }
}

pub(super) fn would_overwrite(input: &str) -> String {
    let input = printable(input);
    format!("the answer would overwrite the input {input}: choose another FILE for --output")
}

/// An answer whose file is begun.
pub(super) struct Begun {
    format: Format,
    to_stdout: bool,
    /// For messages.
    name: String,
    out: Output,
}

/// Begins every file, so that what cannot be written is known before hours of reading.
pub(super) fn begin(answers: &[Answer], partials: &Partials) -> Result<Vec<Begun>, String> {
    let begin = |answer: &Answer| {
        let name = answer.file.as_deref().map_or_else(|| "standard output".to_owned(), name);
        match Output::to(answer.file.as_deref(), partials) {
            Ok(out) => Ok(Begun { format: answer.format, to_stdout: answer.file.is_none(), name, out }),
            Err(error) => Err(not_written(&name, &error)),
        }
    };
    answers.iter().map(begin).collect()
}

fn not_written(name: &str, error: &io::Error) -> String {
    format!("cannot write {}: {}", printable(name), printable(&error.to_string()))
}

/// Writes all of them; tells of each that could not be written. Standard output that is closed wants no more.
pub(super) fn write(begun: Vec<Begun>, analysis: &Analysis, shape: &Shape<'_>) -> Vec<String> {
    let mut failed = Vec::new();
    for Begun { format, to_stdout, name, mut out } in begun {
        let written = format.write(&mut out, analysis, shape, to_stdout).and_then(|()| out.finish());
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                failed.push(not_written(&name, &error));
            }
            _ => {}
        }
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> (Option<Format>, Option<String>) {
        let Wanted { format, file } = Wanted::of(Path::new(text));
        (format, file.map(|file| file.display().to_string()))
    }

    #[test]
    fn a_format_in_front_of_a_file_is_told_from_a_drive_or_a_name() {
        assert_eq!(wanted("why.json"), (None, Some("why.json".to_owned())));
        assert_eq!(wanted("json:why"), (Some(Format::Json), Some("why".to_owned())));
        assert_eq!(wanted("C:\\why.json"), (None, Some("C:\\why.json".to_owned())));
        assert_eq!(wanted("a:b.json"), (None, Some("a:b.json".to_owned())));
        assert_eq!(wanted("text:a:b"), (Some(Format::Text), Some("a:b".to_owned())));
        assert_eq!(wanted("-"), (None, None));
        assert_eq!(wanted("json:-"), (Some(Format::Json), None));
    }
}
