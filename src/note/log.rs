//! What is said of event logs: chunks and records that are damaged, missing or left out.

use super::{Note, Spot, counted};

impl Note {
    /// The first bytes are not those of an event log.
    #[must_use]
    pub fn not_a_log(input_index: u32, found: &str) -> Self {
        let text = format!("not an event log: starts with {found}, expected ElfFile");
        Self::at(input_index, Spot::Whole, text)
    }

    /// An event log that ends inside of its file header.
    #[must_use]
    pub fn log_header_cut(input_index: u32, bytes: usize) -> Self {
        let text = format!("the file is cut inside its header: {bytes} of 4096 bytes");
        Self::at(input_index, Spot::Whole, text)
    }

    /// Chunks of an event log without the file header.
    #[must_use]
    pub fn log_without_header(input_index: u32) -> Self {
        let text = "the event log has no file header: its chunks are read, and what is missing is told by them alone";
        Self::at(input_index, Spot::Whole, text.to_owned())
    }

    /// Other bytes stand where the signature of an event log should.
    #[must_use]
    pub fn log_header_bad(input_index: u32, found: &str) -> Self {
        let text = format!(
            "the file header of the event log starts with {found}, expected ElfFile: its chunks are read, and what is \
             missing is told by them alone"
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// The file header of an event log is not what its checksum was made of.
    #[must_use]
    pub fn log_header_altered(input_index: u32) -> Self {
        let text = "the checksum of the file header does not hold: what it says is not used";
        Self::at(input_index, Spot::Whole, text.to_owned())
    }

    /// A whole event log behind the end of another one, in the same file.
    #[must_use]
    pub fn log_behind_another(input_index: u32, offset: u64, records: u64) -> Self {
        let text = format!(
            "another event log begins here, behind the one before it: {counted} read of it",
            counted = counted(records, "record was", "records were")
        );
        Self::at(input_index, Spot::Byte(offset), text)
    }

    /// More event logs behind each other in a file than are read.
    #[must_use]
    pub fn logs_behind_left_out(input_index: u32, offset: u64, most: usize) -> Self {
        let text = format!(
            "the file holds more than {most} event logs behind each other: from here on it is not read"
        );
        Self::at(input_index, Spot::Byte(offset), text)
    }

    /// A chunk of an event log whose header is lost.
    #[must_use]
    pub fn chunk_header_lost(input_index: u32, offset: u64, found: &str, records: u64) -> Self {
        let text = match records {
            0 => format!("cannot read this chunk of the log: signature is {found}"),
            _ => format!(
                "the header of this chunk is lost, its signature is {found}: {} recovered",
                counted(records, "record", "records")
            ),
        };
        Self::at(input_index, Spot::Byte(offset), text)
    }

    /// Chunks of an event log whose checksum does not hold.
    #[must_use]
    pub fn chunks_altered(input_index: u32, first: u64, chunks: usize) -> Self {
        let text = match chunks {
            1 => "the checksum of 1 chunk does not hold: what can be read of it is used".to_owned(),
            _ => format!(
                "the checksum of {chunks} chunks does not hold, this is the first: what can be read of them is used"
            ),
        };
        Self::at(input_index, Spot::Byte(first), text)
    }

    /// Records that no header counts.
    #[must_use]
    pub fn records_recovered(input_index: u32, records: u64, which: &str) -> Self {
        let text = format!(
            "{counted} recovered: {which}",
            counted =
                counted(records, "record that no header counts was", "records that no header counts were")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// Records that a log has overwritten, except for some of their bytes.
    #[must_use]
    pub fn records_stale(input_index: u32, records: u64, which: &str) -> Self {
        let text = format!(
            "{} not used, since the log has overwritten what belongs to {}: {which}",
            counted(
                records,
                "record of another pass over the chunks is still whole and was",
                "records of another pass over the chunks are still whole and were"
            ),
            if records == 1 { "it" } else { "them" }
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// Records of this log that another log of the same run holds too.
    #[must_use]
    pub fn records_repeated(input_index: u32, records: u64) -> Self {
        let text = format!(
            "{counted} read before, from another log or from this one: each counts once",
            counted = counted(records, "record of this log was", "records of this log were")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// From one record to the next the clock of the host goes back.
    #[must_use]
    pub fn clock_set_back(input_index: u32, record: u64, by_ns: i64, times: usize) -> Self {
        let by = crate::time::spoken(by_ns);
        let text = match times {
            1 => format!("the clock of the host goes back by {by} before this record"),
            _ => format!("the clock of the host goes back {times} times, first by {by} before this record"),
        };
        Self::at(input_index, Spot::Record(record), text)
    }

    /// More chunks that could not be read than are named.
    #[must_use]
    pub fn chunks_unreadable_more(input_index: u32, chunks: u64) -> Self {
        let text = format!(
            "{counted} not be read",
            counted = counted(chunks, "more chunk of the log could", "more chunks of the log could")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// Connections that a key log has secrets for, and that were let go before it was known whether they are a gateway's.
    #[must_use]
    pub fn sealed_let_go(input_index: u32, connections: u64, most: usize) -> Self {
        let text = format!(
            "{} let go before they were opened: only {most} are held at one time",
            counted(
                connections,
                "TLS connection that the key log has secrets for was",
                "TLS connections that the key log has secrets for were"
            )
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// The last chunk of an event log is cut.
    #[must_use]
    pub fn chunk_cut(input_index: u32, offset: u64, bytes: usize, records: u64) -> Self {
        let text = format!(
            "the file is cut inside this chunk: {bytes} of 65536 bytes, {} read of it",
            counted(records, "whole record", "whole records")
        );
        Self::at(input_index, Spot::Byte(offset), text)
    }

    /// The header of an event log speaks of more chunks than the file has.
    #[must_use]
    pub fn chunks_missing(input_index: u32, found: u64, expected: u64) -> Self {
        let text = format!(
            "the header counts {}, the file holds {}",
            counted(expected, "chunk", "chunks"),
            counted(found, "whole one", "whole ones")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// Events that are there and could not be read.
    #[must_use]
    pub fn records_unreadable(input_index: u32, first: Spot, records: u64, error: &str) -> Self {
        let text = match records {
            0 => format!("bytes that are no record: {error}"),
            _ => format!(
                "{counted}: {error}",
                counted = counted(
                    records,
                    "record could not be read",
                    "records could not be read, this is the first"
                )
            ),
        };
        Self::at(input_index, first, text)
    }

    /// Gaps in the record numbers.
    #[must_use]
    pub fn records_missing(input_index: u32, holes: u64, records: u64, which: &str) -> Self {
        let text = format!(
            "{} in the record numbers, {} missing: {which}",
            counted(holes, "hole", "holes"),
            counted(records, "record is", "records are")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// An exported log that holds a choice of events only.
    #[must_use]
    pub fn log_is_extract(input_index: u32, holes: u64, records: u64) -> Self {
        let text = format!(
            "the log is an extract or a collection, its events were renumbered: their old numbers have {} of {}",
            counted(holes, "hole", "holes"),
            counted(records, "record", "records")
        );
        Self::at(input_index, Spot::Whole, text)
    }

    /// The log was open when it was copied, and something of it is lost.
    #[must_use]
    pub fn log_dirty(input_index: u32) -> Self {
        let text = "the log was not closed when it was copied: its header may be older than its records";
        Self::at(input_index, Spot::Whole, text.to_owned())
    }

    /// Events with more or longer fields than are kept.
    #[must_use]
    pub fn fields_cut(input_index: u32, records: u64) -> Self {
        let text = format!(
            "{counted} than are kept: the rest was left out",
            counted =
                counted(records, "record has more or longer fields", "records have more or longer fields")
        );
        Self::at(input_index, Spot::Whole, text)
    }
}
