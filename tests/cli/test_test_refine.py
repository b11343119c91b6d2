"""``mmstreet test --refine``: the network's own maps and the refined ones, scored in the same run."""

import json

import numpy as np
import pytest
from PIL import Image

from mmstreet.evaluation.refinement_scores import ScoringRules
from mmstreet.labels import BDD100K_SEM19
from mmstreet.refine.refiners import VoteRefiner
from tests.helpers.color_model import write_png
from tests.helpers.color_streets import SHAPE
from tests.helpers.segmentation_oracle import count_pairs, scores
from tests.predict.test_binary import probability, write_binary

SOURCE = dict(type="mmstreet.SuperpixelMasks", area_px=16)


@pytest.fixture(autouse=True)
def refiners(streets, tmp_path):
    (tmp_path / "grow.py").write_text(f"refiner = dict(type='mmstreet.VoteRefiner', source={SOURCE!r}, protect=[], purity=0.3)\n")
    (tmp_path / "same.py").write_text(f"refiner = dict(type='mmstreet.VoteRefiner', source={SOURCE!r}, purity=1.1)\n")


def test_one_table_has_baseline_and_every_refiner(streets, run, tmp_path, capfd):
    run("test", "streets.py", "epoch_1.pth", "--out", "results", "--refine", "grow.py", "--refine", "same.py", "--worst", "2")
    report = json.loads((tmp_path / "results/refinement.json").read_text())
    metrics = json.loads((tmp_path / "results/metrics.json").read_text())["metrics"]
    by_name = {system["name"]: system for system in report["systems"]}
    assert list(by_name) == ["baseline", "grow", "same"]
    assert by_name["baseline"]["mIoU"] == pytest.approx(metrics["mIoU"])
    assert {str(limits) for limits in by_name["same"].pop("differences").values()} == {"None", "[0.0, 0.0]"}
    apart = {"name": "", "seconds_per_image": 0, "regions": {}, "regions_per_class": {}}
    assert by_name["same"] | apart == by_name["baseline"] | apart
    refine = VoteRefiner(classes="bdd100k_sem19", source=SOURCE, protect=[], purity=0.3)
    pairs = []
    for name, (labels, preds) in streets.items():
        image = np.array(Image.open(tmp_path / f"data/images/10k/val/{name}"))
        pairs.append((labels.tolist(), refine(image, preds)[0].tolist()))
    expected = scores(count_pairs(pairs), BDD100K_SEM19.names, groups={})
    assert by_name["grow"]["mIoU"] == pytest.approx(expected["mIoU"])
    for row in by_name["grow"]["per_class"]:
        wanted = expected.get(f"IoU/{row['class']}")
        assert row["IoU"] == (None if wanted is None else pytest.approx(wanted))
    assert by_name["grow"]["changed_percent"] > 0 == by_name["same"]["changed_percent"]
    assert all(system["seconds_per_image"] > 0 for system in report["systems"])

    printed = "".join(capfd.readouterr())
    assert "| mIoU " in printed
    assert "boundary IoU, 3 px" in printed
    assert f"{by_name['grow']['mIoU']:.2f} ({by_name['grow']['mIoU'] - by_name['baseline']['mIoU']:+.2f}, " in printed
    kept = json.loads((tmp_path / "results/refinement/index.json").read_text())
    assert list(kept["images"][0]["pictures"]) == ["image", "truth", "baseline", "grow", "same"]
    assert len(kept["images"]) == 2
    row = kept["images"][0]
    labels, preds = streets[row["title"]]
    assert row["right"]["baseline"] == pytest.approx(100 * (labels == preds)[labels != 255].mean())
    assert (np.asarray(Image.open(tmp_path / "results/refinement" / row["pictures"]["baseline"])) == preds).all()


def test_table_and_page_say_why_a_refiner_changed_nothing(streets, run, tmp_path, capfd):
    run("test", "streets.py", "epoch_1.pth", "--out", "results", "--refine", "same.py", "--worst", "0")
    refine = VoteRefiner(classes="bdd100k_sem19", source=SOURCE, purity=1.1)
    expected = {}
    for name, (_, preds) in streets.items():
        image = np.array(Image.open(tmp_path / f"data/images/10k/val/{name}"))
        for region in refine(image, preds)[1].regions:
            label = BDD100K_SEM19.names[region.class_id]
            verdicts = expected.setdefault(label, {})
            kind = region.verdict.split(":")[0]
            verdicts[kind] = verdicts.get(kind, 0) + 1
    system = json.loads((tmp_path / "results/refinement.json").read_text())["systems"][1]
    assert system["changed_percent"] == 0
    assert system["regions_per_class"] == expected
    mixed = sum(found.get("refused, mixed", 0) for found in expected.values())
    assert system["regions"]["refused, mixed"] == mixed > 0
    printed, page = "".join(capfd.readouterr()), (tmp_path / "results/report.html").read_text()
    assert "| all: refused, mixed" in printed
    for label, found in expected.items():
        for kind, number in found.items():
            line = next(line for line in printed.splitlines() if line.startswith(f"| {label}: {kind} "))
            assert line.split("|")[2].strip() == f"{number:,}"
            assert f"<th>{label}: {kind}</th><td>{number}" in page


