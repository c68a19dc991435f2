"""Photos of every kind are signed, and what the signatures say is verified; what was changed is told."""

import contextlib
import hashlib
import io
from pathlib import Path

import c2pa
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from PIL import Image

from realfill.core.errors import CredentialsError
from realfill.core.hashing import digest
from realfill.delivery.deliver import Wish, deliver
from realfill.delivery.identity import Identity
from realfill.delivery.signing import OFFLINE, Signer
from realfill.delivery.verification import read_credentials
from realfill.photo_io.decode import read_photo
from support.camera_photos import COFFEE, PHOTO_KINDS
from support.deliveries import export_album, export_kind, read_provenance, write_identity
from support.jumbf import read_boxes, read_cbor, write_signature_structure

CREATED = {
    "action": "c2pa.created",
    "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
}
LATITUDE = b"48,51.123N"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an identity."""
    return tmp_path_factory.mktemp("identity") / "credentials"


@pytest.fixture(scope="module")
def identity(folder: Path) -> Identity:
    return write_identity(folder)


@pytest.fixture(scope="module")
def signer(identity: Identity) -> Signer:
    return Signer(identity)


@pytest.fixture
def root(folder: Path, identity: Identity) -> str:
    """The root of the identity, PEM."""
    return (folder / "root.pem").read_text()


def write_signed(path: Path, identity: Identity) -> None:
    """Write a photo as a camera with content credentials does, which tell where it was taken."""
    context = c2pa.Context.from_dict(OFFLINE | {"builder": {"thumbnail": {"enabled": False}}})
    info = c2pa.C2paSignerInfo(identity.algorithm, identity.chain.encode(), identity.key.encode(), None)
    exif = {"@context": {"exif": "http://ns.adobe.com/exif/1.0/"}, "exif:GPSLatitude": LATITUDE.decode()}
    assertions = [
        {"label": "c2pa.actions.v2", "data": {"actions": [CREATED]}},
        {"label": "stds.exif", "kind": "Json", "data": exif},
    ]
    photo, signed = io.BytesIO(), io.BytesIO()
    Image.fromarray(COFFEE).save(photo, "JPEG", quality=95)
    photo.seek(0)
    with c2pa.Builder({"title": "camera", "assertions": assertions}, context=context) as builder:
        builder.sign(c2pa.Signer.from_info(info), "image/jpeg", photo, signed)
    path.write_bytes(signed.getvalue())


@pytest.mark.parametrize("kind", PHOTO_KINDS)
def test_a_photo_of_any_kind_is_signed_and_stays_the_same_picture(
    kind: str, signer: Signer, root: str, tmp_path: Path
) -> None:
    album = export_kind(tmp_path / "roof", kind)
    (file,) = deliver([Wish(album)], tmp_path / "out", signer=signer).files
    photo = tmp_path / "out" / file
    report = read_credentials(photo, root)
    assert (report.state, report.problems, report.signer) == ("trusted", (), "Ann")
    assert report.source_types == ("compositeWithTrainedAlgorithmicMedia",)
    assert [(row.title, row.is_parent) for row in report.ingredients] == [
        (album.target.name, True),
        ("0.jpg", False),
    ]
    provenance = read_provenance(album)
    assert report.authenticity["shares"] == provenance["authenticity"]
    assert report.authenticity["unsigned_sha256"] == provenance["digest"]
    assert report.authenticity["authenticity_map_sha256"] == digest(album.completed / "authenticity.png")
    digests = {row["file"]: row["sha256"] for row in report.authenticity["inputs"]}
    assert digests["0.jpg"] == digest(album.references[0])
    ours, exported = read_photo(photo), read_photo(album.completed / str(provenance["photo"]))
    np.testing.assert_array_equal(ours.pixels, exported.pixels)
    assert (ours.icc, ours.exif) == (exported.icc, exported.exif)
    assert read_credentials(photo).state == "unknown signer"


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff-16", "webp-lossless"])
def test_a_photo_that_was_changed_after_it_was_signed_is_told(
    kind: str, signer: Signer, root: str, tmp_path: Path
) -> None:
    album = export_kind(tmp_path / "roof", kind)
    (file,) = deliver([Wish(album)], tmp_path / "out", signer=signer).files
    photo = tmp_path / "out" / file
    original = (album.completed / str(read_provenance(album)["photo"])).read_bytes()
    data = bytearray(photo.read_bytes())
    place = data.index(original[len(original) // 2 : len(original) // 2 + 64])  # among the pixels
    data[place] ^= 1
    photo.write_bytes(data)
    report = read_credentials(photo, root)
    assert report.state == "broken"
    assert "hash" in report.problems[0].lower()


def test_wherever_a_file_is_damaged_it_is_not_trusted_or_told_as_damaged(
    signer: Signer, root: str, tmp_path: Path
) -> None:
    album = export_kind(tmp_path / "roof", "jpeg-gray")
    deliver([Wish(album)], tmp_path / "out", signer=signer)
    photo = tmp_path / "out" / "roof.jpg"
    intact = photo.read_bytes()
    end = max(intact.rindex(b"\xff\xda"), intact.rindex(b"jumb"))
    states = []
    for place in [*range(2, end, end // 40), *range(end, len(intact) - 2, (len(intact) - end) // 40)]:
        photo.write_bytes(intact[:place] + bytes([intact[place] ^ 0x55]) + intact[place + 1 :])
        try:
            states.append((place, read_credentials(photo, root).state))
        except CredentialsError:
            states.append((place, "broken"))
    assert {state for place, state in states if place >= end} == {"broken"}
    photo.write_bytes(intact[: len(intact) // 2])
    with contextlib.suppress(CredentialsError):
        assert read_credentials(photo, root).state == "broken"


def test_a_photo_without_credentials_and_what_is_no_photo_are_told(tmp_path: Path) -> None:
    Image.fromarray(COFFEE).save(tmp_path / "plain.jpg")
    with pytest.raises(CredentialsError, match="no content credentials"):
        read_credentials(tmp_path / "plain.jpg")
    with pytest.raises(CredentialsError, match="cannot be read"):
        read_credentials(tmp_path / "missing.jpg")
    (tmp_path / "text.jpg").write_text("no photo")
    for name in ("text.jpg", "text.txt"):
        with pytest.raises(CredentialsError):
            read_credentials(tmp_path / name)


def test_the_targets_own_credentials_are_taken_along_unless_the_position_is_stripped(
    identity: Identity, signer: Signer, root: str, tmp_path: Path
) -> None:
    photos = {}
    for gps in ("keep", "strip"):
        album = export_album(tmp_path / gps, lambda path: write_signed(path, identity), ".jpg", f"export.gps={gps}")
        deliver([Wish(album)], tmp_path / f"out-{gps}", signer=signer)
        photos[gps] = tmp_path / f"out-{gps}" / f"{gps}.jpg"
    parents = {gps: read_credentials(photo, root).ingredients[0] for gps, photo in photos.items()}
    assert parents["keep"].has_credentials
    assert parents["keep"].problems == ()
    assert LATITUDE in photos["keep"].read_bytes()
    assert not parents["strip"].has_credentials
    assert LATITUDE not in photos["strip"].read_bytes()
    assert read_credentials(photos["strip"], root).state == "trusted"


def test_broken_credentials_of_the_target_are_told_though_those_of_the_photo_hold(
    identity: Identity, signer: Signer, root: str, tmp_path: Path
) -> None:
    def write_tampered(path: Path) -> None:
        write_signed(path, identity)
        data = bytearray(path.read_bytes())
        data[-500] ^= 1  # among the pixels
        path.write_bytes(data)

    album = export_album(tmp_path / "roof", write_tampered, ".jpg")
    deliver([Wish(album)], tmp_path / "out", signer=signer)
    report = read_credentials(tmp_path / "out" / "roof.jpg", root)
    assert report.state == "trusted"
    assert "hash" in report.ingredients[0].problems[0].lower()


def test_only_delivered_files_are_signed(signer: Signer, tmp_path: Path) -> None:
    album = export_kind(tmp_path / "roof", "jpeg")
    before = digest(album.completed)
    deliver([Wish(album)], tmp_path / "out", signer=signer)
    assert digest(album.completed) == before


def test_hash_and_signature_hold_by_other_code_than_the_librarys(signer: Signer, tmp_path: Path) -> None:
    kind = next(kind for kind in PHOTO_KINDS if kind.lower().startswith("jpeg"))
    (file,) = deliver([Wish(export_kind(tmp_path / "roof", kind))], tmp_path / "out", signer=signer).files
    data = (tmp_path / "out" / file).read_bytes()
    boxes = dict(read_boxes(data))
    bound = read_cbor(boxes["c2pa.hash.data"])
    kept = bytearray(data)
    for part in reversed(bound["exclusions"]):
        del kept[part["start"] : part["start"] + part["length"]]
    assert hashlib.sha256(kept).digest() == bound["hash"]

    claim = next(boxes[label] for label in ("c2pa.claim.v2", "c2pa.claim") if label in boxes)
    linked = {
        row["url"]: row["hash"] for key, rows in read_cbor(claim).items() if "assertions" in key for row in rows
    }
    assert any(url.endswith("c2pa.hash.data") for url in linked)
    protected, unprotected, _, signature = read_cbor(boxes["c2pa.signature"])
    chain = (read_cbor(protected) | unprotected)[33]  # x5chain
    leaf = x509.load_der_x509_certificate(chain[0] if isinstance(chain, list) else chain)
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    half = len(signature) // 2
    encoded = encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
    key.verify(encoded, write_signature_structure(protected, claim), ec.ECDSA(hashes.SHA256()))
