//! Sources that only guess or scan, in the text: one line each.

use super::paint::{Layout, Paint};
use super::{hanging, line, paragraph, some};
use crate::report::safe::printable;
use crate::report::sources::Source;

/// Users named of one source.
const USERS_MAX: usize = 5;
/// Sources that never got in that are named.
const SOURCES_MAX: usize = 20;

/// Sources that never got in, one line each.
pub(super) fn sources(out: &mut String, sources: &[Source], layout: Layout<'_>) {
    if sources.is_empty() {
        return;
    }
    let attempts: usize = sources.iter().map(|source| source.attempts.len()).sum();
    let connections: usize = sources.iter().map(|source| source.connections).sum();
    let with =
        if connections > attempts { format!(" with {connections} connections") } else { String::new() };
    let heading = format!(
        "GUESSING OR SCANNING: {}{with} from {}, none of which ever got in (each one stands in JSON and with -v)",
        some(attempts, "failed attempt"),
        some(sources.len(), "source"),
    );
    paragraph(out, layout, &heading, Some(Paint::Failure));
    for source in sources.iter().take(SOURCES_MAX) {
        let mut causes: Vec<(&&str, &usize)> = source.causes.iter().collect();
        causes.sort_by_key(|(cause, times)| (std::cmp::Reverse(**times), **cause));
        let causes: Vec<&str> = causes.into_iter().map(|(cause, _)| *cause).collect();
        let users: Vec<_> = source.users.iter().take(USERS_MAX).map(|user| printable(user)).collect();
        let more = source.users.len().saturating_sub(USERS_MAX);
        let users = match (users.is_empty(), more) {
            (true, _) => String::new(),
            (false, 0) => format!(", as {}", users.join(", ")),
            (false, more) => format!(", as {} and {more} more", users.join(", ")),
        };
        let times = source.connections;
        let (client, server) = (source.client, printable(&source.server));
        let when = layout.zone.span(source.from, if times == 1 { source.from } else { source.until });
        let text = format!("{client} -> {server}: {}{users}; {when}", causes.join(", "));
        hanging(out, layout, &format!("  {times:>5} x "), &text);
    }
    if let Some(more) = sources.len().checked_sub(SOURCES_MAX).filter(|more| *more > 0) {
        line(out, &format!("  and {more} more"));
    }
    out.push('\n');
}
