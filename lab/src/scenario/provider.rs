//! The providers that write about Remote Desktop: where each writes, how its payload looks, and its usual header values.
//!
//! Names, GUIDs, channels and payload forms are those of the manifests (knowledge/events.tsv and knowledge/README.md 1.1).

use crate::evtx::{Guid, Payload, Record, Value};

/// Form of a provider's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `EventData` with names.
    Named,
    /// `EventData` without names, as classic sources write it.
    Classic,
    /// `UserData/EventXML` in `Event_NS`.
    EventXml,
    /// `UserData/EventInfo` in `aag`: RD Gateway.
    EventInfo,
}

/// One provider in one channel.
#[derive(Debug)]
pub(super) struct Provider {
    /// How a scenario's `event` verb may call it.
    pub(super) short: &'static str,
    pub(super) name: &'static str,
    guid: &'static str,
    pub(super) channel: &'static str,
    pub(super) form: Form,
    keywords: u64,
    level: u8,
    task: u16,
    /// Old source name and qualifiers of classic events that a manifest provider writes.
    classic: Option<(&'static str, u16)>,
}

const KEYWORDS_CLASSIC: u64 = 0x0080_0000_0000_0000;
const KEYWORDS_SYSTEM: u64 = 0x8000_0000_0000_0000;
const KEYWORDS_OPERATIONAL: u64 = 0x4000_0000_0000_0000;
const KEYWORDS_SESSION: u64 = 0x1000_0000_0000_0000;
/// Security channel, audit success.
pub(super) const KEYWORDS_AUDIT_SUCCESS: u64 = 0x8020_0000_0000_0000;
/// Security channel, audit failure.
pub(super) const KEYWORDS_AUDIT_FAILURE: u64 = 0x8010_0000_0000_0000;

/// Severities.
pub(super) const LEVEL_ALWAYS: u8 = 0;
pub(super) const LEVEL_ERROR: u8 = 2;
pub(super) const LEVEL_WARNING: u8 = 3;
const LEVEL_INFORMATION: u8 = 4;

const RDP_CORE_TS_NAME: &str = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS";
const RCM_NAME: &str = "Microsoft-Windows-TerminalServices-RemoteConnectionManager";
const RCM_GUID: &str = "c76baa63-ae81-421c-b425-340b4b24157f";

const fn provider(
    short: &'static str,
    name: &'static str,
    guid: &'static str,
    channel: &'static str,
) -> Provider {
    Provider {
        short,
        name,
        guid,
        channel,
        form: Form::Named,
        keywords: KEYWORDS_SYSTEM,
        level: LEVEL_INFORMATION,
        task: 0,
        classic: None,
    }
}

const fn classic(short: &'static str, name: &'static str, channel: &'static str) -> Provider {
    Provider { form: Form::Classic, keywords: KEYWORDS_CLASSIC, ..provider(short, name, "", channel) }
}

pub(super) const RDP_CORE_TS: Provider = Provider {
    keywords: KEYWORDS_OPERATIONAL,
    task: 4,
    ..provider(
        "rdpcorets",
        RDP_CORE_TS_NAME,
        "1139c61b-b549-4251-8ed3-27250a1edec8",
        "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational",
    )
};
pub(super) const RCM: Provider = Provider {
    form: Form::EventXml,
    keywords: KEYWORDS_SESSION,
    ..provider(
        "rcm",
        RCM_NAME,
        RCM_GUID,
        "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational",
    )
};
pub(super) const RCM_ADMIN: Provider = Provider {
    keywords: KEYWORDS_SYSTEM,
    level: LEVEL_ERROR,
    ..Provider {
        form: Form::EventXml,
        ..provider(
            "rcm-admin",
            RCM_NAME,
            RCM_GUID,
            "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Admin",
        )
    }
};
pub(super) const RCM_SYSTEM: Provider = Provider {
    form: Form::Classic,
    keywords: KEYWORDS_CLASSIC,
    level: LEVEL_ERROR,
    classic: Some(("TermService", 49152)),
    ..provider("rcm-system", RCM_NAME, RCM_GUID, "System")
};
pub(super) const LSM: Provider = Provider {
    form: Form::EventXml,
    keywords: KEYWORDS_SESSION,
    ..provider(
        "lsm",
        "Microsoft-Windows-TerminalServices-LocalSessionManager",
        "5d896912-022d-40aa-a3a8-4fa5515c76d7",
        "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational",
    )
};
pub(super) const RDP_CLIENT: Provider = Provider {
    keywords: KEYWORDS_OPERATIONAL,
    task: 101,
    ..provider(
        "rdpclient",
        "Microsoft-Windows-TerminalServices-ClientActiveXCore",
        "28aa95bb-d444-4719-a36f-40462168127e",
        "Microsoft-Windows-TerminalServices-RDPClient/Operational",
    )
};
pub(super) const SECURITY: Provider = Provider {
    keywords: KEYWORDS_AUDIT_SUCCESS,
    level: LEVEL_ALWAYS,
    ..provider(
        "security",
        "Microsoft-Windows-Security-Auditing",
        "54849625-5478-4994-a5ba-3e3b0328c30d",
        "Security",
    )
};
pub(super) const SCHANNEL: Provider = Provider {
    level: LEVEL_ERROR,
    ..provider("schannel", "Schannel", "1f678132-5938-4686-9fdc-c8ff68f15c85", "System")
};
pub(super) const LSA_SRV: Provider = Provider {
    level: LEVEL_WARNING,
    ..provider("lsasrv", "LsaSrv", "199fe037-2b82-40a9-82ac-e1d46c792b99", "System")
};
pub(super) const KERBEROS: Provider = Provider {
    level: LEVEL_ERROR,
    ..provider(
        "kerberos",
        "Microsoft-Windows-Security-Kerberos",
        "98e6cfcb-ee0a-41e0-a57b-622d4e1b30b1",
        "System",
    )
};
pub(super) const NTLM: Provider = Provider {
    level: LEVEL_WARNING,
    ..provider(
        "ntlm",
        "Microsoft-Windows-NTLM",
        "ac43300d-5fcc-4800-8e99-1bd3f85f0320",
        "Microsoft-Windows-NTLM/Operational",
    )
};
pub(super) const NETLOGON_NTLM: Provider = Provider {
    level: LEVEL_WARNING,
    ..provider(
        "netlogon-ntlm",
        "Microsoft-Windows-Security-Netlogon",
        "e5ba83f6-07d0-46b1-8bc7-7e669a1d31dc",
        "Microsoft-Windows-NTLM/Operational",
    )
};
pub(super) const GATEWAY: Provider = Provider {
    form: Form::EventInfo,
    keywords: KEYWORDS_OPERATIONAL,
    ..provider(
        "gateway",
        "Microsoft-Windows-TerminalServices-Gateway",
        "4d5ae6a1-c7c8-4e6d-b840-4d8080b42e1b",
        "Microsoft-Windows-TerminalServices-Gateway/Operational",
    )
};
pub(super) const BROKER_CLIENT: Provider = Provider {
    form: Form::EventXml,
    keywords: KEYWORDS_OPERATIONAL,
    ..provider(
        "broker-client",
        "Microsoft-Windows-TerminalServices-SessionBroker-Client",
        "2184b5c9-1c83-4304-9c58-a9e76f718993",
        "Microsoft-Windows-TerminalServices-SessionBroker-Client/Operational",
    )
};
pub(super) const BROKER: Provider = Provider {
    form: Form::EventXml,
    keywords: KEYWORDS_OPERATIONAL,
    // The provider's GUID is not known for certain (knowledge/README.md 6): none is written.
    ..provider(
        "broker",
        "Microsoft-Windows-TerminalServices-SessionBroker",
        "",
        "Microsoft-Windows-TerminalServices-SessionBroker/Operational",
    )
};
pub(super) const DNS_CLIENT: Provider = Provider {
    level: LEVEL_WARNING,
    ..provider("dns-client", "Microsoft-Windows-DNS-Client", "1c95126e-7eea-49a9-a3fe-a378b03ddb4d", "System")
};
pub(super) const USER32: Provider =
    Provider { ..provider("user32", "User32", "b0aa8734-56f7-41cc-b2f4-de228e98b946", "System") };
pub(super) const KERNEL_GENERAL: Provider = provider(
    "kernel-general",
    "Microsoft-Windows-Kernel-General",
    "a68ca8b7-004f-d7b6-a698-07e2de0f1f5d",
    "System",
);
pub(super) const TIME_SERVICE: Provider = Provider {
    level: LEVEL_WARNING,
    ..provider(
        "time-service",
        "Microsoft-Windows-Time-Service",
        "06edcfeb-0fd0-4e53-acca-a6f8bbf81bcb",
        "System",
    )
};
pub(super) const WINLOGON: Provider =
    provider("winlogon", "Microsoft-Windows-Winlogon", "dbe9b383-7cf3-4331-91cc-a3cb16a3b538", "Application");
pub(super) const SERVICE_CONTROL: Provider = Provider {
    level: LEVEL_ERROR,
    ..provider("scm", "Service Control Manager", "555908d1-a6d7-4695-8e1e-26931d2012f4", "System")
};
pub(super) const TERM_DD: Provider = Provider { level: LEVEL_ERROR, ..classic("termdd", "TermDD", "System") };
pub(super) const EVENT_LOG: Provider = classic("eventlog", "EventLog", "System");
pub(super) const DWM: Provider = classic("dwm", "Desktop Window Manager", "Application");

/// All of them, for the `event` verb.
pub(super) const ALL: &[&Provider] = &[
    &RDP_CORE_TS,
    &RCM,
    &RCM_ADMIN,
    &RCM_SYSTEM,
    &LSM,
    &RDP_CLIENT,
    &SECURITY,
    &SCHANNEL,
    &LSA_SRV,
    &KERBEROS,
    &NTLM,
    &NETLOGON_NTLM,
    &GATEWAY,
    &BROKER_CLIENT,
    &BROKER,
    &DNS_CLIENT,
    &USER32,
    &KERNEL_GENERAL,
    &TIME_SERVICE,
    &WINLOGON,
    &SERVICE_CONTROL,
    &TERM_DD,
    &EVENT_LOG,
    &DWM,
];

impl Provider {
    /// An event with fields, in this provider's form; time, host and ids come later.
    pub(super) fn event(&self, event_id: u16, fields: &[(&str, Value)]) -> Record {
        let mut record = Record::new(self.name, self.channel, event_id, 0);
        record.provider.guid = Guid::parse(self.guid);
        record.keywords = self.keywords;
        record.level = self.level;
        record.task = self.task;
        if let Some((source, qualifiers)) = self.classic {
            record.provider.event_source = Some(source.to_owned());
            record.qualifiers = Some(qualifiers);
        }
        record.payload =
            self.payload(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect());
        record
    }

    /// A classic event with its strings and raw data.
    pub(super) fn classic_event(&self, event_id: u16, data: &[&str], binary: Option<Vec<u8>>) -> Record {
        let mut record = self.event(event_id, &[]);
        record.qualifiers = record.qualifiers.or(Some(0));
        record.payload =
            Payload::Classic { data: data.iter().map(|text| (*text).to_owned()).collect(), binary };
        record
    }

    fn payload(&self, children: Vec<(String, Value)>) -> Payload {
        let user_data = |element: &str, namespace: &str, children| Payload::UserData {
            element: element.to_owned(),
            namespace: namespace.to_owned(),
            children,
        };
        match self.form {
            Form::Named => Payload::Named(children),
            Form::Classic => Payload::Unnamed(children.into_iter().map(|(_, value)| value).collect()),
            Form::EventXml => user_data("EventXML", "Event_NS", children),
            Form::EventInfo => user_data("EventInfo", "aag", children),
        }
    }
}