def test_pictures_are_refined_and_kept_as_the_loader_turns_them(streets, run, tmp_path):
    """A picture that lies on its side, with a tag to turn it by a quarter, and labels that were made on the upright one."""
    for name in streets:
        path = tmp_path / f"data/images/10k/val/{name}"
        upright = Image.open(path)
        exif = upright.getexif()
        exif[0x0112] = 6
        upright.transpose(Image.Transpose.ROTATE_90).save(path, quality=100, subsampling=0, exif=exif)
    text = (tmp_path / "streets.py").read_text().replace("type='mmstreet.LoadImage'", "type='mmstreet.LoadImage', orientation='exif'")
    (tmp_path / "turned.py").write_text(text)
    run("test", "turned.py", "epoch_1.pth", "--out", "results", "--refine", "same.py", "--safety", "--worst", "1")
    baseline, same = json.loads((tmp_path / "results/refinement.json").read_text())["systems"]
    pairs = [(labels.tolist(), preds.tolist()) for labels, preds in streets.values()]
    expected = scores(count_pairs(pairs), BDD100K_SEM19.names, groups={})["mIoU"]
    assert baseline["mIoU"] == same["mIoU"] == pytest.approx(expected)
    for index in ("refinement", "images"):
        row, *_ = json.loads((tmp_path / f"results/{index}/index.json").read_text())["images"]
        photo = np.asarray(Image.open(tmp_path / "results" / index / row["pictures"]["image"]).convert("L"))
        colors = np.array(BDD100K_SEM19.palette, np.uint8)[streets[row["title"]][1]]
        upright = np.asarray(Image.fromarray(colors).convert("L"))
        assert np.corrcoef(photo.ravel(), upright.ravel())[0, 1] > 0.95
    assert Image.open(tmp_path / "results/safety/scenes/worst_01.jpg").size == SHAPE[::-1]


def test_refiners_start_from_a_binary_heads_own_cut(run, tmp_path):
    change = """
test_dataloader.update(batch_size=2, num_workers=0, sampler=dict(type="DefaultSampler", shuffle=False))
test_dataloader["dataset"].update(img_suffix=".png")
test_cfg = dict(type="TestLoop")
test_evaluator = dict(type="mmstreet.StreetIoUMetric", table=[dict(name="ground"), dict(name="water")])
"""
    paths = write_binary(tmp_path, threshold=0.3, change=change)
    pairs = []
    for i in range(2):
        image = np.random.default_rng(i).integers(0, 256, (24, 36, 3), dtype=np.uint8)
        labels = (image[..., 1] > 128).astype(np.uint8)
        write_png(tmp_path / f"images/{i}.png", image)
        write_png(tmp_path / f"labels/{i}.png", labels)
        pairs.append((labels.tolist(), (probability(image) > 0.3).astype(int).tolist()))
    run("test", *paths, "--out", "results", "--refine", "same.py", "--worst", "0")
    expected = scores(count_pairs(pairs), ("ground", "water"), groups={})["mIoU"]
    baseline, same = json.loads((tmp_path / "results/refinement.json").read_text())["systems"]
    assert baseline["mIoU"] == same["mIoU"] == pytest.approx(expected)


def test_a_config_with_a_refiner_of_its_own_is_tested_with_it(streets, run, tmp_path):
    text = (tmp_path / "streets.py").read_text() + (tmp_path / "grow.py").read_text()
    (tmp_path / "best.py").write_text(text)
    run("test", "best.py", "epoch_1.pth", "--out", "results", "--worst", "0")
    report = json.loads((tmp_path / "results/refinement.json").read_text())
    assert [system["name"] for system in report["systems"]] == ["baseline", "best"]
    assert not (tmp_path / "results/refinement").exists()


@pytest.mark.parametrize(
    ("refine", "message"),
    [
        (["absent.py"], "refiner config 'absent.py' does not exist"),
        (["streets.py"], "config 'streets.py' sets no 'refiner'"),
        (["grow.py", "grow.py"], "two systems are named 'grow'"),
        (["odd.py"], "purify"),
        (["far.py"], "does not exist; give a folder with config.json"),
    ],
)
def test_a_refiner_that_cannot_be_built_stops_the_test_before_the_first_image(streets, refusal, tmp_path, refine, message):
    (tmp_path / "odd.py").write_text(
        "refiner = dict(type='mmstreet.VoteRefiner', source=dict(type='mmstreet.SuperpixelMasks'), purify=1)\n"
    )
    (tmp_path / "far.py").write_text("refiner = dict(type='mmstreet.SAMRefiner', weights='./nowhere')\n")
    options = [part for name in refine for part in ("--refine", name)]
    assert message in refusal("test", "streets.py", "epoch_1.pth", "--out", "results", *options)
    assert not (tmp_path / "results/metrics.json").exists()


def test_background_counts_as_the_scope_says():
    labels = np.zeros((8, 8), np.uint8)
    labels[:, 4:] = 2  # background of a model of two classes
    preds = np.zeros((8, 8), np.uint8)
    scene = ScoringRules(("a", "b"), background=True, scene=True).count(labels, preds)
    labelled = ScoringRules(("a", "b"), background=True).count(labels, preds)
    assert (scene.confusion[0, 0], scene.confusion[2, 0]) == (32, 32)
    assert (labelled.confusion[0, 0], labelled.confusion[2].sum()) == (32, 0)
    total = scene + labelled
    assert total.confusion[0, 0] == 64
