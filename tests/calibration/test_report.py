from __future__ import annotations

import errno
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from synthetic import chain

from costmodel.calibration.adaptation import Adaptation, Candidate
from costmodel.calibration.calibration import Calibration
from costmodel.calibration.measurement import Measurement
from costmodel.calibration.network_profiles import NetworkProfiles
from costmodel.calibration.report import CalibrationReport, LearningPoint, learning_curve, suggest_next, write_html
from costmodel.calibration.report.chart import shortened
from costmodel.calibration.report.scales import LinearScale, LogScale
from costmodel.calibration.report.scatter_chart import scatter_chart
from costmodel.calibration.report.wording import resemblance_sentence
from costmodel.calibration.strategies import MixedPlatforms, Mixture, RescaledPlatform
from costmodel.calibration.strategies.mixture import LogCorrection
from costmodel.calibration.testing import synthetic_profiles
from costmodel.cli.output import Format, Output
from costmodel.errors import DataError
from costmodel.features.cost_term import CostTerm
from costmodel.features.kernel_class import KernelClass
from costmodel.platforms import named_platform
from costmodel.predictor import Predictor
from costmodel.pretrained import Adapter
from costmodel.training.metrics import mape_percent

PLATFORMS, KERNELS, TERMS = 3, len(KernelClass), len(CostTerm)


@pytest.fixture
def calibration(untrained_bundle) -> Calibration:
    """Four networks fitted and two held back, with round figures."""
    return made_calibration(untrained_bundle)


def pooling_takes(factor):
    factors = np.ones((KERNELS, TERMS))
    factors[KernelClass.POOLING] = factor
    return Mixture(np.outer([1.0, 0.0, 0.0], np.ones(TERMS)), factors)


def made_calibration(bundle, names=("a-0", "a-1", "b-0", "b-1"), measured=(10, 20, 40, 80), left_out=(11, 20, 50, 80)):
    profiles = NetworkProfiles(
        np.zeros((len(names), PLATFORMS, KERNELS, TERMS)), np.zeros((len(names), KERNELS, TERMS))
    )
    profiles.term_ms[:, :, KernelClass.CONV] = 1
    profiles.term_ms[:, :, KernelClass.POOLING] = 1
    mixture = Mixture(np.outer([3.0, 1.0, 0.0], np.ones(TERMS)), np.ones((KERNELS, TERMS)))
    mixture.factors[KernelClass.POOLING] = 4
    without = tuple(map(pooling_takes, (15, 14, 12, 10)))  # only of pooling do the fits think differently
    candidates = (
        Candidate("rescaled platform", without, np.array(left_out) * 2.0, 99.0),
        Candidate("scaled kernels", without, np.array(left_out, dtype=float), 8.75),
    )
    adapter = Adapter(
        platform=named_platform("board"),
        weights="untrained",
        fingerprint=bundle.fingerprint,
        mix={bundle.config.platforms[0].name: (1.0,) * 4},
        error_quantile=np.log(1.3),
    )
    held_back = measurements(("a-2", "b-2"), (10, 20))
    return Calibration(
        adapter,
        Predictor(bundle).with_platform(adapter),
        Adaptation(mixture, candidates[1], candidates),
        measurements(names, measured),
        held_back,
        np.array([15.0, 21.0]),
        profiles,
        NetworkProfiles.of_features(bundle, [measurement.features for measurement in held_back], [1, 1]),
    )


def measurements(names, latencies_ms):
    rng = np.random.default_rng(0)
    return tuple(
        Measurement(name, name[0], chain(4, rng), 1, float(latency_ms))
        for name, latency_ms in zip(names, latencies_ms, strict=True)
    )


