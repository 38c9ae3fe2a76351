#!/bin/bash
# Makes real captures of RDP connections, working and failing: run.sh OUTDIR [CASE...]   (run.sh --list names the cases)
#
# Everything happens in network namespaces made for the run and removed after it; nothing leaves this machine.
# OUTDIR/CASE/ gets client.pcap, server.pcap, keys.log where obtainable, and expect.json with what was really done.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
packages=()

# program, and the Debian package that brings it
while read -r program package; do
  command -v "$program" >/dev/null 2>&1 || packages+=("$package")
done <<'LIST'
python3 python3
ip iproute2
iptables iptables
ethtool ethtool
tcpdump tcpdump
unshare util-linux
hostname hostname
openssl openssl
Xvfb xvfb
xrdp xrdp
xfreerdp freerdp2-x11
freerdp-shadow-cli freerdp2-shadow-x11
winpr-hash winpr-utils
rdesktop rdesktop
curl curl
wget wget
weston weston
LIST

case "${1:-}" in
  ''|-h|--help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2 ;;
  --list) exec env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$here" python3 -m rdplab --list ;;
esac
if [ ${#packages[@]} -gt 0 ]; then
  echo "run.sh: programs are missing; install them with:" >&2
  echo "  apt-get update && apt-get install -y --no-install-recommends ${packages[*]}" >&2
  exit 2
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "run.sh: needs root (network namespaces, tcpdump)" >&2
  exit 2
fi
command -v cc >/dev/null 2>&1 || echo "run.sh: no C compiler: no TLS keys of xfreerdp (apt-get install -y --no-install-recommends gcc libc6-dev)" >&2
command -v tshark >/dev/null 2>&1 || echo "run.sh: no tshark: captures are not checked frame by frame (apt-get install -y --no-install-recommends tshark)" >&2
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$here" exec python3 -m rdplab "$@"
