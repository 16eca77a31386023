from __future__ import annotations

import pytest

from costmodel.errors import DataError, UnknownNameError, UsageError
from costmodel.platforms import Platform, PlatformKind, PlatformRegistry


def platform(name: str, *aliases: str) -> Platform:
    return Platform(
        name=name, device="cpu", kind=PlatformKind.CPU, runtime="ort1.32", precision="fp32", aliases=aliases
    )


@pytest.fixture
def registry() -> PlatformRegistry:
    return PlatformRegistry([platform("zen-1t", "old-zen"), platform("xeon-2t"), platform("xeon-1t")])


def names(found: list[Platform]) -> list[str]:
    return [platform.name for platform in found]


def test_it_is_a_mapping_in_the_given_order(registry):
    assert list(registry) == ["zen-1t", "xeon-2t", "xeon-1t"]
    assert registry["xeon-1t"].name == "xeon-1t"
    assert "old-zen" not in registry
    assert registry.get("old-zen") is None


def test_a_name_an_alias_and_a_glob_resolve(registry):
    assert names(registry.resolve("xeon-1t")) == ["xeon-1t"]
    assert names(registry.resolve("old-zen")) == ["zen-1t"]
    assert names(registry.resolve("xeon-*")) == ["xeon-2t", "xeon-1t"]
    assert names(registry.resolve("*zen*")) == ["zen-1t"], "its name and its alias both match, it is listed once"


def test_an_exact_name_is_not_a_pattern():
    registry = PlatformRegistry([platform("a-1t", "label[1]"), platform("b-1t", "label1")])
    assert names(registry.resolve("label[1]")) == ["a-1t"]


@pytest.mark.parametrize("typed", ["xeon-3t", "olt-zen", "gpu*"])
def test_an_unknown_name_says_where_to_look(registry, typed):
    with pytest.raises(UnknownNameError, match="costmodel platforms"):
        registry.resolve(typed)


def test_an_unknown_name_suggests_names_and_aliases(registry):
    with pytest.raises(UnknownNameError, match="Did you mean xeon-1t"):
        registry.resolve("xeon-1")
    with pytest.raises(UnknownNameError, match="Did you mean old-zen"):
        registry.resolve("olt-zen")


def test_find_wants_exactly_one(registry):
    assert registry.find("zen*").name == "zen-1t"
    with pytest.raises(UsageError, match="2 platforms"):
        registry.find("xeon*")


@pytest.mark.parametrize("clash", [platform("zen-1t"), platform("old-zen"), platform("other-1t", "old-zen")])
def test_two_platforms_cannot_answer_to_one_name(clash):
    with pytest.raises(DataError, match="both answer to"):
        PlatformRegistry([platform("zen-1t", "old-zen"), clash])
