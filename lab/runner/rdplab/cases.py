"""The cases, in the order they are made. Each says what was done, so the list reads as the lab's table of contents."""
from .case import Case, Exit, Frames, Says
from .network import SERVER
from .parts import (
    nothing, odd, one_after_the_other, rdesktop, scripted, shadow, touch_port, verifying_client, weston, xfreerdp, xrdp)

GOOD_PASSWORD, WRONG_PASSWORD = "Correct-horse-1", "Battery-staple-2"
TLS12_ONLY = ("/enforce-tlsv1_2",)


# ---- what an analyser should say ----------------------------------------------------------------------------------

def failed(outcome, at, causes, use=("client.pcap",), **more):
    """A failure that xfreerdp may have tried up to three times (it retries a lost transport)."""
    return {"use": list(use), "failed_attempts": [1, 3], "outcome": list(outcome), "broke_at": list(at), "cause_any_of": list(causes), **more}


def worked(use=("client.pcap",)):
    return {"use": list(use), "failed_attempts": [0, 0], "outcome": ["active"], "broke_at": [None], "cause_any_of": []}


# ---- the server refuses or ends the session on purpose -------------------------------------------------------------

TLS_DONE = Says("server", r"TLS handshake done")


def ended(name, code, label, after, hold, at, causes, done, tls="1.3", nla=False, logged=None):
    """A session that our scripted server ends with an errorInfo code, which a real client must report: by its name, or with
    the words `logged` where xfreerdp 2 does not know the code."""
    account = ("alice", "", GOOD_PASSWORD) if nla else None
    return Case(
        name=name,
        done=f"{'NLA with the right password' if nla else 'TLS security'}, {done}; then Set Error Info 0x{code:08X}, "
             "MCS disconnect provider ultimatum, close",
        cause=f"the server ended the connection with {label} (0x{code:08X}) after {after}",
        server=scripted("--error", hex(code), "--after", after, "--hold", str(hold), tls=tls, account=account),
        client=xfreerdp("/sec:nla" if nla else "/sec:tls"),
        expect=failed(["refused", "broke"], at, causes, keyless={"cause_any_of": []}),
        proof=(
            TLS_DONE,
            Says("server", f"sent Set Error Info 0x{code:08X} after {after}"),
            Says("client", logged or rf"{label} \(0x{code:08X}\)", quote=True),
            Frames("client.pcap", "rdp.pduType2 == 47", least=1, most=1),
            Frames("server.pcap", "rdp.pduType2 == 47", least=1, most=1),
        ),
    )


EARLY = ["client_info", "licensing", "capabilities"]
LATE = ["active", "logon", "capabilities"]
DENIED = "ERRINFO_SERVER_DENIED_CONNECTION"
LICENSED = "licensing answered with STATUS_VALID_CLIENT, no Demand Active"
FINALISED = "capabilities and finalisation done, nothing drawn"
LOGGED_ON = "session active and logon notified, then nothing for"

REFUSED_ON_PURPOSE = [
    ended("denied-0x7", 7, DENIED, "licensing", 0.2, EARLY, ["server-denied-0x7"], LICENSED),
    ended("denied-0x7-after-finalisation", 7, DENIED, "finalisation", 0.5, LATE, ["server-denied-0x7"], FINALISED),
    ended("denied-0x7-tls12", 7, DENIED, "licensing", 0.2, EARLY, ["server-denied-0x7"], f"TLS 1.2 at most, {LICENSED}", tls="1.2"),
    ended("denied-0x7-nla", 7, DENIED, "licensing", 0.2, EARLY, ["server-denied-0x7"], LICENSED, nla=True),
    ended("denied-0x7-nla-tls12", 7, DENIED, "licensing", 0.2, EARLY, ["server-denied-0x7"], f"TLS 1.2 at most, {LICENSED}", tls="1.2", nla=True),
    ended("ended-idle-0x3", 3, "ERRINFO_IDLE_TIMEOUT", "logon", 3, LATE, ["idle-limit"], f"{LOGGED_ON} three seconds"),
    ended("ended-session-limit-0x4", 4, "ERRINFO_LOGON_TIMEOUT", "logon", 2, LATE, ["session-limit"], f"{LOGGED_ON} two seconds"),
    ended("replaced-0x5", 5, "ERRINFO_DISCONNECTED_BY_OTHER_CONNECTION", "logon", 2, LATE, ["replaced"], f"{LOGGED_ON} two seconds"),
    ended("ended-by-admin-0x1", 1, "ERRINFO_RPC_INITIATED_DISCONNECT", "logon", 2, LATE, ["admin-disconnect"], f"{LOGGED_ON} two seconds"),
    ended("ended-shutdown-0x19", 0x19, "ERRINFO_SERVER_SHUTDOWN", "logon", 2, LATE, ["server-shutdown"], f"{LOGGED_ON} two seconds",
          logged="ERRINFO_UNKNOWN 0x00000019"),
    ended("denied-privileges-0x9", 9, "ERRINFO_SERVER_INSUFFICIENT_PRIVILEGES", "finalisation", 1, LATE,
          ["not-in-rdp-users", "logon-right-missing"], FINALISED),
    ended("denied-license-server-0x101", 0x101, "ERRINFO_LICENSE_NO_LICENSE_SERVER", "licensing", 0.2, EARLY,
          ["license-no-server", "license-grace-expired"], LICENSED),
    Case(
        name="license-error-no-license-server",
        done="TLS security, the licensing answer is ERR_NO_LICENSE_SERVER (6) with ST_TOTAL_ABORT, then the server closes",
        cause="the server refused in licensing: no license server",
        server=scripted("--license", "6"),
        client=xfreerdp("/sec:tls"),
        expect=failed(["refused", "broke"], ["licensing"], ["license-no-server", "license-grace-expired"], keyless={
            "broke_at": ["client_info", "licensing", "capabilities"], "cause_any_of": []}),
        proof=(Says("server", "sent license error 0x00000006"), Says("client", "(?i)licen[cs]", quote=True)),
    ),
]

