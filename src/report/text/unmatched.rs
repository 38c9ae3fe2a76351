//! What is said where no attempt is as asked for: what was asked, and what there is.

use super::paint::{Layout, Paint};
use super::{item, paragraph, some};
use crate::analysis::{Analysis, Filter, Near, Unmatched};
use crate::report::safe::printable;

/// Says it, with the values that are nearest to what was asked for.
pub(super) fn unmatched(out: &mut String, analysis: &Analysis, unmatched: &Unmatched, layout: Layout<'_>) {
    let there = some(analysis.left_out, "attempt");
    let heading = format!("NOTHING is as asked for, among {there}");
    paragraph(out, layout, &heading, Some(Paint::Strong));
    for filter in &unmatched.filters {
        let asked = filter.asked.as_ref().map(|asked| format!(" {}", printable(asked))).unwrap_or_default();
        let fits = match filter.fits {
            0 => "fits none".to_owned(),
            fits => format!("alone fits {fits}"),
        };
        item(out, layout, "asked", &format!("--{}{asked} {fits}; {}", filter.option, near(filter, layout)));
    }
}

fn near(filter: &Filter, layout: Layout<'_>) -> String {
    let values: Vec<String> = match &filter.near {
        Near::Names(names) => names.iter().map(|name| printable(name).into_owned()).collect(),
        Near::Times(times) => times.iter().map(|time| layout.zone.shown(*time)).collect(),
    };
    let more = if filter.more > 0 { format!(" and {} more", filter.more) } else { String::new() };
    match values.is_empty() {
        true => "no attempt names any".to_owned(),
        false => format!("there is {}{more}", values.join(", ")),
    }
}