def test_the_document_says_what_was_found(calibration):
    report = CalibrationReport(calibration, suggestions=["vgg-0001"])
    document = json.loads(json.dumps(report.document(), allow_nan=False))
    first, second, _ = (platform.name for platform in calibration.predictor.bundle.config.platforms)

    assert (document["platform"], document["strategy"]) == ("board", "scaled kernels")
    assert document["strategies"][0] == {"strategy": "rescaled platform", "error_percent": 99.0}
    assert (document["fell_back"], document["fallback"]) == (False, None)
    assert document["error_percent"] == pytest.approx((10 + 0 + 25 + 0) / 4)
    assert document["held_back_error_percent"] == pytest.approx((50 + 5) / 2)
    assert document["interval"] == pytest.approx(
        {"factor": 1.3, "coverage_percent": 100 * 5 / 6, "held_back_coverage_percent": 50}
    )
    assert document["mix"] == [
        {"platform": first, "share_percent": pytest.approx(75)},
        {"platform": second, "share_percent": pytest.approx(25)},
    ]
    assert document["kernel_factors"] == [
        {"kernel": "POOLING", "factor": pytest.approx(4), "share_percent": pytest.approx(80)}
    ]
    assert document["families"] == [
        {"family": "a", "networks": 3, "error_percent": pytest.approx(20)},
        {"family": "b", "networks": 3, "error_percent": pytest.approx(10)},
    ]
    assert [point["networks"] for point in document["learning_curve"]] == [3]
    assert document["suggestions"] == ["vgg-0001"]
    assert document["networks"][0] == {
        **{"model": "a-0", "family": "a", "batch": 1, "role": "fitted", "measured_ms": 10, "predicted_ms": 11},
        **{"low_ms": pytest.approx(11 / 1.3), "high_ms": pytest.approx(11 * 1.3), "within": True},
    }
    assert [(row["role"], row["within"]) for row in document["networks"][4:]] == [
        ("held back", False),
        ("held back", True),
    ]


def test_without_networks_held_back_nothing_is_said_of_them(calibration):
    nothing = {"held_back": (), "held_back_ms": np.empty(0)}
    alone = replace(calibration, **nothing, held_back_profiles=calibration.held_back_profiles.subset([]))
    document = CalibrationReport(alone).document()
    assert document["held_back_error_percent"] is None
    assert document["interval"]["held_back_coverage_percent"] is None


def test_corrections_are_told(calibration, tmp_path):
    correction = LogCorrection(np.log(1.2), np.zeros(PLATFORMS), 1.0)
    corrected = replace(calibration.adaptation.mixture, correction=correction)
    report = CalibrationReport(replace(calibration, adaptation=replace(calibration.adaptation, mixture=corrected)))
    Output(Format.TABLE, tmp_path / "report.txt").write(report)
    assert report.document()["correction_percent"] == pytest.approx(20)
    assert "corrected, by 20.0 % on average" in (tmp_path / "report.txt").read_text()
    assert CalibrationReport(calibration).correction_percent is None


def test_falling_back_is_said_in_words(calibration, tmp_path):
    adaptation = calibration.adaptation
    report = CalibrationReport(replace(calibration, adaptation=replace(adaptation, chosen=adaptation.candidates[0])))
    words = f"Nothing was better than {calibration.predictor.bundle.config.platforms[0].name} rescaled."

    Output(Format.TABLE, tmp_path / "report.txt").write(report)
    write_html(report, tmp_path / "report.html")

    assert report.document()["fallback"] == words
    assert words in " ".join((tmp_path / "report.txt").read_text().split())
    assert words in (tmp_path / "report.html").read_text()


def test_the_text_says_how_far_to_trust_it_and_what_to_do(calibration, tmp_path):
    Output(Format.TABLE, tmp_path / "report.txt").write(CalibrationReport(calibration, suggestions=["vgg-1", "vgg-2"]))
    text = (tmp_path / "report.txt").read_text()

    assert "Trust it to choose between networks that clearly differ" in text
    assert "0.77 to 1.30 times what is predicted" in text
    assert "vgg-1, vgg-2" in text
    assert "costmodel predict MODEL.onnx -p board" in text
    assert CalibrationReport(calibration, folder=Path("my board")).next_command.endswith(" -p 'my board'")
    worst_first = [line.split()[0] for line in text.splitlines() if re.match(r"[ab]-\d", line)]
    assert worst_first[:3] == ["a-2", "b-0", "a-0"]