# ---- credentials and certificates -----------------------------------------------------------------------------------

TLS12 = Frames("client.pcap", "tls.handshake.type == 2 && !tls.handshake.extensions.supported_version")
TLS13 = Frames("client.pcap", "tls.handshake.type == 2 && tls.handshake.extensions.supported_version == 0x0304")
NTLM_AUTHENTICATE = Frames("client.pcap", "ntlmssp.messagetype == 3")
# with a wrong password NTLM's message integrity code is what does not fit
PASSWORD_REFUSED = Says("server", r"Message Integrity Check \(MIC\) verification failed", quote=True)
# the font map is the server's last word of the finalisation
ACTIVE = (Says("client", r"Remote framebuffer format"), Frames("client.pcap", f"ip.src == {SERVER} && rdp.pduType2 == 40"), Exit("stopped"))


def wrong_password(name, user="alice", domain="", tls12=False, note=""):
    return Case(
        name=name,
        done=f"NLA with NTLM, the account exists, the client gives another password{note}",
        cause=f"wrong password{', TLS 1.2' if tls12 else ', TLS 1.3'}",
        server=shadow(user, domain, GOOD_PASSWORD),
        client=xfreerdp("/sec:nla", *TLS12_ONLY * tls12, user=user, domain=domain, password=WRONG_PASSWORD),
        # version 2 of FreeRDP's server sends no TSRequest error, so certainty is not to be had
        expect=failed(["refused", "broke"], ["credssp"], ["bad-password", "bad-user"], confidence_max=0.7),
        proof=(TLS12 if tls12 else TLS13, NTLM_AUTHENTICATE, PASSWORD_REFUSED),
    )


def nla_success(name, user="alice", domain="", tls12=False, note=""):
    return Case(
        name=name,
        done=f"NLA with NTLM, the right password{note}",
        cause="none: the client is stopped while the session is active",
        server=shadow(user, domain, GOOD_PASSWORD),
        client=xfreerdp("/sec:nla", *TLS12_ONLY * tls12, user=user, domain=domain, password=GOOD_PASSWORD, stay=3),
        expect=worked(),
        proof=(TLS12 if tls12 else TLS13, NTLM_AUTHENTICATE, *ACTIVE),
    )


def refused_by_status(name, status, label, causes, tls="1.3", password=GOOD_PASSWORD, user="alice", **more):
    """NLA refused with an NTSTATUS in the TSRequest, as Windows does it."""
    wrong = password != GOOD_PASSWORD
    return Case(
        name=name,
        done=f"NLA with NTLM, CredSSP version 6, {'another password than the account has' if wrong else 'the right password'}; "
             f"the server answers with TSRequest.errorCode 0x{status:08X}",
        cause=f"the server refused the credentials with {label}, TLS {tls}",
        server=scripted("--status", "0" if wrong else hex(status), tls=tls, account=(user, "", GOOD_PASSWORD)),
        client=xfreerdp("/sec:nla", user=user, password=password),
        expect=failed(["refused", "broke"], ["credssp"], causes, keyless={"cause_any_of": []}, **more),
        proof=(TLS12 if tls == "1.2" else TLS13, NTLM_AUTHENTICATE, Says("server", "password wrong" if wrong else "password right"),
               Says("server", f"refused with 0x{status:08X}"), Says("client", label, quote=True),
               Frames("client.pcap", "credssp.errorCode")),
    )


