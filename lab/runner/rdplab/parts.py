"""The servers and clients a case is put together from.

Each function here takes settings and gives a function of the running case (`lab`): a server starts and is ready when it
returns, a client runs to its end and returns its exit status. Both carry `software`, the name and version for expect.json.
"""
import pathlib
import sys

from .children import run
from .network import DOMAIN, GATEWAY_NAME, SERVER, SERVER_NAME

HERE = pathlib.Path(__file__).parent
READY = 10  # seconds a server may take to start
CLIENT_LIMIT = 40  # seconds before a client that does not end is stopped

XRDP_INI = """
[Globals]
ini_version=1
fork=false
port=3389
tcp_nodelay=true
security_layer={security}
crypt_level=high
certificate={certificate}
key_file={key}
ssl_protocols={tls}
tls_ciphers={suites}
allow_channels=true
max_bpp=16
bitmap_compression=true
use_fastpath=both
ls_title=lab
[Logging]
LogFile={folder}/server-xrdp.log
LogLevel=INFO
EnableSyslog=false
[Xvnc]
name=Xvnc
lib=libvnc.so
username=ask
password=ask
ip=127.0.0.1
port=-1
"""


def package_version(package):
    """Upstream part of an installed Debian package's version."""
    version = run("dpkg-query", "-W", "-f", "${Version}", package)
    return version.split(":")[-1].split("+")[0].split("-")[0]


def part(package, words):
    """Marks a server or client with its software, looked up when the case runs."""
    def mark(function):
        function.software = lambda: words.format(version=package_version(package)) if package else words
        return function
    return mark


# ---- servers ------------------------------------------------------------------------------------------------------

def xrdp(security="tls", tls="TLSv1.3", certificate="valid", suites="DEFAULT"):
    """xrdp without its session manager: a client gets as far as the login window, which is an active session."""
    @part("xrdp", "xrdp {version}")
    def start(lab):
        crt, key = lab.certificate(certificate)
        config = lab.work / "xrdp.ini"
        config.write_text(XRDP_INI.format(security=security, certificate=crt, key=key, tls=tls, suites=suites, folder=lab.work))
        child = lab.start("server", "server.log", "xrdp", "--nodaemon", "--config", str(config))
        lab.wait_for_listener(child)
    return start


def account_file(lab, user, domain, password, file="accounts.sam"):
    """A SAM file with one account."""
    names = ["-u", user, "-p", password, "-f", "sam"] + (["-d", domain] if domain else [])
    sam = lab.work / file
    sam.write_text(run("winpr-hash", *names).strip() + "\n")
    return sam


def weston():
    """Weston's RDP backend: a compositor without a screen, which asks for no password."""
    @part("weston", "weston {version} (RDP backend)")
    def start(lab):
        crt, key = lab.certificate("valid")
        # its library reads the older form of a key only
        older = lab.work / "weston.key"
        older.write_text(run("openssl", "rsa", "-in", str(key), "-traditional"))
        folder = lab.work / "weston"
        folder.mkdir(mode=0o700)
        settings = ["--backend=rdp-backend.so", "--port=3389", f"--rdp-tls-cert={crt}", f"--rdp-tls-key={older}"]
        child = lab.start("server", "server.log", "env", f"XDG_RUNTIME_DIR={folder}", "weston", *settings)
        lab.wait_for_listener(child)
    return start


def shadow(user="alice", domain="", password="Correct-horse-1", security="nla"):
    """FreeRDP's shadow server, with Network Level Authentication if not told otherwise; it knows one account, from a SAM file."""
    @part("freerdp2-shadow-x11", "freerdp-shadow-cli {version}")
    def start(lab):
        sam = account_file(lab, user, domain, password)
        checks = ["+auth", f"/sam-file:{sam}"] if security == "nla" else ["-auth"]
        settings = ["/port:3389", f"/sec:{security}", *checks, "/bind-address:0.0.0.0"]
        child = lab.start("server", "server.log", "freerdp-shadow-cli", *settings, display="server")
        lab.wait_for_listener(child)
    return start


def scripted(*settings, tls="1.3", account=None):
    """Our own server, which refuses or ends as told; see scripted_server.py. With `account` (user, domain, password) it wants NLA."""
    @part(None, "scripted_server.py (Python ssl): an RDP server up to its refusal")
    def start(lab):
        crt, key = lab.certificate("self-signed")
        command = [sys.executable, str(HERE / "scripted_server.py"), "--cert", str(crt), "--key", str(key), "--tls", tls, *settings]
        if account:
            command += ["--nla", str(account_file(lab, *account))]
        child = lab.start("server", "server.log", *command)
        child.wait_for("ready", READY)
    return start


def odd(mode, port=3389):
    """A listener that is no RDP server; see odd_server.py."""
    @part(None, f"odd_server.py {mode}")
    def start(lab):
        child = lab.start("server", f"server-{port}.log", sys.executable, str(HERE / "odd_server.py"), mode, str(port))
        child.wait_for("ready", READY)
    return start


def gateway(*settings, tls="1.3", password="Correct-horse-1"):
    """Our own RD Gateway on the router; see gateway_server.py. It knows the user alice of the domain LAB."""
    @part(None, "gateway_server.py (Python ssl): an RD Gateway over HTTP")
    def start(lab):
        crt, key = lab.certificate("gateway")
        sam = account_file(lab, "alice", "LAB", password, "gateway.sam")
        command = [sys.executable, str(HERE / "gateway_server.py"), "--cert", str(crt), "--key", str(key), "--sam", str(sam), "--host", SERVER,
                   "--tls", tls, *settings]
        child = lab.start("router", "server-gateway.log", *command)
        child.wait_for("ready", READY)
    return start


