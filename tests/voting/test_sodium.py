"""Where libsodium comes from, and what is said when there is none."""

from __future__ import annotations

import ctypes
import sys
import types

import pytest

from folkmoot_voting import sodium
from folkmoot_voting.errors import LibsodiumMissing


def missing() -> ctypes.CDLL:
    raise OSError("none")


def test_without_libsodium_the_packages_are_named() -> None:
    with pytest.raises(LibsodiumMissing, match=r"libsodium23.*rbcl") as caught:
        sodium.load((missing,))
    assert caught.value.code == "voting.libsodium-missing"


def test_a_library_without_ristretto255_is_passed_over() -> None:
    with pytest.raises(LibsodiumMissing):
        sodium.load((lambda: ctypes.CDLL(None),))
    assert sodium.load((lambda: ctypes.CDLL(None), sodium.system_library)) is not None


def test_the_bundled_library_is_the_second_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    package, module = types.ModuleType("rbcl"), types.ModuleType("rbcl._sodium")
    module._sodium = sodium.SODIUM  # type: ignore[attr-defined]  # what rbcl's module holds
    monkeypatch.setitem(sys.modules, "rbcl", package)
    monkeypatch.setitem(sys.modules, "rbcl._sodium", module)
    assert sodium.load((missing, sodium.bundled_library)) is sodium.SODIUM
    module._sodium = None  # type: ignore[attr-defined]  # a package of that name without a library
    with pytest.raises(LibsodiumMissing):
        sodium.load((missing, sodium.bundled_library))
