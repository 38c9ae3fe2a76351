//! The command that shows records of an event log where the log lies.

use super::input_name;
use super::safe::printable;
use crate::analysis::Analysis;
use crate::note::Place;

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