def web(tls="1.3"):
    """An ordinary web server on the router, where the gateway would be; see https_server.py."""
    @part(None, "https_server.py (Python http.server)")
    def start(lab):
        crt, key = lab.certificate("gateway")
        command = [sys.executable, str(HERE / "https_server.py"), "--cert", str(crt), "--key", str(key), "--tls", tls]
        child = lab.start("router", "server-web.log", *command)
        child.wait_for("ready", READY)
    return start


def nothing():
    """No listener on the port."""
    @part(None, "none listening")
    def start(_lab):
        pass
    return start


# ---- clients ------------------------------------------------------------------------------------------------------

# Schannel never asks for encrypt-then-MAC (RFC 7366); OpenSSL does, unless its configuration says so
MAC_FIRST = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nOptions = -EncryptThenMac\n"


def xfreerdp(*options, user="alice", domain="", password="Correct-horse-1", stay=None, mac_first=False):
    """FreeRDP's X11 client. With `stay` it is stopped after so many seconds, as sessions that work do not end. `mac_first`
    is for block ciphers: their MAC is made before the encryption, as with Windows."""
    @part("freerdp2-x11", "xfreerdp {version}")
    def connect(lab):
        account = [f"/u:{user}", f"/p:{password}"] + ([f"/d:{domain}"] if domain else [])
        settings = [f"/v:{SERVER}", *account, "/cert:ignore", "/size:640x480", "/bpp:16", "/timeout:6000", *options]
        openssl = None
        if mac_first:
            openssl = lab.work / "openssl.cnf"
            openssl.write_text(MAC_FIRST)
        # line by line: a client that is stopped does not flush its log
        child = lab.start("client", f"client-{len(lab.children)}.log", "stdbuf", "-oL", "xfreerdp", *settings,
                          display="client", keys=True, openssl=openssl)
        status = child.wait(stay or CLIENT_LIMIT)
        if status is None:
            child.stop()
            return "stopped" if stay else "did not end"
        return status
    return connect


def through_gateway(*options, transport="http,no-websockets", gateway_password="Correct-horse-1", **more):
    """xfreerdp through the gateway, to which it gives a name and password of its own."""
    at = [f"/g:{GATEWAY_NAME.lower()}.{DOMAIN}", "/gu:alice", "/gd:LAB", f"/gp:{gateway_password}", f"/gt:{transport}",
          "/gateway-usage-method:direct"]
    return xfreerdp(*at, *options, **more)


def rdesktop(*options, stay=None):
    """rdesktop, which takes any certificate when it is answered yes, and knows Kerberos only."""
    @part("rdesktop", "rdesktop {version}")
    def connect(lab):
        command = " ".join(["yes yes | rdesktop -u alice -p Correct-horse-1 -g 640x480 -a 16", *options, SERVER])
        child = lab.start("client", f"client-{len(lab.children)}.log", "sh", "-c", command, display="client", keys=True)
        status = child.wait(stay or CLIENT_LIMIT)
        if status is None:
            child.stop()
            return "stopped" if stay else "did not end"
        return status
    return connect


def verifying_client(tls="1.3"):
    """A client that checks the certificate during the handshake; see tls_client.py."""
    @part(None, "tls_client.py (Python ssl, verifying)")
    def connect(lab):
        settings = [SERVER, f"{SERVER_NAME.lower()}.{DOMAIN}", str(lab.authority.certificate), "--tls", tls, "--keys", str(lab.keys)]
        child = lab.start("client", f"client-{len(lab.children)}.log", sys.executable, str(HERE / "tls_client.py"), *settings)
        return child.wait(CLIENT_LIMIT)
    return connect


def surfing():
    """curl and wget at the web server, several at once: pages and uploads on connections that stay open, a long stream on one while the
    other sends, chunks of a few bytes both ways."""
    @part("curl", "curl {version}, wget")
    def connect(lab):
        at = f"https://{GATEWAY_NAME.lower()}.{DOMAIN}"
        trickle = "for n in 14 16 42 76 57 20 22 48 83 63; do head -c $n /dev/zero; sleep 0.05; done"
        lines = [
            f"curl -sk --http1.1 -N {at}/events/30 -o /dev/null",
            f"({trickle}) | curl -sk --http1.1 -T - -H 'Expect:' {at}/up -o /dev/null",
            f"curl -sk --http1.1 {at}/page/200 {at}/page/18 {at}/page/26 {at}/page/24 {at}/page/16 {at}/page/29 -o /dev/null -o /dev/null",
            f"for n in 14 16 42 76; do head -c $n /dev/zero > $n; done; curl -sk --http1.1 -T '{{14,16,42,76}}' {at}/up/",
            f"wget -q --no-check-certificate -O /dev/null {at}/page/3000 {at}/page/40 {at}/page/5000",
        ]
        command = f"cd {lab.work}; " + " ".join(f"({line}) &" for line in lines) + " wait"
        child = lab.start("client", f"client-{len(lab.children)}.log", "sh", "-c", command)
        return child.wait(CLIENT_LIMIT)
    return connect


def touch_port(port, then):
    """Connects to another port of the server first, then runs the client `then`."""
    @part(None, "")
    def connect(lab):
        code = f"import socket; socket.create_connection(('{SERVER}', {port}), 5).close()"
        run(*lab.network.inside("client", sys.executable, "-c", code))
        return then(lab)
    connect.software = then.software
    return connect


def one_after_the_other(*clients):
    """Several attempts in one capture; the exit status is that of the last."""
    @part(None, "")
    def connect(lab):
        return [client(lab) for client in clients][-1]
    connect.software = clients[-1].software
    return connect
