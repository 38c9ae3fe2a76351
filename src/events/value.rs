//! Values as event logs write them: numbers, users, addresses.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use crate::fact::Keys;

/// Activity ids that many connections share: the listener's, and that of the session manager for what is not RDP.
const COMMON_ACTIVITIES: [&str; 2] = ["F462", "61A55000-55E5-1017"];

/// Without blanks at both ends, which hardly any text has.
pub(super) fn bare(text: &str) -> &str {
    let ends = text.as_bytes().first().zip(text.as_bytes().last());
    match ends {
        Some((first, last)) if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

/// The same, to keep.
pub(super) fn trimmed(text: Cow<'_, str>) -> String {
    let bare = bare(&text);
    if bare.len() == text.len() { text.into_owned() } else { bare.to_owned() }
}

/// In lower case.
pub(super) fn lower(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase() }
}

/// In upper case.
pub(super) fn upper(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_uppercase() } else { text.to_uppercase() }
}

/// The id names no single connection.
pub(super) fn is_common_activity(id: &str) -> bool {
    COMMON_ACTIVITIES.iter().any(|common| id.starts_with(common))
}

/// Decimal or `0x`; a negative number becomes its two's complement.
pub(super) fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    if text.starts_with('-') {
        return text.parse::<i32>().ok().map(i32::cast_unsigned);
    }
    long(text).and_then(|number| u32::try_from(number).ok())
}

/// Decimal or `0x`, up to 64 bits.
pub(super) fn long(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The last number with `0x` in a sentence, as in `... is locked. (0xc0000234)`.
pub(super) fn number_in(text: &str) -> Option<u32> {
    let digits = text.rsplit("0x").next().filter(|rest| rest.len() < text.len())?;
    let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
    u32::from_str_radix(digits.get(..end)?, 16).ok()
}

/// `DOMAIN\user`, `user@domain` or `user`.
pub(super) fn set_user(keys: &mut Keys, account: &str) {
    let (domain, user) = match (account.split_once('\\'), account.rsplit_once('@')) {
        (Some((domain, user)), _) => (Some(domain), user),
        (None, Some((user, domain))) => (Some(domain), user),
        (None, None) => (None, account),
    };
    keys.user = some(user);
    keys.domain = domain.and_then(some).or(keys.domain.take());
}

/// `address`, `address:port`, `[v6]:port`; a name such as `LOCAL`, in whatever language, is none.
pub(super) fn set_address(keys: &mut Keys, text: &str) {
    let text = text.trim();
    // IPv4 alone, as most are, has no colon.
    if let Some(Ok(both)) = text.contains(':').then(|| text.parse::<SocketAddr>()) {
        keys.address = given(both.ip());
        keys.port = Some(both.port()).filter(|port| *port != 0);
    } else {
        keys.address = address(text);
    }
}

/// An address, in brackets or not; IPv4 in IPv6 is IPv4, a zone is cut off, the unspecified one is none.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
    let bare = bare.split('%').next().unwrap_or(bare);
    bare.parse().ok().and_then(given)
}

fn given(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    (!address.is_unspecified()).then_some(address)
}

/// The field names the console of the host itself: it is there, and it is no address. Windows translates `LOCAL`.
pub(super) fn is_local(text: Option<&str>) -> bool {
    text.is_some_and(|text| address(text).is_none() && text.trim().parse::<SocketAddr>().is_err())
}

/// The file of a program in which Remote Desktop runs, or which proves who somebody is for it.
pub(super) fn is_of_remote_desktop(process: &str) -> bool {
    const OURS: [&str; 6] = ["svchost", "lsass", "mstsc", "msrdc", "rdpclip", "termsrv"];
    let file = process.rsplit(['\\', '/']).next().unwrap_or(process).to_ascii_lowercase();
    OURS.iter().any(|ours| file.starts_with(ours))
}

fn some(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text != "-").then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_form() {
        assert_eq!(number("14"), Some(14));
        assert_eq!(number("0xC000006D"), Some(0xc000_006d));
        assert_eq!(number("-805306367"), Some(0xd000_0001));
        assert_eq!(number("3489660929"), Some(0xd000_0001));
        assert_eq!(number("99999999999"), None);
        assert_eq!(number("x"), None);
        assert_eq!(number_in("locked.,  (0xc0000234)\""), Some(0xc000_0234));
        assert_eq!(number_in("nothing"), None);
    }

    #[test]
    fn users_come_with_and_without_a_domain() {
        let user = |account: &str| {
            let mut keys = Keys::default();
            set_user(&mut keys, account);
            (keys.user.unwrap_or_default(), keys.domain.unwrap_or_default())
        };
        let pair = |user: &str, domain: &str| (user.to_owned(), domain.to_owned());
        assert_eq!(user(r"LAB\jane"), pair("jane", "LAB"));
        assert_eq!(user("jane@lab.test"), pair("jane", "lab.test"));
        assert_eq!(user("jane"), pair("jane", ""));
        assert_eq!(user(r"\jane"), pair("jane", ""));
        assert_eq!(user(r"LAB\"), pair("", "LAB"));
    }

    #[test]
    fn addresses_come_with_and_without_a_port() {
        let both = |text: &str| {
            let mut keys = Keys::default();
            set_address(&mut keys, text);
            format!("{:?} {:?}", keys.address, keys.port)
        };
        assert_eq!(both("198.51.100.7:50412"), "Some(198.51.100.7) Some(50412)");
        assert_eq!(both("[2001:db8::7]:50412"), "Some(2001:db8::7) Some(50412)");
        assert_eq!(both("[2001:db8::7%4]"), "Some(2001:db8::7) None");
        assert_eq!(both("fe80::1%12"), "Some(fe80::1) None");
        assert_eq!(both("::ffff:198.51.100.7"), "Some(198.51.100.7) None");
        assert_eq!(both("198.51.100.7:0"), "Some(198.51.100.7) None");
        for none in ["LOCAL", "ローカル", "-", "", "0.0.0.0", "::"] {
            assert_eq!(both(none), "None None", "{none}");
        }
    }

    #[test]
    fn the_console_is_local_in_every_language() {
        assert!(is_local(Some("LOCAL")) && is_local(Some("ローカル")));
        assert!(!is_local(Some("198.51.100.7")) && !is_local(Some("[::1]:4")) && !is_local(None));
    }
}
