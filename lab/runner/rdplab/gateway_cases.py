"""The cases with an RD Gateway between client and host. `client.pcap` shows the client's connections to the gateway, `server.pcap` the
one from the gateway to the host, whose TLS is that of client and host."""
from .case import Case, Exit, Frames, Says
from .cases import DENIED, EARLY, GOOD_PASSWORD, PASSWORD_REFUSED, WRONG_PASSWORD, failed, worked
from .network import SERVER
from .parts import gateway, nothing, scripted, shadow, surfing, through_gateway, web, xrdp

HTTP, WEBSOCKET = "http,no-websockets", "http"
RIGHT_AT_GATEWAY = Says("server", "gateway password right")
# the font map is the host's last word of the finalisation
ACTIVE = (Says("client", r"Remote framebuffer format"), Frames("server.pcap", f"ip.src == {SERVER} && rdp.pduType2 == 40"), Exit("stopped"))
NOT_TOLD = {"failed_attempts": [0, 0], "outcome": ["unknown", "closed", "none"], "broke_at": [None], "cause_any_of": []}
CAP_DENIED, RAP_DENIED, TARGET_UNREACHABLE = 0x800759DB, 0x800759DA, 0x000059DD


def carried(transport):
    """What is proved of the transport: two connections with the methods of the specification, each authenticated, or one that
    becomes a WebSocket."""
    if transport == WEBSOCKET:
        return Says("server", "RDG_OUT_DATA from .* for a WebSocket"), Frames("client.pcap", "http.response.code == 101")
    return (Says("server", r"RDG_OUT_DATA from \S+\n"), Says("server", "RDG_IN_DATA from"),
            Frames("client.pcap", "tls.handshake.type == 1 && tcp.dstport == 443", least=2), Frames("client.pcap", "http.response.code == 401", least=2))


def words(transport, tls="1.3", more=""):
    kind = "one connection that becomes a WebSocket" if transport == WEBSOCKET else "two connections (HTTP transport)"
    return f"through an RD Gateway, {kind}, TLS {tls} to it{more}"


def good(name, host, security, transport=HTTP, settings=(), tls="1.3", more="", options=(), stay=4):
    return Case(
        name=name,
        done=f"{'NLA with NTLM, the right password' if security == 'nla' else 'TLS security, the login window is shown'}, {words(transport, tls, more)}",
        cause="none: the client is stopped while the session is active",
        server=host,
        beside=(gateway(*settings, tls=tls),),
        client=through_gateway(f"/sec:{security}", *options, transport=transport, stay=stay),
        expect=worked(),
        proof=(RIGHT_AT_GATEWAY, *carried(transport), *ACTIVE),
    )


def wrong_password(name, transport, settings=(), tls="1.3", more=""):
    return Case(
        name=name,
        done=f"NLA with NTLM, another password than the account at the host has, {words(transport, tls, more)}",
        cause="wrong password at the host behind the gateway",
        server=shadow(),
        beside=(gateway(*settings, tls=tls),),
        client=through_gateway("/sec:nla", transport=transport, password=WRONG_PASSWORD),
        expect=failed(["refused", "broke"], ["credssp"], ["bad-password", "bad-user"], confidence_max=0.7),
        proof=(RIGHT_AT_GATEWAY, *carried(transport), PASSWORD_REFUSED),
    )


def refused(name, step, code, label, causes, at, transport=HTTP, tls="1.3", settings=(), options=(), more=""):
    """The gateway refuses with a code of MS-TSGU 2.2.6, in its answer about this step of the tunnel."""
    return Case(
        name=name,
        done=f"the gateway refuses the {step} with 0x{code:08X}, {words(transport, tls, more)}",
        cause=f"the gateway refused with {label}",
        server=nothing(),
        beside=(gateway("--refuse", f"{step}={code:#x}", *settings, tls=tls),),
        client=through_gateway("/sec:nla", *options, transport=transport),
        expect=failed(["refused", "broke"], [at], causes, keyless={"cause_any_of": []}),
        proof=(RIGHT_AT_GATEWAY, *carried(transport), Says("server", f"refused {step} with 0x{code:08X}")),
    )


def turned_away(name, status, causes, transport, password=GOOD_PASSWORD):
    """The gateway's web server refuses: nothing is seen of it without secrets but HTTPS."""
    why = "the user gives another password for the gateway; 401 again" if status == 401 else f"the web server answers {status}"
    return Case(
        name=name,
        done=f"{why}, {words(transport)}",
        cause=f"the gateway's web server answers {status}",
        server=nothing(),
        beside=(gateway(*([] if status == 401 else ["--status", str(status)])),),
        client=through_gateway("/sec:nla", transport=transport, gateway_password=password),
        expect=failed(["refused", "broke"], ["gateway_transport"], causes, keyless=NOT_TOLD),
        proof=(Says("server", "gateway password wrong" if status == 401 else f"answered {status}"), Frames("client.pcap", f"http.response.code == {status}")),
    )


