import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmstreet.labels import CAMVID11
from mmstreet.models import clip
from mmstreet.models.clip import ClipTeacher, dense_features, load_clip
from mmstreet.models.text_embeddings import load_text_embeddings, save_text_embeddings
from mmstreet.models.text_prompts import TEMPLATES, embed_classes, prompt_names
from tests.helpers.published_carb import IMAGENET_MEAN, IMAGENET_STD, published_encoder, published_scores
from tests.helpers.tiny_clip import WIDTH, save_tiny_clip

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def embeddings(tmp_path):
    rows = F.normalize(torch.randn(11, WIDTH, generator=torch.Generator().manual_seed(0)), dim=1).numpy()
    save_text_embeddings(tmp_path / "text.npz", rows, classes=CAMVID11.names, prompts=CAMVID11.names, model="none")
    return tmp_path / "text.npz"


@pytest.fixture
def teacher(folder, embeddings):
    return ClipTeacher(model=str(folder), text_embeddings=str(embeddings), table="camvid11")


def test_the_value_path_equals_attention_to_oneself_alone(folder):
    vision = load_clip("CLIPVisionModelWithProjection", str(folder)).eval()
    pixels = torch.randn(2, 3, 48, 80, generator=torch.Generator().manual_seed(0))
    expected = published_scores(vision, torch.eye(WIDTH), pixels)  # each entry of the features alone
    with torch.no_grad():
        features = dense_features(vision, pixels)
    assert features.shape == (2, WIDTH, 3, 5)
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-6)


def test_sides_that_are_no_multiples_of_the_patch_are_refused(folder):
    with pytest.raises(ValueError, match="multiples of its patch, 16 px, got 40x64"):
        dense_features(load_clip("CLIPVisionModelWithProjection", str(folder)), torch.zeros(1, 3, 40, 64))


def test_similarities_are_cosines_of_clip_normalised_pixels(teacher):
    images = 255 * torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    scores = teacher(images)
    mean, std = torch.tensor(clip.CLIP_MEAN)[:, None, None], torch.tensor(clip.CLIP_STD)[:, None, None]
    features = dense_features(teacher.vision, (images - mean) / std)
    torch.testing.assert_close(scores, torch.einsum("bdhw,cd->bchw", features, teacher.text_embeddings))
    assert (scores.abs() <= 1).all()


@pytest.mark.parametrize("size_hw", [(32, 48), (33, 48), (40, 70), (31, 17)])
def test_scores_of_any_size_are_the_published_ones_of_the_same_encoder(teacher, size_hw):
    images = 255 * torch.rand(2, 3, *size_hw, generator=torch.Generator().manual_seed(0))
    expected = published_scores(teacher.vision, teacher.text_embeddings, (images - teacher.mean) / teacher.std)
    torch.testing.assert_close(teacher(images), expected, rtol=1e-5, atol=1e-6)
    present = torch.ones(2, 11, dtype=torch.bool)
    labels = F.interpolate(expected, size_hw, mode="bilinear", align_corners=False).argmax(1)
    assert (teacher.label(images, present) == labels).float().mean() > 0.999  # ties within rounding


def test_a_local_patch_has_the_published_labels(teacher):
    """The published patch is enlarged to int(side · factor), any size, and the scores of its grid are stretched over the patch."""
    images, present = 255 * torch.rand(2, 3, 60, 90, generator=torch.Generator().manual_seed(0)), torch.ones(2, 11, dtype=torch.bool)
    for seed in range(4):
        torch.manual_seed(seed)
        labels, (y, x) = teacher.label_patch(images, present, (30, 40), (1.0, 2.0))
        torch.manual_seed(seed)
        offset = torch.randint(0, 31, ()), torch.randint(0, 51, ())
        factor = 1 + torch.rand(()).item()
        assert (y, x) == offset
        patch = F.interpolate(images[..., y : y + 30, x : x + 40], (int(30 * factor), int(40 * factor)), mode="bilinear")
        scores = published_scores(teacher.vision, teacher.text_embeddings, (patch - teacher.mean) / teacher.std)
        expected = F.interpolate(scores, (30, 40), mode="bilinear", align_corners=False).argmax(1)
        assert (labels == expected).float().mean() > 0.999  # ties within rounding