@pytest.mark.parametrize("seed", range(20))
def test_the_network_that_set_the_width_is_within(untrained_bundle, seed):
    rng = np.random.default_rng(seed)
    measured, left_out = rng.uniform(1, 100, size=(2, 4))
    calibration = made_calibration(untrained_bundle, measured=measured, left_out=left_out)
    width = float(np.abs(np.log(left_out / measured)).max())
    wide = replace(calibration, adapter=calibration.adapter.model_copy(update={"error_quantile": width}))
    assert all(result.within for result in CalibrationReport(wide).results[:4])


def test_the_curve_falls_where_the_model_holds():
    profiles = synthetic_profiles(16)
    latency_ms = profiles.latency_ms @ np.array([0.5, 0.0, 3.0])
    few, many = learning_curve(profiles, latency_ms, strategies=[MixedPlatforms()], sizes=(3, 14, 15), repeats=4)
    assert (few.networks, many.networks) == (3, 14)
    assert many.error_percent < 0.5 * few.error_percent
    assert many.spread_percent < few.spread_percent


def test_a_point_of_the_curve_is_the_error_on_all_others():
    profiles, rng = synthetic_profiles(5), np.random.default_rng(0)
    latency_ms = profiles.latency_ms[:, 0] * rng.uniform(1, 3, 5)
    (point,) = learning_curve(profiles, latency_ms, strategies=[], sizes=[3], repeats=1)

    possible = []
    for fitted in map(list, combinations(range(5), 3)):
        others = [row for row in range(5) if row not in fitted]
        mixture = RescaledPlatform().fit(profiles.subset(fitted), latency_ms[fitted])
        possible.append(mape_percent(mixture.latency_ms(profiles.subset(others)), latency_ms[others]))
    assert np.isclose(point.error_percent, possible).any()
    assert point.spread_percent == 0


def test_the_same_seed_draws_the_same_curve():
    profiles = synthetic_profiles(8)
    curves = [
        learning_curve(profiles, profiles.latency_ms.sum(axis=1), strategies=[], sizes=[3], seed=seed)
        for seed in (0, 0, 1)
    ]
    assert curves[0] == curves[1] != curves[2]


def test_suggests_what_the_fits_disagree_on_and_nothing_twice(calibration):
    candidates = NetworkProfiles(np.zeros((4, PLATFORMS, KERNELS, TERMS)), np.zeros((4, KERNELS, TERMS)))
    for row, (conv, pooling) in enumerate([(1000, 0), (0, 9), (0, 9), (1.5, 1.5)]):
        candidates.term_ms[row, :, KernelClass.CONV] = conv
        candidates.term_ms[row, :, KernelClass.POOLING] = pooling
    names = ["conv", "pooling", "copy", "half"]

    assert suggest_next(calibration, candidates, names) == ["pooling", "half", "conv", "copy"]
    assert suggest_next(calibration, candidates, names, 2) == ["pooling", "half"]
    assert suggest_next(calibration, candidates.subset([]), []) == []


