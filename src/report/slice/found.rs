//! Which session is meant: by its id, one of its other names, or the beginning of one.

use crate::analysis::Analysis;

/// Ids that are named where none or several fit.
const NAMED_MAX: usize = 10;
/// From here on two ids look alike.
const ALIKE: f64 = 0.6;

/// No single session is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfound {
    /// None has that name; these look like it, or are all there are.
    Nothing(Vec<String>),
    /// Several names begin so.
    Several(Vec<String>),
}

/// Index of the session that is meant.
///
/// # Errors
/// When none is meant, or several.
pub fn find(analysis: &Analysis, asked: &str) -> Result<usize, Unfound> {
    let sessions = &analysis.story.sessions;
    let named = |index: usize| {
        let session = sessions.get(index);
        session.into_iter().flat_map(|one| std::iter::once(&one.id).chain(&one.aliases))
    };
    let those = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..sessions.len()).filter(|index| named(*index).any(|name| fits(name))).collect()
    };
    let ids = |found: &[usize]| {
        let ids = found.iter().filter_map(|index| sessions.get(*index));
        ids.take(NAMED_MAX).map(|session| session.id.clone()).collect::<Vec<String>>()
    };
    let asked = asked.strip_prefix("attempt:").unwrap_or(asked);
    let fits: [&dyn Fn(&str) -> bool; 4] = [
        &|name| name == asked,
        &|name| name.eq_ignore_ascii_case(asked),
        &|name| !asked.is_empty() && name.starts_with(asked),
        &|name| !asked.is_empty() && name.to_ascii_lowercase().starts_with(&asked.to_ascii_lowercase()),
    ];
    for fits in fits {
        match those(fits).as_slice() {
            [] => {}
            [only] => return Ok(*only),
            several => return Err(Unfound::Several(ids(several))),
        }
    }
    let mut near: Vec<(f64, usize)> = (0..sessions.len())
        .filter_map(|index| {
            let alike = named(index).map(|name| strsim::jaro_winkler(name, asked)).reduce(f64::max)?;
            (alike >= ALIKE).then_some((alike, index))
        })
        .collect();
    near.sort_by(|(a, first), (b, second)| b.total_cmp(a).then(first.cmp(second)));
    let mut near: Vec<usize> = near.into_iter().map(|(_, index)| index).collect();
    if near.is_empty() {
        near.extend(0..sessions.len());
    }
    Err(Unfound::Nothing(ids(&near)))
}