def test_the_encoder_is_clips_own_where_the_published_one_is_not(teacher):
    """QuickGELU and eps 1e-5 are what CLIP's weights were trained with; the published code has GELU, eps 1e-6 and ImageNet's colours."""
    images = 255 * torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    mlp = teacher.vision.vision_model.encoder.layers[0].mlp
    x = torch.randn(1, 2, 32, generator=torch.Generator().manual_seed(0))
    inner = mlp.fc1(x)
    torch.testing.assert_close(mlp(x), mlp.fc2(inner * torch.sigmoid(1.702 * inner)))
    assert {module.eps for module in teacher.vision.modules() if isinstance(module, torch.nn.LayerNorm)} == {1e-5}
    pixels = (images - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_STD)[:, None, None]
    published = published_scores(published_encoder(teacher.vision), teacher.text_embeddings, pixels)
    assert (published - teacher(images)).abs().max() > 1e-3


def test_half_precision_is_asked_for_on_a_gpu_under_autocast_only(monkeypatch):
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    with torch.autocast("cpu", torch.bfloat16):
        assert clip.half_precision(cpu) is None
        assert clip.half_precision(cuda) is None
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: kind == "cuda")
    assert clip.half_precision(cuda) == torch.get_autocast_dtype("cuda")
    assert clip.half_precision(cpu) is None


@pytest.mark.parametrize("half", [None, torch.bfloat16])
def test_the_encoder_runs_in_the_precision_asked_for_and_the_similarities_in_float32(teacher, monkeypatch, half):
    images = 255 * torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    exact, ran_in = teacher(images), []
    teacher.vision.visual_projection.register_forward_hook(lambda module, inputs, output: ran_in.append(output.dtype))
    monkeypatch.setattr(clip, "half_precision", lambda device: half)
    with torch.autocast("cpu", torch.bfloat16):
        scores = teacher(images)
    assert ran_in == [half or torch.float32]
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, exact, rtol=0, atol=0 if half is None else 0.02)


def test_the_teacher_is_frozen_and_stays_in_evaluation_mode(teacher):
    teacher.train()
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert not any(module.training for module in teacher.modules())


def test_a_patch_is_labelled_at_its_place_with_its_valid_part(teacher):
    torch.manual_seed(0)
    images, present = 255 * torch.rand(2, 3, 50, 70), torch.ones(2, 11, dtype=torch.bool)
    labels, (y, x) = teacher.label_patch(images, present, (30, 40), (1.0, 2.0), [(50, 70), (y_end := 25, 35)])
    assert labels.shape == (2, 30, 40)
    assert (labels[0] < 11).all()
    inside = labels[1] != 255
    assert inside.sum() == max(min(y_end - y, 30), 0) * max(min(35 - x, 40), 0)


