import pytest
import torch
import torch.nn.functional as F

from mmstreet.models.pseudo_mask import enlarge, four_views, pseudo_labels, sample_patch
from tests.helpers.published_carb import published_masks


def some_scores(salt=0):
    return torch.randn(3, 5, 4, 6, generator=torch.Generator().manual_seed(salt))


PRESENT = torch.tensor([[1, 0, 1, 0, 0], [0, 1, 1, 1, 1], [0, 0, 0, 0, 1]], dtype=torch.bool)


def test_negative_similarities_never_give_an_absent_class():
    scores = -some_scores().abs() - 0.1
    labels = pseudo_labels(scores, PRESENT, (9, 13))
    for label, present in zip(labels, PRESENT):
        assert present[label.unique()].all()
    published = published_masks(scores, PRESENT, (9, 13))
    assert not PRESENT[0][published[0].unique()].any()


def test_positive_similarities_give_the_published_masks():
    scores = some_scores().abs() + 0.1
    assert torch.equal(pseudo_labels(scores, PRESENT, (9, 13)), published_masks(scores, PRESENT, (9, 13)))


def test_it_is_the_best_of_the_present_classes_after_interpolation():
    scores = some_scores()
    labels = pseudo_labels(scores, PRESENT, (8, 12))
    for i, present in enumerate(PRESENT):
        ids = present.nonzero().flatten()
        expected = ids[F.interpolate(scores[i : i + 1, ids], (8, 12), mode="bilinear", align_corners=False)[0].argmax(0)]
        assert torch.equal(labels[i], expected)


def test_an_image_without_any_class_and_padding_are_ignored():
    present = PRESENT.clone()
    present[1] = False
    labels = pseudo_labels(some_scores(), present, (8, 12), valid_hw=[(8, 12), (8, 12), (5, 7)])
    assert (labels[0] != 255).all()
    assert (labels[1] == 255).all()
    assert (labels[2, :5, :7] != 255).all()
    assert (labels[2, 5:] == 255).all()
    assert (labels[2, :, 7:] == 255).all()


def test_present_of_another_width_is_refused():
    with pytest.raises(ValueError, match=r"present must be \[B, C\] = \[3, 5\]"):
        pseudo_labels(some_scores(), PRESENT[:, :4], (8, 12))


def test_every_offset_of_a_patch_is_drawn():
    torch.manual_seed(0)
    drawn = {sample_patch((10, 5), (10, 4)) for _ in range(40)}
    assert drawn == {((0, 0), (10, 4)), ((0, 1), (10, 4))}


def test_a_patch_larger_than_the_view_is_cut_to_it():
    assert sample_patch((10, 300), (512, 300)) == ((0, 0), (10, 300))


def test_sides_are_enlarged_and_rounded_down():
    images = torch.rand(1, 3, 17, 40)
    assert enlarge(images, 1.99).shape == (1, 3, 33, 79)
    assert enlarge(images, 0.01).shape == (1, 3, 1, 1)
    assert enlarge(images, 1) is images
    torch.testing.assert_close(enlarge(images, 2), F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False))


def test_the_four_views_ask_for_the_right_pictures():
    """A scorer that says how large the picture was that it saw: class 0 for 32 px wide, 1 for 64, 2 for 16."""
    seen = []

    def score(images):
        seen.append(tuple(images.shape[2:]))
        best = {32: 0, 64: 1, 16: 2}[images.shape[3]]
        return F.one_hot(torch.tensor([best] * len(images)), 3)[:, :, None, None].float().expand(-1, -1, 2, 2)

    views = four_views(score, torch.zeros(1, 3, 32, 32), torch.ones(1, 3))
    assert seen == [(32, 32), (64, 64), *[(16, 16)] * 4, *[(32, 32)] * 4]
    assert {name: view.unique().tolist() for name, view in views.items()} == {"whole": [0], "resized": [1], "quarters": [2], "both": [0]}
    assert all(view.shape == (1, 32, 32) for view in views.values())


def test_quarters_are_joined_where_they_come_from():
    def score(images):  # two classes by brightness, one place per pixel
        bright = images.mean(1, keepdim=True)
        return torch.cat([bright, 255 - bright], 1)

    images = torch.zeros(1, 3, 48, 80)
    images[:, :, 30:, 50:] = 255
    views = four_views(score, images, torch.ones(1, 2))
    assert torch.equal(views["quarters"][0], (images[0, 0] == 0).long())
    assert torch.equal(views["quarters"], views["whole"])
