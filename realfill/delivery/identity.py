"""The identity that content credentials are signed with: a certificate with those above it, and its private key."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from realfill.core.atomic_io import new_directory
from realfill.core.errors import CredentialsError

_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_CERTIFICATE, _KEY, _ROOT = "certificate.pem", "key.pem", "root.pem"


@dataclass(frozen=True)
class SelfMadeSettings:
    """A self-made chain of certificates.

    Attributes:
        days: How long its certificates are valid. Without a time stamp a signature is as short-lived as the
            certificate: set by hand to 20 years.
        clock_skew_days: How long they have been valid when they are made, for readers whose clock is late.
        curve: Of both keys; what C2PA recommends (ES256).
    """

    days: int = 7300
    clock_skew_days: int = 1
    curve: ec.EllipticCurve = ec.SECP256R1()


@dataclass(frozen=True)
class Identity:
    """Who signs.

    Attributes:
        chain: PEM, the signer's certificate first.
        key: Its private key, PEM, PKCS#8 without a passphrase; it is never written.
        algorithm: C2PA's name of the algorithm of the signature.
        name: Who signs, as readers see it.
    """

    chain: str
    key: str
    algorithm: str
    name: str

    def __repr__(self) -> str:
        return f"Identity({self.name!r})"


def identity_folder() -> Path:
    """The folder of the identity that `make_identity` writes and that signs where no other is named."""
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "realfill" / "credentials"


def find_roots() -> str:
    """The root that `make_identity` wrote, PEM; empty if there is none."""
    path = identity_folder() / _ROOT
    return path.read_text(encoding="ascii") if path.is_file() else ""


def load_identity(certificate: str, key: str, ask_passphrase: Callable[[Path], str]) -> Identity:
    """Read the certificate and its key, and check that they belong together and are valid today.

    Args:
        certificate: PEM file; empty for the one that `make_identity` wrote.
        key: PEM file; empty for the one that `make_identity` wrote.
        ask_passphrase: Gives the passphrase of the key, whose path it gets; called only if the key needs one.

    Raises:
        CredentialsError: A file is missing, or cannot be used.
    """
    certificate_path = Path(certificate) if certificate else identity_folder() / _CERTIFICATE
    key_path = Path(key) if key else identity_folder() / _KEY
    chain = _load_certificates(certificate_path)
    _require_valid(chain[0], certificate_path)
    private_key = _load_key(key_path, ask_passphrase)
    if _public_bytes(private_key.public_key()) != _public_bytes(chain[0].public_key()):
        problem = "The key is not that of the first certificate in the file of certificates."
        raise CredentialsError(problem, "Name the key of that certificate, and put the certificate first.", key_path)
    return Identity(
        "".join(_pem(entry) for entry in chain),
        private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        _choose_algorithm(private_key, key_path),
        _describe_name(chain[0]),
    )


def make_identity(
    name: str, folder: Path, passphrase: str = "", settings: SelfMadeSettings = SelfMadeSettings()
) -> None:
    """Make a root and a certificate below it, for trying; whoever does not know the root does not know the signer.

    Writes `certificate.pem` (both), `key.pem` (readable by its owner alone) and `root.pem`, by which readers know the
    signer. The root's key is not kept.

    Args:
        name: Who signs.
        folder: The folder to create.
        passphrase: Of the key; empty for none.
        settings: How long the certificates are valid.

    Raises:
        OutputError: The folder exists already.
        CredentialsError: No certificate can have this name.
    """
    root_key, key = (ec.generate_private_key(settings.curve) for _ in range(2))
    subject, issuer = _make_name(name, name), _make_name(name, f"{name} (self-made root)")
    root = _certify(issuer, root_key, issuer, root_key, is_authority=True, settings=settings)
    leaf = _certify(subject, key, issuer, root_key, is_authority=False, settings=settings)
    encryption: KeySerializationEncryption = (
        BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    )
    with new_directory(folder) as partial:
        partial.chmod(0o700)
        (partial / _CERTIFICATE).write_text(_pem(leaf) + _pem(root), encoding="ascii")
        (partial / _ROOT).write_text(_pem(root), encoding="ascii")
        descriptor = os.open(partial / _KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def _load_certificates(path: Path) -> list[x509.Certificate]:
    remedy = "Give a PEM file with your certificate and those above it, or run `realfill credentials init`."
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise CredentialsError(f"The certificate cannot be read ({error.strerror}).", remedy, path) from error
    except ValueError as error:
        raise CredentialsError("The file holds no certificate in PEM format.", remedy, path) from error


def _load_key(path: Path, ask_passphrase: Callable[[Path], str]) -> PrivateKeyTypes:
    remedy = "Give the private key of the certificate as a PEM file (PKCS#8), or run `realfill credentials init`."
    try:
        data = path.read_bytes()
        try:
            return load_pem_private_key(data, None)
        except TypeError:  # it needs a passphrase
            return _decrypt_key(data, path, ask_passphrase)
    except OSError as error:
        raise CredentialsError(f"The key cannot be read ({error.strerror}).", remedy, path) from error
    except ValueError as error:
        raise CredentialsError("The file holds no private key in PEM format.", remedy, path) from error


def _decrypt_key(data: bytes, path: Path, ask_passphrase: Callable[[Path], str]) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(data, ask_passphrase(path).encode())
    except ValueError as error:
        raise CredentialsError("The passphrase of the key is wrong.", "Run again and give it.", path) from error


def _choose_algorithm(key: PrivateKeyTypes, path: Path) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    remedy = "Use one on the curve P-256, P-384 or P-521, an Ed25519 key, or an RSA key of 2048 bits or more."
    raise CredentialsError("C2PA allows no signatures by a key of this kind.", remedy, path)


def _require_valid(certificate: x509.Certificate, path: Path) -> None:
    now = datetime.now(UTC)
    if certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return
    begin, end = certificate.not_valid_before_utc.date(), certificate.not_valid_after_utc.date()
    raise CredentialsError(f"The certificate is valid from {begin} to {end} only.", "Use a valid one.", path)


def _certify(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
    settings: SelfMadeSettings,
) -> x509.Certificate:
    """Make a certificate with what C2PA asks of it (specification 2.2, 14.5)."""
    now = datetime.now(UTC).replace(microsecond=0)
    unused = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
    usage = dict.fromkeys((*unused, "decipher_only"), False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=settings.clock_skew_days))
        .not_valid_after(now + timedelta(days=settings.days))
        .add_extension(x509.BasicConstraints(is_authority, 0 if is_authority else None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority, **usage
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_authority:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(issuer_key, SHA256())


def _make_name(organization: str, common_name: str) -> x509.Name:
    try:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
    except ValueError as error:
        raise CredentialsError(f"No certificate can have this name ({error}).", "Use 1 to 44 characters.") from error


def _describe_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _public_bytes(key: object) -> bytes:
    data: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return data