def expired_certificate(name, tls):
    alert = (Frames("client.pcap", "tls.alert_message.desc == 45"),)
    return Case(
        name=name,
        done=f"the server's certificate ended on 2024-04-01; the client trusts its CA and verifies during the handshake (TLS {tls})",
        cause="the client refuses the expired certificate with the alert certificate_expired (45)",
        server=xrdp("tls", f"TLSv{tls}", "expired"),
        client=verifying_client(tls),
        expect=failed(["refused", "broke"], ["tls"], ["cert-expired"]),
        proof=(Says("client", "certificate has expired", quote=True), Exit(1), *alert),
    )


CREDENTIALS_AND_CERTIFICATES = [
    wrong_password("nla-wrong-password"),
    wrong_password("nla-wrong-password-tls12", tls12=True),
    refused_by_status("nla-status-wrong-password", 0xC000006D, "LOGON_FAILURE", ["bad-password", "bad-user"], password=WRONG_PASSWORD),
    refused_by_status("nla-status-locked", 0xC0000234, "ACCOUNT_LOCKED_OUT", ["account-locked"], forbid=["bad-password"]),
    refused_by_status("nla-status-password-expired", 0xC0000071, "PASSWORD_EXPIRED", ["password-expired"], tls="1.2", forbid=["bad-password"]),
    refused_by_status("nla-status-logon-type", 0xC000015B, "LOGON_TYPE_NOT_GRANTED",
                      ["network-logon-right", "not-in-rdp-users", "logon-right-missing"], forbid=["bad-password"]),
    Case(
        name="nla-required",
        done="the server takes NLA only, the client offers TLS only (/sec:tls)",
        cause="negotiation failure 5, HYBRID_REQUIRED_BY_SERVER",
        server=shadow(),
        client=xfreerdp("/sec:tls"),
        expect=failed(["refused", "broke"], ["negotiation"], ["hybrid-required"]),
        proof=(Frames("client.pcap", "rdp.negFailure.failureCode == 5"), Says("client", "HYBRID_REQUIRED_BY_SERVER", quote=True)),
    ),
    expired_certificate("cert-expired", "1.2"),
    expired_certificate("cert-expired-tls13", "1.3"),
]

# ---- sessions that work ----------------------------------------------------------------------------------------------

LONG_USER, LONG_DOMAIN = "user-with-a-name-of-forty-characters-012", "domain-with-a-name-of-forty-characters-1"

WORKING = [
    Case(
        name="ok-tls",
        done="TLS security, the server's login window is shown",
        cause="none: the client is stopped while the session is active",
        server=xrdp("tls"),
        client=xfreerdp("/sec:tls", stay=3),
        expect=worked(),
        proof=(TLS13, *ACTIVE),
    ),
    Case(
        name="ok-tls-logoff-0xc",
        done="TLS security, session active and logon notified for two seconds; then Set Error Info 0x0000000C",
        cause="none: the user logged off (ERRINFO_LOGOFF_BY_USER)",
        server=scripted("--error", "0xC", "--after", "logon", "--hold", "2"),
        client=xfreerdp("/sec:tls"),
        expect=worked() | {"outcome": ["active", "closed"]},
        proof=(TLS_DONE, Says("client", r"ERRINFO_LOGOFF_BY_USER \(0x0000000C\)", quote=True)),
    ),
    nla_success("ok-nla"),
    nla_success("ok-nla-tls12", tls12=True),
]

def smaller_link(network):
    network.router_mtu(1000)


WORKING_AGAINST_ODDS = [
    Case(
        name="ok-small-mtu-with-icmp",
        done="the router's link to the client takes 1000 bytes and the router says so (ICMP fragmentation needed): twin of mtu-blackhole",
        cause="none: path MTU discovery works; the client is stopped while the session is active",
        server=xrdp("tls"),
        client=xfreerdp("/sec:tls", stay=3),
        fault=smaller_link,
        expect=worked(use=("client.pcap", "server.pcap")),
        proof=(TLS13, *ACTIVE, Frames("server.pcap", "icmp.type == 3 && icmp.code == 4")),
    ),
    Case(
        name="ok-first-syn-lost",
        done="the router drops the first SYN only: twin of filtered",
        cause="none: the retransmitted SYN gets through; the client is stopped while the session is active",
        server=xrdp("tls"),
        client=xfreerdp("/sec:tls", stay=4),
        fault=lambda network: network.fault("-p", "tcp", "--dport", "3389", "--syn", "-m", "statistic", "--mode", "nth",
                                            "--every", "1000", "--packet", "0", "-j", "DROP"),
        expect=worked(),
        proof=(TLS13, *ACTIVE, Frames("client.pcap", "tcp.flags.syn == 1 && tcp.flags.ack == 0", least=2, most=2)),
    ),
]

NAMES = [
    wrong_password("nla-wrong-password-short-names", "a", "d", note=", user and domain of one character"),
    nla_success("ok-nla-short-names", "a", "d", note=", user and domain of one character"),
    wrong_password("nla-wrong-password-long-names", LONG_USER, LONG_DOMAIN, note=", user and domain of 40 characters"),
    nla_success("ok-nla-long-names", LONG_USER, LONG_DOMAIN, note=", user and domain of 40 characters"),
    wrong_password("nla-wrong-password-long-names-tls12", LONG_USER, LONG_DOMAIN, tls12=True, note=", user and domain of 40 characters"),
]

