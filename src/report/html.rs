//! The page for people: one file that needs nothing else, verdict first, every session to be unfolded down to its raw fields.
//!
//! A template with auto-escape writes what can be read without a script: the summary, the causes, the worst attempts, how
//! it was made. Everything else lies in two blocks of JSON, and the page's own script shows it as text, never as markup.
//! A Content Security Policy names the script and the style by their hashes and forbids everything else.

mod block;
mod detail;
mod rows;
mod strings;
mod summary;
mod way;

use std::fmt;

use data_encoding::BASE64;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, escape_formatter};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::told;
use crate::analysis::Analysis;

use detail::{Details, details};
use rows::Rows;
use summary::Summary;
pub(super) use summary::charts::clock_words;

const TEMPLATE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// What a page holds at most. What is left out is counted in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Attempts in the table.
    pub attempts: usize,
    /// Of these, attempts that can be read without a script.
    pub plain_attempts: usize,
    /// Bytes of what unfolds: facts, fields, certificates.
    pub detail_bytes: usize,
    /// Connections of one attempt that unfold.
    pub sessions: usize,
    /// Facts of one connection.
    pub facts: usize,
    /// Rows of each list that tells how the page was made.
    pub listed: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempts: 25_000,
            plain_attempts: 200,
            detail_bytes: 8 * 1024 * 1024,
            sessions: 8,
            facts: 600,
            listed: 300,
        }
    }
}

/// How the page is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// The arguments that change the answer.
    pub arguments: Vec<String>,
    /// Leave out what did not fail.
    pub only_failed: bool,
    /// What the page may hold.
    pub limits: Limits,
}

/// Why no page could be made, which no analysis leads to.
#[derive(Debug)]
pub struct PageError(String);

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PageError {}

impl From<minijinja::Error> for PageError {
    fn from(error: minijinja::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for PageError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

#[derive(Serialize)]
struct Page<'a> {
    policy: String,
    style: Value,
    script: Value,
    summary: Summary<'a>,
    table: Value,
    details: Value,
}

/// The page, the same bytes for the same analysis.
///
/// # Errors
/// When the template or the JSON cannot be written, which no value of these types leads to.
pub fn page(analysis: &Analysis, asked: &Asked) -> Result<String, PageError> {
    let told = told(analysis);
    let rows = Rows::new(analysis, &told, asked);
    let Details { lines, index, left_out } = details(analysis, &rows, &asked.limits)?;
    let page = Page {
        policy: policy(),
        style: Value::from_safe_string(STYLE.to_owned()),
        script: Value::from_safe_string(SCRIPT.to_owned()),
        summary: Summary::new(analysis, &told, &rows, asked, left_out),
        table: Value::from_safe_string(block::written(&rows.table(analysis, &index))?),
        details: Value::from_safe_string(lines),
    };
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => escape_formatter(out, state, &Value::from(block::visible(text))),
        _ => escape_formatter(out, state, value),
    });
    Ok(environment.render_named_str("page.html", TEMPLATE, Value::from(Serde(&page)))?)
}

/// Nothing may be loaded, sent or run but the script and the style of this very page. Browsers that know Trusted Types
/// also refuse to make markup of text.
fn policy() -> String {
    let hash = |text: &str| BASE64.encode(&Sha256::digest(text));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}
