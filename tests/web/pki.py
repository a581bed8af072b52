"""Certificates for tests and the demo: a CA of one's own, and server and client certificates with one thing wrong.

    pki = Pki(folder)
    cert, key = pki.server("good")                            paths of PEM files: the server's chain, and its key
    cert, key = pki.server("expired", days=(-30, -1))
    cert, key = pki.client("dev1")
    pki.ca                                                    PEM of the root that devices get
    pki.crl([cert, ...])                                      path of a CRL that revokes them
"""
import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _address(host):
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(thing):
    return thing.public_bytes(serialization.Encoding.PEM)


class Pki:
    """A CA in a folder. Days are counted from now: (first, last)."""

    def __init__(self, folder, name="Godwit test CA", days=(-1, 365)):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        self.cert = self._make(self.name, self.key.public_key(), days).sign(self.key, hashes.SHA256())
        self.ca = self._write("ca.pem", _pem(self.cert))

    def _write(self, name, data, mode=0o644):
        path = self.folder / name
        path.touch(mode)
        path.chmod(mode)
        path.write_bytes(data)
        return path

    def _make(self, subject, public, days, signer=None, issuer=None):
        """With the key identifiers that strict clients (Python 3.13) want, as godwit's own certificates have them."""
        now, ca = datetime.datetime.now(datetime.timezone.utc), signer is None
        made = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or self.name)
                .public_key(public)
                .serial_number(x509.random_serial_number())
                .not_valid_before(now + datetime.timedelta(days=days[0]))
                .not_valid_after(now + datetime.timedelta(days=days[1]))
                .add_extension(x509.BasicConstraints(ca, None), critical=True)
                .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True))
        if ca:
            return made.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        return made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)

    def _leaf(self, file, subject, days, purpose, hosts=(), self_signed=False, key=None):
        key = key or ec.generate_private_key(ec.SECP256R1())
        issuer, signer = (_name(subject), key) if self_signed else (self.name, self.key)
        builder = self._make(_name(subject), key.public_key(), days, signer.public_key(), issuer)
        if purpose is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_address(h) for h in hosts]), critical=False)
        cert = builder.sign(signer, hashes.SHA256())
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                   serialization.NoEncryption())
        return self._write(f"{file}.pem", _pem(cert)), self._write(f"{file}.key", secret, 0o600)

    def server(self, file="server", hosts=("localhost", "127.0.0.1"), days=(-1, 90), purpose=SERVER, **more):
        """`more`: self_signed, or a key to use instead of a new one."""
        return self._leaf(file, hosts[0], days, purpose, hosts, **more)

    def client(self, device, days=(-1, 3650)):
        return self._leaf(f"client-{device}", device, days, CLIENT)

    def crl(self, certs, file="crl.pem"):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(now)
                   .next_update(now + datetime.timedelta(days=30)))
        for path in certs:
            serial = x509.load_pem_x509_certificate(Path(path).read_bytes()).serial_number
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build())
        return self._write(file, _pem(builder.sign(self.key, hashes.SHA256())))

    def pin(self, path=None):
        """SHA-256 of the SubjectPublicKeyInfo of the CA, or of a certificate: what a trust bundle pins."""
        cert = x509.load_pem_x509_certificate(Path(path).read_bytes()) if path else self.cert
        digest = hashes.Hash(hashes.SHA256())
        digest.update(cert.public_key().public_bytes(serialization.Encoding.DER,
                                                          serialization.PublicFormat.SubjectPublicKeyInfo))
        return digest.finalize().hex()
