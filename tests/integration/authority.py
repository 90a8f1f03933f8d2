"""authority.py - certificates made in a test: an authority, one below it, and servers' certificates, right ones and wrong ones; and the
TLSA records that name them (RFC 6698 2.1)."""
import datetime
import hashlib
import pathlib
import ssl
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lib import WORK_DIR

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


class Certificate:
    """`chain` and `key` are files; `issuers` are the certificates above this one that its server sends, in order."""

    def __init__(self, certificate, key, issuers=()):
        self.certificate, self.private_key, self.issuers = certificate, key, list(issuers)
        place = pathlib.Path(tempfile.mkdtemp(prefix="certificate-", dir=WORK_DIR()))
        self.chain, self.key, self.alone = place / "chain.pem", place / "key.pem", place / "alone.pem"
        self.chain.write_bytes(b"".join(c.certificate.public_bytes(PEM) for c in [self, *self.issuers]))
        self.alone.write_bytes(certificate.public_bytes(PEM))
        self.key.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

    def files(self):
        return self.chain, self.key

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files())
        return context

    def tlsa(self, usage, selector, matching_type):
        """The data of a TLSA record that names this certificate (selector 0) or its key (1)."""
        whole = self.certificate.public_bytes(DER) if selector == 0 else \
            self.certificate.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        data = {0: bytes, 1: lambda b: hashlib.sha256(b).digest(), 2: lambda b: hashlib.sha512(b).digest()}[matching_type](whole)
        return f"{usage} {selector} {matching_type} {data.hex()}"


def make(subject, issuer=None, names=(), days=(-2, 2), authority=False):
    """A certificate that holds from days[0] until days[1], from now. Without an issuer it signs itself."""
    now = datetime.datetime.now(datetime.timezone.utc)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (x509.CertificateBuilder().subject_name(name).issuer_name(issuer.certificate.subject if issuer else name).public_key(key.public_key())
               .serial_number(x509.random_serial_number()).not_valid_before(now + datetime.timedelta(days=days[0]))
               .not_valid_after(now + datetime.timedelta(days=days[1]))
               .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False))
    if issuer:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.private_key.public_key()), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return builder.sign(issuer.private_key if issuer else key, hashes.SHA256()), key


def self_signed(*names, **options):
    return Certificate(*make(names[0], names=names, **options))


class Authority(Certificate):
    """An authority; with `above` it is one below another, and its certificate is part of what servers send."""

    def __init__(self, name="Authority of the test", above=None):
        super().__init__(*make(name, issuer=above, authority=True))
        self.above = above

    def issue(self, *names, with_root=False, **options):
        """A certificate for these names. with_root: the server sends the certificate of the highest authority too, as one has to whose TLSA
        record has a digest of that (RFC 7672 3.1.2)."""
        issuers, at = [], self
        while at and (at.above or with_root):
            issuers.append(at)
            at = at.above
        return Certificate(*make(names[0], issuer=self, names=names, **options), issuers=issuers)