# ---- block ciphers: sizes of records are those of whole blocks -----------------------------------------------------------

def chosen(number, mac_first):
    """The suite that the server chose, and whether both agreed on a MAC behind the encryption (extension 22)."""
    hello = f"tls.handshake.type == 2 && tls.handshake.ciphersuite == {number:#06x}"
    after = Frames("client.pcap", "tls.handshake.type == 2 && tls.handshake.extension.type == 22", most=0 if mac_first else None, least=not mac_first)
    return Frames("client.pcap", hello), after


AES128_SHA, AES256_SHA = ("AES128-SHA", 0x2F), ("ECDHE-RSA-AES256-SHA", 0xC014)
AES128_SHA256, AES256_SHA384 = ("ECDHE-RSA-AES128-SHA256", 0xC027), ("ECDHE-RSA-AES256-SHA384", 0xC028)
NO_CODE_KNOWN = {"cause_any_of": []}
# behind a desktop the hidden code may also be that of a user who logged off
END_NOT_KNOWN = NO_CODE_KNOWN | {"failed_attempts": [0, 3], "outcome": ["active", "closed", "unknown", "refused", "broke"],
                                 "broke_at": [None, "active", "logon", "capabilities"]}


def with_suite(suite, mac_first=False, tls="1.2"):
    """What xfreerdp is told, for a block cipher, and what its words are for people."""
    weak = ("/tls-seclevel:0",) if tls < "1.2" else TLS12_ONLY
    words = f"TLS {tls}, {suite[0]}, MAC {'before' if mac_first else 'behind'} the encryption"
    return (f"/tls-ciphers:{suite[0]}" + (":@SECLEVEL=0" if tls < "1.2" else ""), *weak), words


def block_ok(name, server, security, suite, mac_first=False, tls="1.2", **account):
    options, words = with_suite(suite, mac_first, tls)
    return Case(
        name=name,
        done=f"{'NLA with NTLM, the right password' if security == 'nla' else 'TLS security, the login window is shown'}; {words}",
        cause="none: the client is stopped while the session is active",
        server=server,
        client=xfreerdp(f"/sec:{security}", *options, stay=3, mac_first=mac_first, **account),
        expect=worked(),
        proof=(*chosen(suite[1], mac_first), *ACTIVE),
    )


def block_ended(name, code, label, after, hold, at, causes, suite, mac_first=False, tls="1.2", nla=False, **account):
    options, words = with_suite(suite, mac_first, tls)
    known = (account.get("user", "alice"), account.get("domain", ""), GOOD_PASSWORD) if nla else None
    suites = f"{suite[0]}:@SECLEVEL=0"
    return Case(
        name=name,
        done=f"{'NLA with the right password' if nla else 'TLS security'}; Set Error Info 0x{code:08X} after {after}, "
             f"MCS disconnect provider ultimatum, close; {words}",
        cause=f"the server ended the connection with {label} (0x{code:08X}) after {after}",
        server=scripted("--error", hex(code), "--after", after, "--hold", str(hold), "--suites", suites, tls=tls, account=known),
        client=xfreerdp("/sec:nla" if nla else "/sec:tls", *options, mac_first=mac_first, **account),
        expect=failed(["refused", "broke"], at, causes, keyless=NO_CODE_KNOWN if after == "licensing" else END_NOT_KNOWN),
        proof=(*chosen(suite[1], mac_first), Says("client", rf"{label} \(0x{code:08X}\)", quote=True),
               Frames("client.pcap", "rdp.pduType2 == 47", least=1, most=1)),
    )


def block_refused(name, status, label, causes, suite, mac_first=False, tls="1.2", user="alice", domain="", wrong=False):
    options, words = with_suite(suite, mac_first, tls)
    suites = f"{suite[0]}:@SECLEVEL=0"
    return Case(
        name=name,
        done=f"NLA with NTLM, CredSSP version 6, {'another password than the account has' if wrong else 'the right password'}; "
             f"the server answers with TSRequest.errorCode 0x{status:08X}; {words}",
        cause=f"the server refused the credentials with {label}",
        server=scripted("--status", "0" if wrong else hex(status), "--suites", suites, tls=tls, account=(user, domain, GOOD_PASSWORD)),
        client=xfreerdp("/sec:nla", *options, user=user, domain=domain, password=WRONG_PASSWORD if wrong else GOOD_PASSWORD, mac_first=mac_first),
        expect=failed(["refused", "broke"], ["credssp"], causes, keyless=NO_CODE_KNOWN),
        proof=(*chosen(suite[1], mac_first), NTLM_AUTHENTICATE, Says("server", f"refused with 0x{status:08X}"),
               Says("client", label, quote=True), Frames("client.pcap", "credssp.errorCode")),
    )


