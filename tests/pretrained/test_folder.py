from __future__ import annotations

import json
from pathlib import Path

import pytest

from costmodel.errors import UnknownNameError, WeightsError
from costmodel.pretrained import Bundle, load_bundle, pretrained_names, pretrained_platforms, save_bundle


@pytest.fixture
def saved(untrained_bundle: Bundle, tmp_path: Path) -> Path:
    save_bundle(untrained_bundle, tmp_path / "weights")
    return tmp_path / "weights"


def change(folder: Path, **fields: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | fields))


def test_platforms_are_listed_as_the_loaded_weights_have_them(saved: Path):
    assert pretrained_platforms(saved) == load_bundle(saved).platforms


def test_platforms_are_listed_without_the_tensors_and_whatever_the_features(saved: Path):
    (saved / "model.safetensors").unlink()
    change(saved, feature_schema="0123456789abcdef")
    assert len(pretrained_platforms(saved)) == 3


@pytest.mark.parametrize("name", pretrained_names())
def test_shipped_weights_list_their_platforms(name: str):
    platforms = pretrained_platforms(name)
    assert len({platform.name for platform in platforms}) == len(platforms) >= 5
    assert "unknown" not in {platform.runtime for platform in platforms}


def test_a_configuration_that_cannot_be_used_is_refused(saved: Path):
    with pytest.raises(UnknownNameError):
        pretrained_platforms("nnformer-bas")
    change(saved, platforms=[{"name": "xeon"}])
    with pytest.raises(WeightsError, match=r"config.json: platforms.0.device: "):
        pretrained_platforms(saved)
    change(saved, schema_version=9)
    with pytest.raises(WeightsError, match="got 9"):
        pretrained_platforms(saved)


@pytest.mark.skipif(not pretrained_names(), reason="no weights are shipped")
def test_a_name_means_shipped_weights_whatever_lies_in_the_folder(saved: Path, monkeypatch: pytest.MonkeyPatch):
    name = pretrained_names()[0]
    shipped = pretrained_platforms(name)
    saved.rename(saved.parent / name)
    monkeypatch.chdir(saved.parent)
    assert pretrained_platforms(name) == shipped
    assert len(pretrained_platforms(f"./{name}")) == 3