class Page(HTMLParser):
    """Reads a page, and fails where elements do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value for name, value in attrs if name == "id"]
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_is_whole_and_needs_nothing_else(calibration, tmp_path):
    write_html(CalibrationReport(calibration, suggestions=["vgg-1"]), tmp_path / "new" / "report.html")
    text = (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
    page = Page(text)

    assert page.tags.count("svg") == 4 + 1  # four charts, the band in one of them
    assert page.tags.count("tr") >= 1 + 6
    assert "Measure these next" in page.texts
    assert len(page.ids) == len(set(page.ids))
    assert not page.attributes & {"src", "href", "xlink:href", "srcset"}
    assert not re.search(r"https?://|url\(|@import", text)
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "report.html"]


def test_names_are_text_whatever_they_are(untrained_bundle, tmp_path):
    names = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&lt;b&gt;", "caf\udce9")
    report = CalibrationReport(made_calibration(untrained_bundle, names), suggestions=names)
    write_html(report, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))

    assert not {"script", "img", "b"} & set(page.tags)
    assert set(names[:3]) <= set(page.texts)


@pytest.mark.parametrize("networks", [3, 60])
def test_pages_of_few_and_of_many_networks_are_whole(untrained_bundle, networks, tmp_path):
    latencies = np.geomspace(0.002, 30000, networks)
    names = [f"{chr(ord('a') + row % 26)}-{'x' * row}" for row in range(networks)]
    report = CalibrationReport(made_calibration(untrained_bundle, names, latencies, latencies * 1.1))
    report.learning_curve = (LearningPoint(3, 500.0, 600.0), LearningPoint(50, 0.0, 0.0))
    write_html(report, tmp_path / "report.html")
    assert Page((tmp_path / "report.html").read_text()).tags.count("circle") >= networks


@pytest.mark.parametrize("factor, half", [(10, 176), (1e9, 352)])
def test_the_band_is_as_wide_as_the_interval_and_ends_at_the_axes(calibration, factor, half):
    results = [replace(CalibrationReport(calibration).results[0], measured_ms=2, predicted_ms=50)]
    (points,) = re.findall(r'points="([^"]*)"', scatter_chart(results, factor))  # axes from 1 to 100, 352 long
    assert points.split()[0] == f"0.0,{352 - half}.0"
    assert points.split()[2] == f"{half}.0,352.0"


@pytest.mark.parametrize("least, most", [(3.1, 3.9), (2, 2), (20, 5000), (0.0011, 90_000), (1e-9, 1e9)])
def test_log_scales_hold_everything_and_have_a_few_round_ticks(least, most):
    scale = LogScale.over([least, most], 60, 400)
    ticks = scale.ticks()
    assert 60 < scale(least) <= scale(most) < 400
    assert 2 <= len(ticks) <= 7
    assert all(after - before > 40 for before, after in pairwise(map(scale, ticks)))  # a label is 40 wide
    assert all(f"{tick:e}"[0] in "125" and f"{tick:e}"[1:8] == ".000000" for tick in ticks)


@pytest.mark.parametrize("most, ticks", [(23, [0, 5, 10, 15, 20, 25]), (1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (300, None)])
def test_linear_scales_start_at_zero(most, ticks):
    scale = LinearScale.up_to(most, 280, 30)
    assert scale(0) == 280
    assert scale.ticks() == pytest.approx(ticks or [0, 50, 100, 150, 200, 250, 300])
    assert scale(scale.ticks()[-1]) == 30


def test_long_names_keep_both_ends():
    assert shortened("mobilenetv3-large-100", 9) == "mobi…-100"
    assert shortened("resnet-18", 9) == "resnet-18"


def test_a_full_disk_leaves_the_earlier_page(calibration, tmp_path, monkeypatch):
    def half_written(path: Path, text: str, **_: str) -> int:
        path.write_bytes(text.encode()[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "report.html").write_text("earlier")
    monkeypatch.setattr(Path, "write_text", half_written)
    with pytest.raises(DataError, match=r"No space left on device.* make room"):
        write_html(CalibrationReport(calibration), tmp_path / "report.html")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"earlier"]


def test_a_place_that_cannot_be_is_refused(calibration, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="name another place"):
        write_html(CalibrationReport(calibration), tmp_path / "file" / "report.html")


RATES = {kernel.name: (1.0, 2.0, 3.0, 4.0) for kernel in KernelClass}


def with_rates(calibration: Calibration, mix: np.ndarray) -> CalibrationReport:
    mixture = replace(calibration.adaptation.mixture, mix=mix, rates=np.tile([1.0, 2.0, 3.0, 4.0], (KERNELS, 1)))
    adapter = calibration.adapter.model_copy(update={"rates": RATES})
    adaptation = replace(calibration.adaptation, mixture=mixture)
    return CalibrationReport(replace(calibration, adapter=adapter, adaptation=adaptation))


def test_a_platform_like_no_other_says_so(calibration):
    report = with_rates(calibration, np.zeros((PLATFORMS, TERMS)))
    assert resemblance_sentence(report) == "Like no known platform: its rates are its own."
    document = report.document()
    assert (document["mix"], document["kernel_factors"], document["rates"]) == ([], [], RATES)


def test_rates_beside_a_mix_are_told(calibration):
    plain = resemblance_sentence(CalibrationReport(calibration))
    beside = resemblance_sentence(with_rates(calibration, calibration.adaptation.mixture.mix))
    assert beside == f"{plain} Every prediction is the geometric mean of that and of rates of its own."
