//! What lies in zip archives, as inputs of their own.

use std::path::Path;

use super::super::archive::{self, Closed};
use super::{
    EXPANSION_MAX, FILES_MAX, INSIDE, Input, Kind, NOTHING, SNIFFED, Walk, archive_bytes,
    is_named_as_evidence, kind_of,
};
use crate::note::Note;

/// What is said of an archive: of the input of this name.
#[derive(Default)]
pub(super) struct Archive {
    shown: String,
    files: u64,
    /// Files that are evidence, or would be.
    wanted: u64,
    closed: Closed,
    /// Files beyond what is unpacked of one archive.
    too_large: u64,
}

/// Archives in folders that hold nothing of use are documents and programs.
impl Walk<'_> {
    pub(super) fn archive(&mut self, input: Input, asked_for: bool) {
        let listing = archive_bytes(&input).and_then(|mut bytes| {
            let sniffed = u64::try_from(SNIFFED).unwrap_or(0);
            archive::listing(bytes.as_mut(), self.zip_password, sniffed)
        });
        let listing = match listing {
            Ok(listing) => listing,
            Err(_) if !asked_for && !is_named_as_archive(&input.shown) => {
                self.other_files += 1;
                return;
            }
            Err(error) => {
                self.unreadable.push((input.shown.clone(), error.to_string()));
                return self.found.push(Input { kind: Kind::Unreadable, ..input });
            }
        };
        let files = u64::try_from(listing.found.len()).unwrap_or(u64::MAX);
        let mut said =
            Archive { shown: input.shown.clone(), files, closed: listing.closed, ..Archive::default() };
        let mut left = EXPANSION_MAX;
        let mut inside = Vec::new();
        for found in listing.found {
            let (kind, gzip) = kind_of(&found.first);
            let shown = format!("{}{INSIDE}{}", input.shown, found.name);
            let wanted =
                !matches!(kind, Kind::Unknown | Kind::Empty) || is_named_as_evidence(Path::new(&found.name));
            if !wanted || self.found.len() + inside.len() >= FILES_MAX {
                self.cut |= wanted;
                self.other_files += u64::from(!wanted);
                continue;
            }
            said.wanted += 1;
            match left.checked_sub(found.member.bytes) {
                Some(rest) => left = rest,
                None => {
                    said.too_large += 1;
                    continue;
                }
            }
            let (path, bytes) = (input.path.clone(), found.member.bytes);
            inside.push(Input { path, member: Some(found.member), shown, kind, gzip, bytes, ..NOTHING });
        }
        if inside.is_empty() && !asked_for && said.closed == Closed::default() {
            self.other_files += 1;
            return;
        }
        self.found.push(input);
        self.found.append(&mut inside);
        self.archives.push(said);
    }
}

fn is_named_as_archive(shown: &str) -> bool {
    Path::new(shown).extension().is_some_and(|end| end.eq_ignore_ascii_case("zip"))
}

pub(super) fn of_archives(inputs: &[Input], archives: &[Archive]) -> Vec<Note> {
    let mut notes = Vec::new();
    for said in archives {
        let place = inputs.iter().position(|input| input.shown == said.shown && input.member.is_none());
        let Some(index) = place.and_then(|index| u32::try_from(index).ok()) else { continue };
        let closed = &said.closed;
        if closed.without_password > 0 {
            notes.push(Note::zip_encrypted(index, closed.without_password));
        }
        if closed.wrong_password > 0 {
            notes.push(Note::zip_wrong_password(index, closed.wrong_password));
        }
        if let Some((name, error)) = &closed.first {
            notes.push(Note::zip_unreadable(index, closed.unreadable, name, error));
        }
        if closed.left_out + said.too_large > 0 {
            notes.push(Note::zip_left_out(index, closed.left_out + said.too_large, EXPANSION_MAX));
        }
        if said.wanted == 0 && *closed == Closed::default() {
            notes.push(Note::zip_without_evidence(index, said.files));
        }
    }
    notes
}