def block_wrong_password(name, suite, mac_first=False, **account):
    options, words = with_suite(suite, mac_first)
    return Case(
        name=name,
        done=f"NLA with NTLM, the account exists, the client gives another password; {words}",
        cause="wrong password; the server closes without an error code",
        server=shadow(account.get("user", "alice"), account.get("domain", ""), GOOD_PASSWORD),
        client=xfreerdp("/sec:nla", *options, password=WRONG_PASSWORD, mac_first=mac_first, **account),
        expect=failed(["refused", "broke"], ["credssp"], ["bad-password", "bad-user"], confidence_max=0.7),
        proof=(*chosen(suite[1], mac_first), NTLM_AUTHENTICATE, PASSWORD_REFUSED),
    )


def license_error(name, suite, mac_first=False):
    options, words = with_suite(suite, mac_first)
    return Case(
        name=name,
        done=f"TLS security, the licensing answer is ERR_NO_LICENSE_SERVER (6) with ST_TOTAL_ABORT, then the server closes; {words}",
        cause="the server refused in licensing: no license server",
        server=scripted("--license", "6", "--suites", f"{suite[0]}:@SECLEVEL=0", tls="1.2"),
        client=xfreerdp("/sec:tls", *options, mac_first=mac_first),
        expect=failed(["refused", "broke"], ["licensing"], ["license-no-server", "license-grace-expired"], keyless={
            "broke_at": ["client_info", "licensing", "capabilities"], "cause_any_of": []}),
        proof=(*chosen(suite[1], mac_first), Says("server", "sent license error 0x00000006"), Says("client", "(?i)licen[cs]", quote=True)),
    )


LONG = {"user": LONG_USER, "domain": LONG_DOMAIN}
OLD = {"suites": "AES128-SHA:@SECLEVEL=0"}

BLOCK_CIPHERS = [
    block_ok("block-ok-tls-sha", xrdp("tls", "TLSv1.2", suites="AES128-SHA"), "tls", AES128_SHA, mac_first=True),
    block_ok("block-ok-tls-sha-etm", xrdp("tls", "TLSv1.2", suites="AES128-SHA"), "tls", AES128_SHA),
    block_ok("block-ok-tls10-sha", xrdp("tls", "TLSv1", **OLD), "tls", AES128_SHA, mac_first=True, tls="1.0"),
    block_ok("block-ok-nla-sha", shadow(), "nla", AES256_SHA, mac_first=True),
    block_ok("block-ok-nla-sha256", shadow(), "nla", AES128_SHA256, mac_first=True),
    block_ok("block-ok-nla-sha384", shadow(), "nla", AES256_SHA384, mac_first=True),
    block_ok("block-ok-nla-sha384-etm", shadow(), "nla", AES256_SHA384),
    block_ok("block-ok-nla-sha256-long-names", shadow(LONG_USER, LONG_DOMAIN), "nla", AES128_SHA256, mac_first=True, **LONG),
    block_wrong_password("block-wrong-password-sha", AES256_SHA, mac_first=True),
    block_wrong_password("block-wrong-password-sha256", AES128_SHA256, mac_first=True),
    block_wrong_password("block-wrong-password-sha384", AES256_SHA384, mac_first=True),
    block_wrong_password("block-wrong-password-sha-etm", AES256_SHA),
    block_wrong_password("block-wrong-password-sha256-long-names", AES128_SHA256, mac_first=True, **LONG),
    block_refused("block-status-wrong-password-sha", 0xC000006D, "LOGON_FAILURE", ["bad-password", "bad-user"], AES128_SHA, mac_first=True, wrong=True),
    block_refused("block-status-locked-sha256", 0xC0000234, "ACCOUNT_LOCKED_OUT", ["account-locked"], AES128_SHA256, mac_first=True),
    block_refused("block-status-locked-sha384-etm", 0xC0000234, "ACCOUNT_LOCKED_OUT", ["account-locked"], AES256_SHA384),
    block_refused("block-status-wrong-password-tls11", 0xC000006D, "LOGON_FAILURE", ["bad-password", "bad-user"], AES128_SHA, mac_first=True,
                  tls="1.1", wrong=True),
    block_ended("block-denied-0x7-sha", 7, DENIED, "licensing", 0.2, EARLY, ["server-denied-0x7"], AES128_SHA, mac_first=True),
    block_ended("block-denied-0x7-nla-sha384", 7, DENIED, "licensing", 0.2, EARLY, ["server-denied-0x7"], AES256_SHA384, mac_first=True, nla=True),
    block_ended("block-denied-0x7-nla-tls10", 7, DENIED, "licensing", 0.2, EARLY, ["server-denied-0x7"], AES128_SHA, mac_first=True, tls="1.0", nla=True),
    block_ended("block-denied-0x7-finalisation-sha256", 7, DENIED, "finalisation", 0.5, LATE, ["server-denied-0x7"], AES128_SHA256, mac_first=True),
    block_ended("block-idle-0x3-sha256", 3, "ERRINFO_IDLE_TIMEOUT", "logon", 3, LATE, ["idle-limit"], AES128_SHA256, mac_first=True),
    block_ended("block-idle-0x3-nla-sha-etm", 3, "ERRINFO_IDLE_TIMEOUT", "logon", 3, LATE, ["idle-limit"], AES256_SHA, nla=True),
    license_error("block-license-error-sha", AES128_SHA, mac_first=True),
    license_error("block-license-error-sha384-etm", AES256_SHA384),
]

