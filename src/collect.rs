//! What to collect, and how: a PowerShell script for each kind of computer that writes evidence. The channels named here
//! are channels that `events` reads, which a test holds.

use std::fmt::Write as _;

/// Kind of computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where the user sits.
    Client,
    /// The host that is connected to.
    Server,
    /// The RD Gateway.
    Gateway,
    /// The connection broker.
    Broker,
}

/// Every place, in the order of the connection.
pub const PLACES: [Place; 4] = [Place::Client, Place::Gateway, Place::Broker, Place::Server];

struct Script {
    name: &'static str,
    /// Channels that write without being told.
    channels: &'static [&'static str],
    /// Channels that write only when they are switched on.
    switched_on: &'static [&'static str],
    /// Subcategories of the audit policy, by GUID, because their names are translated.
    audit: &'static [(&'static str, &'static str)],
    /// Commands whose output is kept, each with the file that it goes to.
    state: &'static [(&'static str, &'static str)],
}

const LOGON: (&str, &str) = ("{0CCE9215-69AE-11D9-BED3-505054503030}", "Logon");
const CREDENTIALS: (&str, &str) = ("{0CCE923F-69AE-11D9-BED3-505054503030}", "Credential Validation");
const LOCKOUT: (&str, &str) = ("{0CCE9217-69AE-11D9-BED3-505054503030}", "Account Lockout");
const PACKETS: (&str, &str) = ("{0CCE9226-69AE-11D9-BED3-505054503030}", "Filtering Platform Connection");
const TERMINAL_SERVER: &str = r"'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server'";

const CLIENT: Script = Script {
    name: "client",
    channels: &["Microsoft-Windows-TerminalServices-RDPClient/Operational", "System", "Application"],
    switched_on: &["Microsoft-Windows-CAPI2/Operational", "Microsoft-Windows-NTLM/Operational"],
    audit: &[],
    state: &[
        ("Get-NetIPConfiguration -Detailed", "network.txt"),
        ("w32tm /query /status", "clock.txt"),
        ("cmdkey /list", "stored-credentials.txt"),
    ],
};

const SERVER: Script = Script {
    name: "server",
    channels: &[
        "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational",
        "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Admin",
        "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational",
        "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Admin",
        "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational",
        "Microsoft-Windows-TerminalServices-LocalSessionManager/Admin",
        "Microsoft-Windows-TerminalServices-SessionBroker-Client/Operational",
        "System",
        "Application",
        "Security",
    ],
    switched_on: &["Microsoft-Windows-CAPI2/Operational", "Microsoft-Windows-NTLM/Operational"],
    audit: &[LOGON, CREDENTIALS, PACKETS],
    state: &[
        ("Get-ItemProperty SERVER,'SERVER\\WinStations\\RDP-Tcp' | Format-List", "terminal-server.txt"),
        ("(Get-Item $env:windir\\System32\\termsrv.dll).VersionInfo | Format-List", "termsrv.txt"),
        ("Get-NetTCPConnection -LocalPort 3389 -ErrorAction SilentlyContinue", "listener.txt"),
        ("Get-ChildItem 'Cert:\\LocalMachine\\Remote Desktop' | Format-List *", "certificate.txt"),
        ("qwinsta", "sessions.txt"),
        ("w32tm /query /status", "clock.txt"),
    ],
};

const GATEWAY: Script = Script {
    name: "gateway",
    channels: &[
        "Microsoft-Windows-TerminalServices-Gateway/Operational",
        "Microsoft-Windows-TerminalServices-Gateway/Admin",
        "System",
        "Security",
    ],
    switched_on: &[],
    audit: &[LOGON, CREDENTIALS],
    state: &[
        (
            "Get-ChildItem $env:SystemDrive\\inetpub\\logs\\LogFiles -Recurse | Select-Object FullName, Length",
            "iis-logs.txt",
        ),
        ("w32tm /query /status", "clock.txt"),
    ],
};

const BROKER: Script = Script {
    name: "broker",
    channels: &[
        "Microsoft-Windows-TerminalServices-SessionBroker/Operational",
        "Microsoft-Windows-TerminalServices-SessionBroker/Admin",
        "System",
        "Security",
    ],
    switched_on: &[],
    audit: &[LOGON, CREDENTIALS, LOCKOUT],
    state: &[("w32tm /query /status", "clock.txt")],
};

impl Place {
    fn script(self) -> &'static Script {
        match self {
            Self::Client => &CLIENT,
            Self::Server => &SERVER,
            Self::Gateway => &GATEWAY,
            Self::Broker => &BROKER,
        }
    }

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.script().name
    }

    /// The script: to be run twice as an administrator, with `-Prepare` before the failing connection is tried again,
    /// and without anything afterwards.
    #[must_use]
    pub fn powershell(self) -> String {
        let script = self.script();
        let mut out = head(script);
        prepare(&mut out, script);
        gather(&mut out, script);
        out
    }
}

