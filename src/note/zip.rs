//! What is said of zip archives.

use super::{Note, Spot, counted};

impl Note {
    /// Files of the archive are encrypted.
    #[must_use]
    pub fn zip_encrypted(input_index: u32, files: u64) -> Self {
        let files = counted(files, "file of this zip is", "files of this zip are");
        Self::at(input_index, Spot::Whole, format!("{files} encrypted: `--zip-password PASSWORD` opens it"))
    }

    /// Files of the archive do not open with the password.
    #[must_use]
    pub fn zip_wrong_password(input_index: u32, files: u64) -> Self {
        let files = counted(files, "file of this zip does", "files of this zip do");
        let text = format!("{files} not open with the password that was given: another one, or damaged");
        Self::at(input_index, Spot::Whole, text)
    }

    /// Files of the archive cannot be unpacked.
    #[must_use]
    pub fn zip_unreadable(input_index: u32, files: u64, first: &str, error: &str) -> Self {
        let files = counted(files, "file of this zip", "files of this zip");
        Self::at(input_index, Spot::Whole, format!("cannot read {files}, the first is {first}: {error}"))
    }

    /// The archive holds more than is unpacked of one.
    #[must_use]
    pub fn zip_left_out(input_index: u32, files: u64, bytes: u64) -> Self {
        let files = counted(files, "file of this zip was", "files of this zip were");
        let text = format!("{files} left out: more than 100000 files, or than {bytes} bytes when unpacked");
        Self::at(input_index, Spot::Whole, text)
    }

    /// Nothing in the archive is evidence.
    #[must_use]
    pub fn zip_without_evidence(input_index: u32, files: u64) -> Self {
        let files = counted(files, "file", "files");
        let text = format!("no capture, event log or key log is in this zip (looked at {files})");
        Self::at(input_index, Spot::Whole, text)
    }

    /// An archive lies in another one.
    #[must_use]
    pub fn zip_in_zip(input_index: u32) -> Self {
        let text = "a zip inside of a zip is not read: unpack the outer one first".to_owned();
        Self::at(input_index, Spot::Whole, text)
    }

    /// An archive comes from where only what follows can be read.
    #[must_use]
    pub fn zip_not_seekable(input_index: u32) -> Self {
        let text =
            "a zip has its directory at its end and is not read from here: give it as a file".to_owned();
        Self::at(input_index, Spot::Whole, text)
    }
}
