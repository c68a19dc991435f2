"""Signing finished photos with content credentials (C2PA); nothing is asked of the network but a time stamp."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import c2pa
from PIL import Image

from realfill.core.errors import CredentialsError
from realfill.core.params import DeliveryParams
from realfill.delivery.identity import Identity, load_identity
from realfill.delivery.manifest import MEDIA_TYPES, Ingredient

logger = logging.getLogger(__name__)

OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_NO_THUMBNAILS = {"builder": {"thumbnail": {"enabled": False}}}  # those of the references would show them


def make_signer(settings: DeliveryParams, ask_passphrase: Callable[[Path], str]) -> Signer | None:
    """Make the signer that the parameters ask for; None if they ask for none.

    Args:
        settings: The parameters of deliveries.
        ask_passphrase: Gives the passphrase of the key, whose path it gets; called only if the key needs one.

    Raises:
        CredentialsError: The certificate or the key cannot be used, or the time-stamp server cannot be reached.
    """
    if settings.credentials == "none":
        return None
    return Signer(load_identity(settings.certificate, settings.key, ask_passphrase), settings.time_stamp)


class Signer:
    """Signs photos by one identity.

    Args:
        identity: Who signs.
        time_stamp: Address of a time-stamp server; empty for none.

    Raises:
        CredentialsError: C2PA does not accept the certificate, or the time-stamp server cannot be reached.
    """

    def __init__(self, identity: Identity, time_stamp: str = "") -> None:
        self.identity = identity
        self._context = c2pa.Context.from_dict(OFFLINE | _NO_THUMBNAILS)
        try:
            self._begin("")
        except c2pa.C2paError as error:
            problem = f"Content credentials cannot be signed with this certificate ({error})."
            remedy = "Use a certificate for signing content or mail (extended key usage), followed by those above it."
            raise CredentialsError(problem, remedy) from error
        if not time_stamp:
            return
        try:
            self._begin(time_stamp)
        except c2pa.C2paError as error:
            problem = f"The time-stamp server {time_stamp} gives no time stamp ({error})."
            remedy = "Check delivery.time_stamp and the network, or leave delivery.time_stamp empty."
            raise CredentialsError(problem, remedy) from error

    def _begin(self, time_stamp: str) -> None:
        """Sign with the identity from now on, and try it."""
        pair = self.identity.chain.encode(), self.identity.key.encode()
        info = c2pa.C2paSignerInfo(self.identity.algorithm, *pair, time_stamp or None)
        self._signer = c2pa.Signer.from_info(info)
        self._sign_probe()

    def sign(
        self,
        data: bytes,
        suffix: str,
        definition: Mapping[str, Any],
        ingredients: Sequence[Ingredient],
        *,
        keep_inherited: bool,
    ) -> bytes:
        """Sign a photo.

        Args:
            data: The encoded photo.
            suffix: Of its file name.
            definition: The manifest's definition.
            ingredients: What it was made from; the parent first.
            keep_inherited: Whether the ingredients' own credentials are taken along. They may tell a position.

        Returns:
            The encoded photo with its credentials.

        Raises:
            CredentialsError: The photo cannot be signed.
        """
        try:
            if keep_inherited:
                try:
                    return self._sign(data, MEDIA_TYPES[suffix], definition, ingredients)
                except (c2pa.C2paError, OSError) as error:
                    logger.warning("Credentials of the photos it was made from are left out (%s).", error)
            listed = dict(definition) | {"ingredients": [entry.description for entry in ingredients]}
            return self._sign(data, MEDIA_TYPES[suffix], listed, [])
        except c2pa.C2paError as error:
            problem = f"The photo cannot be signed ({error})."
            raise CredentialsError(problem, "Deliver it with delivery.credentials: none.") from error

    def _sign_probe(self) -> None:
        """Sign a picture of one pixel, so that a certificate that is of no use is told before anything is written."""
        picture = io.BytesIO()
        Image.new("L", (1, 1)).save(picture, "JPEG")
        created = {"action": "c2pa.created", "digitalSourceType": f"{_SOURCE_TYPES}digitalCreation"}
        assertion = {"label": "c2pa.actions.v2", "data": {"actions": [created]}}
        definition = {"title": "probe", "assertions": [assertion]}
        self._sign(picture.getvalue(), "image/jpeg", definition, [])

    def _sign(
        self, data: bytes, media_type: str, definition: Mapping[str, Any], ingredients: Sequence[Ingredient]
    ) -> bytes:
        signed = io.BytesIO()
        with c2pa.Builder(dict(definition), context=self._context) as builder:
            if ingredients or "ingredients" in definition:
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            for ingredient in ingredients:
                with ingredient.file.open("rb") as file:
                    builder.add_ingredient(ingredient.description, ingredient.description["format"], file)
            builder.sign(self._signer, media_type, io.BytesIO(data), signed)
        return signed.getvalue()


def read_manifests(data: io.BufferedIOBase, media_type: str, anchors: str) -> dict[str, Any]:
    """Read and verify the manifests of a photo; raises c2pa.C2paError, see `verification`.

    Args:
        data: The photo.
        media_type: Of the photo.
        anchors: Roots to trust, PEM; may be empty.
    """
    trust = {"trust": {"trust_anchors": anchors}} if anchors else {}
    with c2pa.Reader(media_type, data, context=c2pa.Context.from_dict(OFFLINE | trust)) as reader:
        document: dict[str, Any] = json.loads(reader.json())
    return document
