"""Three namespaces, client -- router -- server, with no link to the machine they run on.

    client 198.51.100.10 c0 ---- rc 198.51.100.1 [router] rs 203.0.113.1 ---- s0 203.0.113.20 server

An RD Gateway runs on the router, which has a foot in both nets. Addresses are from the ranges kept for documentation (RFC 5737,
RFC 3849), hardware addresses are locally administered.
"""
import os
import pathlib
import shutil

from .children import run

CLIENT, SERVER, GATEWAY = "198.51.100.10", "203.0.113.20", "198.51.100.1"
CLIENT_NAME, SERVER_NAME, GATEWAY_NAME, DOMAIN = "CLIENT01", "RDS01", "GW01", "lab.test"
NO_OFFLOAD = ("tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off", "sg", "off")


class Network:
    """The namespaces of one case. Use as a context manager: they are removed whatever happens."""

    def __init__(self):
        self.spaces = {side: f"rdplab-{os.getpid()}-{side}" for side in ("client", "router", "server")}

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_):
        self._remove()

    def inside(self, side, *command):
        """The command line that runs `command` in a namespace under an invented host name.

        RDP clients and servers put the host name into NTLM, GCC and certificates; the real one must not get there.
        """
        name = {"client": CLIENT_NAME, "router": GATEWAY_NAME}.get(side, SERVER_NAME)
        return ["ip", "netns", "exec", self.spaces[side], "unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name, *command]

    def fault(self, *iptables):
        """Adds a rule to the router's FORWARD chain."""
        run("ip", "netns", "exec", self.spaces["router"], "iptables", "-A", "FORWARD", *iptables)

    def router_ttl(self, ttl):
        """Sets the TTL of packets the router itself makes, such as its resets."""
        run("ip", "netns", "exec", self.spaces["router"], "sysctl", "-qw", f"net.ipv4.ip_default_ttl={ttl}")

    def router_mtu(self, mtu):
        """Narrows the link to the client; the router then says so with ICMP, as it should."""
        run("ip", "-n", self.spaces["router"], "link", "set", "rc", "mtu", str(mtu))

    def _build(self):
        for space in self.spaces.values():
            run("ip", "netns", "add", space)
            run("ip", "-n", space, "link", "set", "lo", "up")
            self._files(space)
        self._link("client", "c0", "rc", "198.51.100", CLIENT, "2001:db8:c", "02:00:00:00:0c")
        self._link("server", "s0", "rs", "203.0.113", SERVER, "2001:db8:5", "02:00:00:00:05")
        run("ip", "netns", "exec", self.spaces["router"], "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    def _link(self, side, near, far, net4, address, net6, hardware):
        space, router = self.spaces[side], self.spaces["router"]
        host = address.rsplit(".", 1)[1]
        run("ip", "link", "add", near, "netns", space, "address", f"{hardware}:{int(host):02x}",
            "type", "veth", "peer", "name", far, "netns", router, "address", f"{hardware}:01")
        for where, interface, last in ((space, near, host), (router, far, "1")):
            run("ip", "netns", "exec", where, "sysctl", "-qw", f"net.ipv6.conf.{interface}.accept_dad=0",
                f"net.ipv6.conf.{interface}.router_solicitations=0")
            # checksums and segment sizes as on a wire, not as the kernel hands them to itself
            run("ip", "netns", "exec", where, "ethtool", "-K", interface, *NO_OFFLOAD)
            run("ip", "-n", where, "link", "set", interface, "up")
            run("ip", "-n", where, "addr", "add", f"{net4}.{last}/24", "dev", interface)
            run("ip", "-n", where, "addr", "add", f"{net6}::{last}/64", "dev", interface, "nodad")
        run("ip", "-n", space, "route", "add", "default", "via", f"{net4}.1")
        run("ip", "-n", space, "-6", "route", "add", "default", "via", f"{net6}::1")

    @staticmethod
    def _files(space):
        # without these the machine's own resolver is asked (and waited for), and its hosts file is seen
        folder = pathlib.Path("/etc/netns") / space
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        (folder / "hosts").write_text(
            f"127.0.0.1 localhost\n{CLIENT} {CLIENT_NAME.lower()}.{DOMAIN} {CLIENT_NAME}\n{SERVER} {SERVER_NAME.lower()}.{DOMAIN} {SERVER_NAME}\n"
            f"{GATEWAY} {GATEWAY_NAME.lower()}.{DOMAIN} {GATEWAY_NAME}\n")

    def _remove(self):
        for space in self.spaces.values():
            try:
                run("ip", "netns", "del", space)
            except RuntimeError:
                pass  # it was never made
            shutil.rmtree(pathlib.Path("/etc/netns") / space, ignore_errors=True)
