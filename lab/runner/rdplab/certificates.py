"""Certificates for the lab's servers: a private CA, and server certificates that are valid or have expired."""
from .children import run
from .network import DOMAIN, SERVER_NAME

VALID = ("20240101000000Z", "20440101000000Z")
EXPIRED = ("20240101000000Z", "20240401000000Z")

CONFIG = """
[ca]
default_ca = lab
[lab]
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}
unique_subject = no
default_md = sha256
policy = any
email_in_dn = no
copy_extensions = copy
[any]
commonName = supplied
"""


class Authority:
    """A CA in a folder of the run. `openssl ca` because only it can set both dates in OpenSSL 3.0."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        (folder / "index.txt").touch()
        (folder / "serial").write_text("1000\n")
        (folder / "ca.cnf").write_text(CONFIG.format(folder=folder))
        self.certificate = folder / "ca.crt"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{folder}/ca.key", "-out", str(self.certificate),
            "-days", "7300", "-subj", "/CN=Lab Test CA")

    def issue(self, label, dates):
        """A server certificate for the lab's server name; gives the paths of certificate and key."""
        host = f"{SERVER_NAME.lower()}.{DOMAIN}"
        paths = {ending: self.folder / f"{label}.{ending}" for ending in ("key", "csr", "crt")}
        run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", str(paths["key"]), "-out", str(paths["csr"]),
            "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}")
        run("openssl", "ca", "-batch", "-notext", "-config", f"{self.folder}/ca.cnf", "-cert", str(self.certificate), "-keyfile",
            f"{self.folder}/ca.key", "-startdate", dates[0], "-enddate", dates[1], "-in", str(paths["csr"]), "-out", str(paths["crt"]))
        return paths["crt"], paths["key"]

    def self_signed(self, label, name=SERVER_NAME):
        """What a Remote Desktop host makes for itself when nobody gives it a certificate."""
        key, certificate = self.folder / f"{label}.key", self.folder / f"{label}.crt"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate),
            "-days", "180", "-subj", f"/CN={name.lower()}.{DOMAIN}")
        return certificate, key