fn head(script: &Script) -> String {
    format!(
        "# Evidence of a failed Remote Desktop connection, from the {name}. As an administrator, in this order:\n\
         #   .\\{name}.ps1 -Prepare      switches on what is off by default, and starts a capture\n\
         #   try the connection again, and note the time and the numbers of the error box\n\
         #   .\\{name}.ps1               stops the capture, copies logs and settings into one folder, switches off again\n\
         # Nothing is sent anywhere. The folder names users, hosts and addresses: look through it before you hand it on.\n\
         param([switch]$Prepare)\n\
         $ErrorActionPreference = 'Continue'\n\
         $state = Join-Path $env:ProgramData 'rdpwhy'\n\
         $trace = Join-Path $state 'capture.etl'\n\
         $was = Join-Path $state 'audit-before.csv'\n\
         $on = Join-Path $state 'logs-switched-on.txt'\n",
        name = script.name
    )
}

fn prepare(out: &mut String, script: &Script) {
    out.push_str("if ($Prepare) {\n    New-Item -ItemType Directory -Force -Path $state | Out-Null\n");
    for channel in script.switched_on {
        let _ = writeln!(
            out,
            "    if (-not (Get-WinEvent -ListLog '{channel}').IsEnabled) {{ wevtutil sl '{channel}' /e:true /q:true; \
             Add-Content $on '{channel}' }}"
        );
    }
    if !script.audit.is_empty() {
        out.push_str("    if (-not (Test-Path $was)) { auditpol /backup /file:$was }\n");
    }
    for (guid, name) in script.audit {
        let _ = writeln!(
            out,
            "    auditpol /set /subcategory:\"{guid}\" /success:enable /failure:enable   # {name}"
        );
    }
    out.push_str(
        "    # Windows 10 2004, Server 2022 and newer. On older ones capture with dumpcap or Wireshark instead.\n    \
         pktmon stop | Out-Null\n    \
         pktmon start --capture --comp nics --pkt-size 0 --file-size 1024 --file-name $trace\n    \
         return\n}\n",
    );
}

fn gather(out: &mut String, script: &Script) {
    let _ = writeln!(
        out,
        "$folder = Join-Path (Get-Location) ('rdpwhy-{}-' + $env:COMPUTERNAME + '-' + (Get-Date -Format 'yyyyMMdd-HHmmss'))",
        script.name
    );
    out.push_str(
        "New-Item -ItemType Directory -Path $folder | Out-Null\n\
         if (Test-Path $trace) {\n    \
         pktmon stop | Out-Null\n    \
         pktmon etl2pcap $trace --out (Join-Path $folder 'capture.pcapng')\n    \
         Remove-Item $trace\n}\n",
    );
    for channel in script.channels.iter().chain(script.switched_on) {
        let file = channel.replace('/', "%4");
        let _ = writeln!(out, "wevtutil epl '{channel}' (Join-Path $folder '{file}.evtx')");
    }
    for (command, file) in script.state {
        let command = command
            .replace(
                "'SERVER\\WinStations\\RDP-Tcp'",
                &TERMINAL_SERVER.replace("Server'", "Server\\WinStations\\RDP-Tcp'"),
            )
            .replace("SERVER", TERMINAL_SERVER);
        let _ = writeln!(out, "{command} *> (Join-Path $folder '{file}')");
    }
    if !script.switched_on.is_empty() {
        out.push_str(
            "if (Test-Path $on) { Get-Content $on | ForEach-Object { wevtutil sl $_ /e:false /q:true }; Remove-Item $on }\n",
        );
    }
    if !script.audit.is_empty() {
        out.push_str("if (Test-Path $was) { auditpol /restore /file:$was; Remove-Item $was }\n");
    }
    out.push_str("\"Hand over the folder $folder, then: rdpwhy $folder\"\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events;

    #[test]
    fn every_channel_that_is_collected_is_read() {
        for place in PLACES {
            let script = place.script();
            for channel in script.channels.iter().chain(script.switched_on) {
                let reads = events::channels().any(|start| channel.starts_with(start));
                assert!(reads, "{channel} of the {} is collected and not read", script.name);
            }
        }
    }

    #[test]
    fn every_script_prepares_collects_and_puts_back() {
        for place in PLACES {
            let text = place.powershell();
            let count = |what: &str| text.matches(what).count();
            assert_eq!(count("{"), count("}"), "{text}");
            assert_eq!(count("("), count(")"), "{text}");
            assert_eq!(count("/e:true"), place.script().switched_on.len());
            assert_eq!(count("/e:false"), usize::from(count("/e:true") > 0));
            assert_eq!(count("auditpol /backup"), count("auditpol /restore"));
            assert!(text.is_ascii() && count("pktmon start") == 1 && count("etl2pcap") == 1, "{text}");
            assert!(!text.contains("SERVER,"), "{text}");
        }
        let server = Place::Server.powershell();
        assert!(server.contains(
            r"Get-ItemProperty 'HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server','HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server\WinStations\RDP-Tcp' | Format-List"
        ), "{server}");
    }
}