@pytest.mark.parametrize("kind", ["CLIPVisionModelWithProjection", "CLIPTextModelWithProjection", "CLIPTokenizer"])
def test_a_folder_without_the_model_is_one_sentence(tmp_path, kind):
    with pytest.raises(OSError, match=f"folder '{tmp_path}' holds no such model .* it should contain .*json") as caught:
        load_clip(kind, str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_tokenizer_without_its_files_is_refused(folder, tmp_path):
    for name in ("config.json", "model.safetensors", "tokenizer_config.json"):
        shutil.copy(folder / name, tmp_path)
    with pytest.raises(OSError, match=r"it should contain tokenizer\.json, tokenizer_config\.json, vocab\.json, merges\.txt"):
        load_clip("CLIPTokenizer", str(tmp_path))
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(folder / name, tmp_path)
    assert len(load_clip("CLIPTokenizer", str(tmp_path))) == len(load_clip("CLIPTokenizer", str(folder)))


def test_there_are_85_different_sentences():
    assert len(set(TEMPLATES)) == 85
    assert all(template.count("{}") == 1 for template in TEMPLATES)


def test_class_names_follow_the_published_prompts():
    words = (
        "road sidewalk building wall fence pole,traffic light,traffic sign,tree grass sky pedestrian rider car truck bus train motorcycle"
    )
    expected = [word for part in words.split(",") for word in ([part] if part.startswith("traffic") else part.split())] + ["bicycle"]
    assert prompt_names("cityscapes19") == expected
    assert prompt_names("camvid11")[4] == "sidewalk"
    assert prompt_names("camvid11", {"tree": "oak"})[5] == "oak"
    with pytest.raises(KeyError, match="class 'moon' is not in table"):
        prompt_names("camvid11", {"moon": "x"})


def test_embeddings_are_the_mean_of_unit_sentences(folder):
    tokenizer, text = load_clip("CLIPTokenizer", str(folder)), load_clip("CLIPTextModelWithProjection", str(folder)).eval()
    rows = embed_classes(["road", "sky"], tokenizer, text, templates=("a {}.", "the {}."))
    for row, word in zip(rows, ("road", "sky")):
        vectors = []
        for sentence in (f"a {word}.", f"the {word}."):
            tokens = tokenizer([sentence], padding="max_length", max_length=77, return_tensors="pt")
            with torch.no_grad():
                vector = text(**tokens).text_embeds[0].numpy()
            vectors.append(vector / np.linalg.norm(vector))
        mean = np.mean(vectors, 0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows, names: (rows, names[:10]), "embeddings of 10 classes, but the model has 11"),
        (
            lambda rows, names: (rows, [*names[:3], names[4], names[3], *names[5:]]),
            "'pavement' in row 3, but class 3 of the model is 'road'",
        ),
        (
            lambda rows, names: (rows[:, :8] / np.linalg.norm(rows[:, :8], axis=1, keepdims=True), names),
            r"\[11, 8\], but the model needs \[11, 16\]",
        ),
    ],
)
def test_embeddings_that_do_not_fit_are_named(embeddings, tmp_path, change, said):
    rows = load_text_embeddings(embeddings, classes=CAMVID11.names)
    rows, names = change(rows, list(CAMVID11.names))
    save_text_embeddings(tmp_path / "other.npz", rows, classes=names, prompts=names, model="none")
    with pytest.raises(ValueError, match=said):
        load_text_embeddings(tmp_path / "other.npz", classes=CAMVID11.names, width=WIDTH)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: 2 * rows, r"must be unit vectors, but row \d+ \('\w+'\) is not"),
        (lambda rows: np.where(np.arange(11)[:, None] == 3, np.nan, rows), r"but row 3 \('road'\) is not"),
        (lambda rows: rows[[0, 1, 2, 3, 4, 5, 6, 7, 1, 9, 10]], r"of 'building' and 'car' coincide \(cosine 1\.0000"),
    ],
)
def test_embeddings_that_say_nothing_are_neither_written_nor_read(embeddings, tmp_path, change, said):
    rows = change(load_text_embeddings(embeddings, classes=CAMVID11.names))
    names, path = CAMVID11.names, tmp_path / "other.npz"
    with pytest.raises(ValueError, match=said):
        save_text_embeddings(path, rows, classes=names, prompts=names, model="none")
    assert not path.exists()
    np.savez(path, embeddings=rows, classes=np.array(names))
    with pytest.raises(ValueError, match=said):
        load_text_embeddings(path, classes=names)


def test_a_missing_or_foreign_file_of_embeddings_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="make them with mmstreet text-embeddings"):
        load_text_embeddings(tmp_path / "none.npz", classes=CAMVID11.names)
    save_text_embeddings(tmp_path / "whole.npz", np.eye(11), classes=CAMVID11.names, prompts=CAMVID11.names, model="none")
    whole = (tmp_path / "whole.npz").read_bytes()
    for content in (b"text", b"", b"PK", whole[:-40], whole[:100] + b"?" + whole[101:], np.eye(11).tobytes()):
        (tmp_path / "foreign.npz").write_bytes(content)
        with pytest.raises(ValueError, match="is no file of text embeddings"):
            load_text_embeddings(tmp_path / "foreign.npz", classes=CAMVID11.names)
