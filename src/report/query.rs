//! The command that shows records of an event log where the log lies.

use super::input_name;
use super::safe::printable;
use crate::analysis::Analysis;
use crate::note::{Place, Spot};
use crate::session::Seen;

/// Records of one log, by their EventRecordIDs: a command of Windows, or the numbers alone where it cannot open the log.
#[must_use]
pub fn of_records(analysis: &Analysis, input_index: u32, ids: &[u64]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("EventRecordID={id}")).collect();
    let path = input_name(analysis, Place::whole(input_index));
    let input = usize::try_from(input_index).ok().and_then(|index| analysis.inventory.inputs.get(index));
    // wevtutil opens files, not what is compressed, lies in an archive or came through a pipe.
    if input.is_none_or(|input| input.gzip || input.shown == "-" || input.shown.contains("!/")) {
        return format!("of {}: {}", printable(path), ids.join(", "));
    }
    let (path, ids) = (printable(path), ids.join(" or "));
    format!("wevtutil qe \"{path}\" /lf:true /f:text /q:\"*[System[{ids}]]\"")
}

/// The commands that show the records which prove a cause, one for each log, in the order of the proofs.
#[must_use]
pub fn of_proofs(analysis: &Analysis, proofs: &[Seen]) -> Vec<String> {
    let mut logs: Vec<(u32, Vec<u64>)> = Vec::new();
    for place in proofs.iter().map(Seen::place) {
        let Spot::Record(id) = place.spot else { continue };
        match logs.iter_mut().find(|(input, _)| *input == place.input_index) {
            Some((_, ids)) if ids.contains(&id) => {}
            Some((_, ids)) => ids.push(id),
            None => logs.push((place.input_index, vec![id])),
        }
    }
    logs.iter().map(|(input, ids)| of_records(analysis, *input, ids)).collect()
}
