//! The answers of one run: which forms go where, begun before the reading and each written whole or not at all.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use rdpwhy::Analysis;
use rdpwhy::read::Inventory;
use rdpwhy::read::inputs::shown;
use rdpwhy::report::parquet::{self, Table};
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

impl Answer {
    /// The files that are written; none for standard output.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match (&self.file, self.format.tables()) {
            (None, _) => Vec::new(),
            (Some(file), None) => vec![file.clone()],
            (Some(folder), Some(tables)) => tables.iter().map(|table| in_folder(folder, *table)).collect(),
        }
    }
}

fn in_folder(folder: &Path, table: Table) -> PathBuf {
    folder.join(table.name()).with_extension("parquet")
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
    let of_folder = |answer: &Answer| answer.file.is_none() && answer.format.tables().is_some();
    if let Some(answer) = answers.iter().find(|answer| of_folder(answer)) {
        let name = answer.format.name();
        return Err(format!("{name} is a folder of tables: give one with `-o {name}:FOLDER`"));
    }
    let mut files = BTreeSet::new();
    for answer in &answers {
        if answer.file.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
            return Err("no FILE stands behind the format of --output".to_owned());
        }
        for file in answer.files() {
            if !files.insert(identity(&file)) {
                return Err(format!(
                    "two answers for {}: give each a FILE of its own",
                    printable(&name(&file))
                ));
            }
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
    for file in answers.iter().flat_map(Answer::files) {
        if let Some(input) = overwritten(&file, inventory) {
            return Err(would_overwrite(input));
        }
    }
    Ok(())
}

/// The same for a file of facts.
pub(super) fn check_file(wanted: Option<&Wanted>, inventory: &Inventory) -> Result<(), String> {
    let file = wanted.and_then(|wanted| wanted.file.as_deref());
    match file.and_then(|file| overwritten(file, inventory)) {
        Some(input) => Err(would_overwrite(input)),
        None => Ok(()),
    }
}

/// The form of a file of facts: a Parquet file by its ending or by word, else JSON lines.
pub(super) fn of_facts(wanted: Option<&Wanted>) -> Result<Format, String> {
    let Some(wanted) = wanted else { return Ok(Format::Jsonl) };
    let ending = || wanted.file.as_deref().and_then(Format::of_ending);
    match wanted.format.or_else(ending).unwrap_or(Format::Jsonl) {
        Format::Parquet if wanted.file.is_none() => {
            Err("facts go to standard output as JSON lines only: give a FILE for parquet".to_owned())
        }
        format @ (Format::Jsonl | Format::Parquet) => Ok(format),
        other => Err(format!("facts are written as jsonl or parquet, found {}", other.name())),
    }
}

/// The same for inputs that are known by their paths.
pub(super) fn check_paths(answers: &[Answer], inputs: &[PathBuf]) -> Result<(), String> {
    let inputs: Vec<(PathBuf, &PathBuf)> = inputs.iter().map(|input| (identity(input), input)).collect();
    let written = |file: &Path| inputs.iter().find(|(input, _)| *input == identity(file));
    match answers.iter().flat_map(Answer::files).find_map(|file| written(&file)) {
        Some((_, input)) => Err(would_overwrite(&name(input))),
        None => Ok(()),
    }
}

pub(super) fn would_overwrite(input: &str) -> String {
    let input = printable(input);
    format!("the answer would overwrite the input {input}: choose another FILE for --output")
}

/// An answer whose files are begun.
pub(super) struct Begun {
    pub(super) format: Format,
    pub(super) to_stdout: bool,
    /// For messages.
    pub(super) name: String,
    pub(super) parts: Vec<(Option<Table>, Output)>,
}

/// Begins every file, so that what cannot be written is known before hours of reading.
pub(super) fn begin(answers: &[Answer], partials: &Partials) -> Result<Vec<Begun>, String> {
    let begin = |answer: &Answer| {
        let name = answer.file.as_deref().map_or_else(|| "standard output".to_owned(), name);
        let parts = parts(answer, partials).map_err(|error| not_written(&name, &error))?;
        Ok(Begun { format: answer.format, to_stdout: answer.file.is_none(), name, parts })
    };
    answers.iter().map(begin).collect()
}

fn parts(answer: &Answer, partials: &Partials) -> io::Result<Vec<(Option<Table>, Output)>> {
    let (Some(folder), Some(tables)) = (&answer.file, answer.format.tables()) else {
        return Ok(vec![(None, Output::to(answer.file.as_deref(), partials)?)]);
    };
    partials.folder(folder)?;
    let part = |table: &Table| Ok((Some(*table), Output::to(Some(&in_folder(folder, *table)), partials)?));
    tables.iter().map(part).collect()
}

pub(super) fn not_written(name: &str, error: &io::Error) -> String {
    format!("cannot write {}: {}", printable(name), printable(&error.to_string()))
}

/// Writes all of them; tells of each that could not be written. Standard output that is closed wants no more.
pub(super) fn write(begun: Vec<Begun>, analysis: &Analysis, shape: &Shape<'_>) -> Vec<String> {
    let mut failed = Vec::new();
    for begun in begun {
        match begun.write(analysis, shape) {
            Err((name, error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                failed.push(not_written(&name, &error));
            }
            _ => {}
        }
    }
    failed
}

impl Begun {
    /// Writes all parts, and only when all of them are written gives them their names.
    fn write(self, analysis: &Analysis, shape: &Shape<'_>) -> Result<(), (String, io::Error)> {
        let Self { format, to_stdout, name, mut parts } = self;
        let written = parts.iter_mut().try_for_each(|(table, out)| match table {
            None => format.write(out, analysis, shape, to_stdout),
            Some(table) => parquet::write(out, analysis, *table),
        });
        let finished = written.and_then(|()| parts.into_iter().try_for_each(|(_, out)| out.finish()));
        finished.map_err(|error| (name, error))
    }
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