# ---- the network, the port and the path -------------------------------------------------------------------------------

NO_ANSWER = Says("client", r"ERRCONNECT_CONNECT_FAILED|failed to connect", quote=True)
NEVER_ARRIVED = Frames("server.pcap", "tcp.port == 3389", least=0, most=0)
RESET_FROM_SERVER = Frames("client.pcap", f"ip.src == {SERVER} && tcp.flags.reset == 1")


def drop(*match):
    """A router rule that drops without a word."""
    return lambda network: network.fault(*match, "-j", "DROP")


def reset(*match, ttl=64):
    """A router rule that answers with a reset in the other end's name. The router's own TTL tells it from the server,
    whose packets arrive with 63, unless `ttl` hides that."""
    def rule(network):
        network.router_ttl(ttl)
        network.fault("-p", "tcp", *match, "-j", "REJECT", "--reject-with", "tcp-reset")
    return rule


PATH = [
    Case(
        name="closed-port",
        done="nothing listens on the port, the server's kernel answers SYN with RST",
        cause="connection refused by the server's own host",
        server=nothing(),
        client=xfreerdp("/sec:tls"),
        expect=failed(["refused", "broke"], ["tcp"], ["tcp-refused", "listener-down"]),
        proof=(RESET_FROM_SERVER, Frames("server.pcap", "tcp.flags.reset == 1")),
    ),
    Case(
        name="filtered",
        done="the router drops every packet to port 3389; a server listens behind it",
        cause="firewall silently drops SYN",
        server=xrdp("tls"),
        client=xfreerdp("/sec:tls"),
        fault=drop("-p", "tcp", "--dport", "3389"),
        expect=failed(["broke"], ["tcp"], ["tcp-filtered"]),
        proof=(NEVER_ARRIVED, Frames("client.pcap", "tcp.dstport == 3389 && tcp.flags.syn == 1", least=2)),
    ),
    Case(
        name="reject-tcp-rst-by-router",
        done="the router answers SYN to port 3389 with RST (TTL 64); port 445 of the same server answers itself just before (TTL 63)",
        cause="a firewall on the path refuses the port with a reset; the server never sees the connection",
        server=xrdp("tls"),
        beside=(odd("accept", 445),),
        client=touch_port(445, xfreerdp("/sec:tls")),
        fault=reset("--dport", "3389"),
        # from the client's capture alone the closed port is a fair answer
        expect=failed(["refused", "broke"], ["tcp"], ["tcp-refused", "listener-down", "middlebox-rst", "geo-ips-block"]),
        proof=(NEVER_ARRIVED, RESET_FROM_SERVER, Frames("client.pcap", "tcp.srcport == 3389 && ip.ttl == 64"),
               Frames("client.pcap", "tcp.srcport == 445 && ip.ttl == 63")),
    ),
    Case(
        name="silent-listener",
        done="the port accepts, the connection request is acknowledged and never answered; the user gives up after 15 seconds",
        cause="a listener that hangs",
        server=odd("silent"),
        client=xfreerdp("/sec:tls", stay=15),
        expect=failed(["broke"], ["negotiation"], ["listener-hang"]),
        proof=(Frames("client.pcap", f"ip.src == {SERVER} && tcp.len > 0", least=0, most=0), Frames("server.pcap", "rdp.neg_type == 1")),
    ),
    Case(
        name="fin-after-cr",
        done="the server closes (FIN) when the connection request has come",
        cause="a server that closes instead of answering the negotiation",
        server=odd("fin-after-cr"),
        client=xfreerdp("/sec:tls"),
        expect=failed(["broke", "refused"], ["negotiation"], ["server-rst-after-cr", "listener-hang"]),
        proof=(Frames("client.pcap", f"ip.src == {SERVER} && tcp.flags.fin == 1"),
               Frames("client.pcap", f"ip.src == {SERVER} && tcp.len > 0", least=0, most=0)),
    ),
    Case(
        name="rst-after-clienthello-same-ttl",
        done="the router answers the ClientHello with RST to the client alone, with the TTL of the server's packets (63)",
        cause="middlebox reset on the ClientHello, disguised as the server",
        server=xrdp("tls"),
        client=xfreerdp("/sec:tls"),
        fault=reset("--dport", "3389", "-m", "string", "--algo", "bm", "--hex-string", "|160301|", "--from", "40", "--to", "60", ttl=63),
        # the client's capture alone cannot tell; the server's shows neither the ClientHello nor a reset
        expect=failed(["broke", "refused"], ["tls"], ["middlebox-rst", "geo-ips-block", "middlebox-rst-after-cr"],
                      use=("client.pcap", "server.pcap")),
        proof=(Frames("client.pcap", f"ip.src == {SERVER} && tcp.flags.reset == 1 && ip.ttl == 63"),
               Frames("client.pcap", "tcp.srcport == 3389 && ip.ttl != 63", least=0, most=0),
               Frames("server.pcap", f"ip.src == {SERVER} && tcp.flags.reset == 1", least=0, most=0),
               Frames("server.pcap", "tls.handshake.type == 1", least=0, most=0)),
    ),
    Case(
        name="mtu-blackhole",
        done="the router drops packets of more than 1000 bytes from the server, without ICMP; the user gives up after 20 seconds",
        cause="packets above a size vanish: the server's TLS flight never arrives",
        server=xrdp("tls"),
        client=xfreerdp("/sec:tls", stay=20),
        fault=drop("-s", SERVER, "-m", "length", "--length", "1001:65535"),
        expect=failed(["broke"], ["tls"], ["mtu-blackhole"], use=("client.pcap", "server.pcap")),
        proof=(Frames("client.pcap", f"ip.src == {SERVER} && ip.len > 1000", least=0, most=0),
               Frames("server.pcap", f"ip.src == {SERVER} && ip.len > 1000", least=2)),
    ),
    Case(
        name="path-lost",
        done="after 6000 bytes of the connection the router drops everything in both directions",
        cause="the path is lost while the session is being set up; no FIN, no RST, no ICMP",
        server=xrdp("tls"),
        client=xfreerdp("/sec:tls", stay=12),
        fault=drop("-p", "tcp", "-m", "connbytes", "--connbytes", "6000:", "--connbytes-dir", "both", "--connbytes-mode", "bytes"),
        expect=failed(["broke"], ["mcs", "client_info", "licensing", "capabilities", "active"], ["path-lost", "vpn-drop"]),
        proof=(Frames("client.pcap", "tcp.analysis.retransmission && ip.src == 198.51.100.10"),
               Frames("client.pcap", f"ip.src == {SERVER} && (tcp.flags.reset == 1 || tcp.flags.fin == 1)", least=0, most=0)),
    ),
    Case(
        name="ssh-on-3389",
        done="the port greets with an SSH banner (our own listener, no sshd)",
        cause="another service on the RDP port",
        server=odd("ssh"),
        client=xfreerdp("/sec:tls"),
        expect=failed(["broke", "refused"], ["negotiation"], ["port-exotic-nonrdp"]),
        proof=(Frames("client.pcap", f"ip.src == {SERVER} && tcp.payload contains \"SSH-2.0\""),),
    ),
    Case(
        name="server-tls-alert-internal-error",
        done="the server selects TLS and answers the ClientHello with the fatal alert internal_error (80)",
        cause="the server's TLS fails before its ServerHello; the alert does not say why",
        server=odd("alert-80"),
        client=xfreerdp("/sec:tls"),
        expect=failed(["refused", "broke"], ["tls"], []),
        proof=(Frames("client.pcap", "tls.alert_message.desc == 80"), Frames("client.pcap", "tls.handshake.type == 1")),
    ),
    Case(
        name="one-sided-wrong-password",
        done="NLA with a wrong password; the client's capture holds only what the client sent",
        cause="wrong password, but one direction of the capture is missing (asymmetric path or mirror port)",
        server=shadow(),
        client=xfreerdp("/sec:nla", password=WRONG_PASSWORD),
        client_capture=("src", "host", "198.51.100.10"),
        # half a conversation cannot say that the server refused; it must not become a success
        expect={"use": ["client.pcap"], "failed_attempts": [0, 3], "outcome": ["unknown", "broke", "refused", "closed"],
                "broke_at": ["tcp", "negotiation", "tls", "credssp", "mcs", None], "cause_any_of": []},
        proof=(PASSWORD_REFUSED, Frames("client.pcap", f"ip.src == {SERVER}", least=0, most=0), Frames("client.pcap", "tls.handshake.type == 1")),
    ),
    Case(
        name="wrong-password-snaplen-96",
        done="NLA with a wrong password; the client's capture keeps 96 bytes of each packet",
        cause="wrong password, but the capture cuts the packets",
        server=shadow(),
        client=xfreerdp("/sec:nla", password=WRONG_PASSWORD),
        client_capture=("-s", "96"),
        # the lengths in the IP headers still show a short refusal, nothing shows what was said
        expect={"use": ["client.pcap"], "failed_attempts": [0, 3], "outcome": ["unknown", "broke", "refused", "closed"],
                "broke_at": ["tls", "credssp", "mcs", None], "cause_any_of": []},
        proof=(PASSWORD_REFUSED, Frames("client.pcap", "frame.cap_len > 96", least=0, most=0),
               Frames("client.pcap", "frame.len > 400 && frame.cap_len == 96")),
    ),
    Case(
        name="wrong-then-right-password",
        done="NLA: one attempt with a wrong password, then one with the right one, in one capture",
        cause="a mistyped password; the second attempt works",
        server=shadow(),
        client=one_after_the_other(
            xfreerdp("/sec:nla", password=WRONG_PASSWORD), xfreerdp("/sec:nla", password=GOOD_PASSWORD, stay=3)),
        expect=failed(["refused", "broke"], ["credssp"], ["bad-password", "bad-user"], confidence_max=0.7),
        proof=(PASSWORD_REFUSED, *ACTIVE),
    ),
    Case(
        name="middlebox-rst-mid-session",
        done="the session is active; after 13000 bytes the router answers the client's packets with RST (TTL 64, the server's have 63)",
        cause="a middlebox resets the active session towards the client; the server is not told",
        server=xrdp("tls"),
        client=xfreerdp("/sec:tls", stay=12),
        fault=reset("--dport", "3389", "-m", "connbytes", "--connbytes", "13000:", "--connbytes-dir", "both", "--connbytes-mode", "bytes"),
        expect=failed(["broke"], ["active"], ["middlebox-rst"]),
        proof=(ACTIVE[0], ACTIVE[1], Frames("client.pcap", f"ip.src == {SERVER} && tcp.flags.reset == 1 && ip.ttl == 64"),
               Frames("server.pcap", "tcp.flags.reset == 1", least=0, most=0)),
    ),
]

