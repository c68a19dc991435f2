"""The certificate and the key that sign."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from realfill.core.errors import CredentialsError, OutputError
from realfill.delivery.identity import Identity, load_identity, make_identity
from realfill.delivery.signing import Signer
from support.deliveries import write_identity

DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def write_certificate(
    folder: Path,
    key: Key,
    purpose: ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    begin: timedelta = -DAY,
    form: PrivateFormat = PrivateFormat.PKCS8,
) -> None:
    """Write a certificate of a root, as an authority would, and its key."""
    root_key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)]) for name in ("Bob", "Authority")]
    begin_time = datetime.now(UTC) + begin
    builder = (
        x509.CertificateBuilder(names[1], names[0], key.public_key(), x509.random_serial_number())
        .not_valid_before(begin_time)
        .not_valid_after(begin_time + 2 * DAY)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, False, False, False, False),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
    )
    folder.mkdir(exist_ok=True)
    (folder / "certificate.pem").write_bytes(builder.sign(root_key, SHA256()).public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))


def load(folder: Path, passphrase: str = "") -> Identity:
    return load_identity(str(folder / "certificate.pem"), str(folder / "key.pem"), lambda _: passphrase)


def test_a_self_made_key_is_its_owners_alone_and_is_never_replaced(tmp_path: Path) -> None:
    make_identity("Ann", tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["certificate.pem", "key.pem", "root.pem"]
    assert stat.S_IMODE((tmp_path / "new" / "key.pem").stat().st_mode) == 0o600
    before = (tmp_path / "new" / "key.pem").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        make_identity("Bob", tmp_path / "new")
    assert (tmp_path / "new" / "key.pem").read_bytes() == before


def test_a_passphrase_is_asked_for_and_has_to_be_right(tmp_path: Path) -> None:
    identity = write_identity(tmp_path / "new", "open sesame")
    assert b"ENCRYPTED" in (tmp_path / "new" / "key.pem").read_bytes()
    assert "KEY" not in repr(identity)
    Signer(identity)
    with pytest.raises(CredentialsError, match="passphrase of the key is wrong"):
        load(tmp_path / "new", "sesame")


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_name_that_no_certificate_can_have_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="can have this name"):
        make_identity(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "es256"),
        (ec.generate_private_key(ec.SECP384R1()), "es384"),
        (ec.generate_private_key(ec.SECP521R1()), "es512"),
        (ed25519.Ed25519PrivateKey.generate(), "ed25519"),
        (rsa.generate_private_key(65537, 2048), "ps256"),
    ],
    ids=["P-256", "P-384", "P-521", "Ed25519", "RSA"],
)
def test_keys_of_every_kind_that_c2pa_allows_sign(key: Key, algorithm: str, tmp_path: Path) -> None:
    write_certificate(tmp_path, key)
    identity = load(tmp_path)
    assert identity.algorithm == algorithm
    Signer(identity)


def test_a_key_in_openssls_own_format_signs_too(tmp_path: Path) -> None:
    write_certificate(tmp_path, ec.generate_private_key(ec.SECP256R1()), form=PrivateFormat.TraditionalOpenSSL)
    assert b"BEGIN EC PRIVATE KEY" in (tmp_path / "key.pem").read_bytes()
    Signer(load(tmp_path))


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP256K1()), rsa.generate_private_key(65537, 1024)])
def test_a_key_that_c2pa_does_not_allow_is_told(key: Key, tmp_path: Path) -> None:
    write_certificate(tmp_path, key)
    with pytest.raises(CredentialsError, match="allows no signatures by a key of this kind"):
        load(tmp_path)


def test_a_certificate_for_another_purpose_is_told_before_anything_is_signed(tmp_path: Path) -> None:
    write_certificate(tmp_path, ec.generate_private_key(ec.SECP256R1()), ExtendedKeyUsageOID.CODE_SIGNING)
    with pytest.raises(CredentialsError, match="cannot be signed with this certificate"):
        Signer(load(tmp_path))


def test_a_time_stamp_server_that_is_away_is_told_before_anything_is_signed(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"time-stamp server .* Check delivery\.time_stamp"):
        Signer(write_identity(tmp_path / "new"), "http://127.0.0.1:9/")


@pytest.mark.parametrize("begin", [-3 * DAY, DAY], ids=["expired", "not yet valid"])
def test_a_certificate_that_is_not_valid_today_is_told(begin: timedelta, tmp_path: Path) -> None:
    write_certificate(tmp_path, ec.generate_private_key(ec.SECP256R1()), begin=begin)
    with pytest.raises(CredentialsError, match=r"is valid from \d{4}-\d\d-\d\d to"):
        load(tmp_path)


def test_files_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    write_identity(tmp_path / "ours")
    write_identity(tmp_path / "theirs")
    ours, theirs = (tmp_path / name / "certificate.pem" for name in ("ours", "theirs"))
    key = tmp_path / "ours" / "key.pem"
    for certificate, file, message in (
        (theirs, key, "not that of the first certificate"),
        (key, key, "holds no certificate"),
        (ours, ours, "holds no private key"),
        (tmp_path / "missing.pem", key, "certificate cannot be read"),
        (ours, tmp_path / "missing.pem", "key cannot be read"),
        (tmp_path, key, "certificate cannot be read"),
    ):
        with pytest.raises(CredentialsError, match=message):
            load_identity(str(certificate), str(file), lambda _: "")