def unreachable(name, transport):
    return Case(
        name=name,
        done=f"nothing listens at the host, so the gateway refuses the channel with 0x{TARGET_UNREACHABLE:08X}, {words(transport)}",
        cause="the gateway does not reach the host: its connection is refused",
        server=nothing(),
        beside=(gateway(),),
        client=through_gateway("/sec:nla", transport=transport),
        expect=failed(["refused", "broke"], ["gateway_channel"], ["gw-target-unreachable"], keyless={"cause_any_of": []}),
        proof=(RIGHT_AT_GATEWAY, *carried(transport), Says("server", "host not reached: Connection refused"),
               Frames("server.pcap", f"ip.src == {SERVER} && tcp.flags.reset == 1")),
    )


def denied(name, transport):
    return Case(
        name=name,
        done=f"the host sends Set Error Info 0x00000007 after licensing, {words(transport)}",
        cause=f"the host ended the connection with {DENIED}",
        server=scripted("--error", "0x7", "--after", "licensing"),
        beside=(gateway(),),
        client=through_gateway("/sec:tls", transport=transport),
        expect=failed(["refused", "broke"], EARLY, ["server-denied-0x7"], keyless={"cause_any_of": []}),
        proof=(RIGHT_AT_GATEWAY, *carried(transport), Says("client", rf"{DENIED} \(0x00000007\)", quote=True),
               Frames("server.pcap", "rdp.pduType2 == 47", least=1, most=1)),
    )


def other_https(name, tls):
    return Case(
        name=name,
        done=f"pages, uploads in chunks and a stream of short messages at once, TLS {tls}: HTTPS that is no gateway's",
        cause="none: there is no RDP in it",
        server=nothing(),
        beside=(web(tls),),
        client=surfing(),
        expect=worked() | {"outcome": ["none"]},
        proof=(Exit(0), Frames("client.pcap", "tls.handshake.type == 1 && tcp.dstport == 443", least=4)),
    )


GCM, CHACHA = ("--suites", "ECDHE-RSA-AES256-GCM-SHA384"), ("--suites", "ECDHE-RSA-CHACHA20-POLY1305")
LONG_NAME = ("/client-hostname:A-COMPUTER-WITH-30-CHARACTERS1",)

CASES = {case.name: case for case in (
    good("gateway-http-ok-tls", xrdp("tls"), "tls"),
    good("gateway-http-ok-nla", shadow(), "nla"),
    good("gateway-http-ok-nla-tls12", shadow(), "nla", settings=GCM, tls="1.2", more=", AES-GCM"),
    good("gateway-http-ok-tls-chacha20", xrdp("tls", tls="TLSv1.2"), "tls", settings=CHACHA, tls="1.2", more=", ChaCha20; TLS 1.2 to the host",
         options=LONG_NAME),
    good("gateway-http-ok-nla-chunked", shadow(), "nla", settings=("--chunked", "--keep-alive", "1"), more=", which answers in chunks and sends keep-alives",
         options=LONG_NAME, stay=5),
    good("gateway-ws-ok-tls", xrdp("tls"), "tls", WEBSOCKET),
    good("gateway-ws-ok-nla", shadow(), "nla", WEBSOCKET),
    wrong_password("gateway-http-wrong-password", HTTP),
    wrong_password("gateway-http-wrong-password-tls12", HTTP, GCM, "1.2", ", AES-GCM"),
    wrong_password("gateway-ws-wrong-password", WEBSOCKET),
    denied("gateway-http-denied-0x7", HTTP),
    turned_away("gateway-http-401", 401, ["gw-auth-failed"], HTTP, WRONG_PASSWORD),
    turned_away("gateway-http-403", 403, ["gw-forbidden"], HTTP),
    turned_away("gateway-ws-401", 401, ["gw-auth-failed"], WEBSOCKET, WRONG_PASSWORD),
    refused("gateway-http-tunnel-refused", "tunnel", CAP_DENIED, "E_PROXY_NAP_ACCESSDENIED", ["gw-cap-denied"], "gateway_tunnel"),
    refused("gateway-http-cap-denied", "authorization", CAP_DENIED, "E_PROXY_NAP_ACCESSDENIED", ["gw-cap-denied"], "gateway_tunnel"),
    refused("gateway-http-cap-denied-tls12-chunked", "authorization", CAP_DENIED, "E_PROXY_NAP_ACCESSDENIED", ["gw-cap-denied"], "gateway_tunnel",
            tls="1.2", settings=(*CHACHA, "--chunked"), options=LONG_NAME, more=", ChaCha20, answers in chunks"),
    refused("gateway-ws-cap-denied", "authorization", CAP_DENIED, "E_PROXY_NAP_ACCESSDENIED", ["gw-cap-denied"], "gateway_tunnel", WEBSOCKET),
    refused("gateway-http-rap-denied", "channel", RAP_DENIED, "E_PROXY_RAP_ACCESSDENIED", ["gw-rap-denied"], "gateway_channel"),
    refused("gateway-ws-rap-denied", "channel", RAP_DENIED, "E_PROXY_RAP_ACCESSDENIED", ["gw-rap-denied"], "gateway_channel", WEBSOCKET),
    unreachable("gateway-http-target-unreachable", HTTP),
    other_https("other-https", "1.3"),
    other_https("other-https-tls12", "1.2"),
)}
