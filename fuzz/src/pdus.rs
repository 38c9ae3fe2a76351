//! Targets of the decoders of single RDP PDUs.

use rdpwhy::wire::autodetect;
use rdpwhy::wire::capability::active;
use rdpwhy::wire::client_info as info;
use rdpwhy::wire::gcc as blocks;
use rdpwhy::wire::redirection as packet;
use rdpwhy::wire::session_info as saved;
use rdpwhy::wire::share as pdus;

/// Both sides' GCC blocks.
pub fn gcc(bytes: &[u8]) {
    let blocks: Vec<_> = [blocks::client_data(bytes).blocks, blocks::server_data(bytes).blocks].concat();
    for block in blocks {
        assert!(block.offset + block.length <= bytes.len(), "{block:?} out of {} bytes", bytes.len());
    }
}

/// What MCS data carries.
pub fn share(bytes: &[u8]) {
    let read = pdus::payload(1003, bytes);
    assert_eq!(read.length, bytes.len());
    assert!(read.data_type.is_none() || read.share_type == Some(pdus::control::DATA), "{read:?}");
}

/// Client Info: with its strings ended where they say, the password in it is not read.
pub fn client_info(bytes: &[u8]) {
    let Some(read) = info::client_info(bytes) else { return };
    assert!(bytes.len() >= 18, "out of {} bytes", bytes.len());
    assert!(read.domain.is_some() == read.user.is_some(), "{read:?}");
}

/// Save Session Info.
pub fn session_info(bytes: &[u8]) {
    if let Some(read) = saved::session_info(bytes) {
        assert!(read.kind == 3 || (read.error.is_none() && !read.has_reconnect_cookie), "{read:?}");
    }
}

/// Server redirection.
pub fn redirection(bytes: &[u8]) {
    if let Some(read) = packet::redirection(bytes) {
        assert!(read.certificate_bytes.is_none_or(|length| length <= bytes.len()), "{read:?}");
        assert!(!read.flags.names().is_empty() || read.flags.0 == 0);
    }
}

/// Measurements and heartbeats.
pub fn auto_detect(bytes: &[u8]) {
    assert!(autodetect::auto_detect(bytes).is_none_or(|_| bytes.len() >= 6));
    assert!(autodetect::heartbeat(bytes).is_none_or(|_| bytes.len() >= 4));
}

/// Demand Active and Confirm Active.
pub fn capability(bytes: &[u8]) {
    for is_confirm in [false, true] {
        let Some(read) = active(bytes, is_confirm) else { continue };
        assert!(read.sets.len() <= usize::from(read.announced), "{read:?}");
        assert!(read.sets.iter().all(|set| set.offset + 4 <= bytes.len()), "{read:?}");
    }
}