# ---- other clients and servers -------------------------------------------------------------------------------------

NO_TICKET = "Failed to initialize NLA, do you have correct Kerberos TGT initialized"
OTHER_PROGRAMS = [
    Case(
        name="ok-rdesktop-tls",
        done="rdesktop with TLS security, the server's login window is shown",
        cause="none: the client is stopped while the session is active",
        server=xrdp("tls"),
        client=rdesktop(stay=4),
        expect=worked(),
        proof=(Says("client", "Connection established using SSL"), Exit("stopped"),
               Frames("client.pcap", f"ip.src == {SERVER} && rdp.pduType2 == 40")),
    ),
    Case(
        name="ok-rdesktop-rdp-security",
        done="rdesktop with Standard RDP Security, the server's login window is shown",
        cause="none: the client is stopped while the session is active",
        server=xrdp("rdp"),
        client=rdesktop(stay=4),
        expect=worked(),
        proof=(Says("client", "Connection established using plain RDP"), Exit("stopped"),
               Frames("client.pcap", f"ip.src == {SERVER} && tcp.len > 0", least=20)),
    ),
    Case(
        name="ok-weston",
        done="TLS security, the compositor's desktop is shown",
        cause="none: the client is stopped while the session is active",
        server=weston(),
        client=xfreerdp("/sec:tls", "/size:200x160", stay=2),
        expect=worked(),
        proof=ACTIVE,
    ),
    Case(
        name="rdesktop-without-ticket",
        done="NLA is required; the client knows Kerberos only and has no ticket: it leaves behind the TLS handshake and asks again without NLA",
        cause="the client cannot begin NLA: no Kerberos ticket, and it knows no NTLM",
        server=shadow(),
        client=rdesktop(),
        # no single cause can be told from the packets; the certificate was accepted, and no password was ever checked
        expect=failed(["broke", "refused"], ["credssp", "negotiation"], [], forbid=["cert-untrusted", "bad-password"]),
        proof=(Says("client", NO_TICKET, quote=True), Says("client", "CredSSP required by server"),
               Frames("client.pcap", "tcp.payload[11:8] == 03:00:08:00:05:00:00:00")),
    ),
    Case(
        name="rdesktop-mcs-refused",
        done="TLS security; the server takes the client's Erect Domain Request for too long and closes",
        cause="the server cannot read a PDU of the client: two programs that do not agree",
        server=shadow(security="tls"),
        client=rdesktop(stay=3),
        expect=failed(["broke", "refused"], ["mcs"], [], forbid=["cert-untrusted", "path-lost", "middlebox-rst"]),
        proof=(Says("server", "mcs_recv_erect_domain_request", quote=True),),
    ),
]

CASES = {case.name: case for case in (
    *REFUSED_ON_PURPOSE, *CREDENTIALS_AND_CERTIFICATES, *WORKING, *WORKING_AGAINST_ODDS, *NAMES, *BLOCK_CIPHERS, *PATH, *OTHER_PROGRAMS)}
