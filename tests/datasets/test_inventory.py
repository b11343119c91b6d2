"""What belongs together is matched, and what has no partner is listed, from a folder or from a config."""

import pytest

from mmstreet.datasets.inventory import inventory_of_config, inventory_of_root
from mmstreet.labels import BDD100K_SEM19
from tests.helpers.street_files import make_root, write_image, write_labels


def orphans(inventory):
    return [(o.kind, o.split, o.path.rsplit("/", 1)[-1]) for o in inventory.orphans]


@pytest.fixture
def root(tmp_path):
    make_root(tmp_path, "bdd100k_10k", {"train": ["a", "b", "c"], "val": ["z"]})
    write_image(tmp_path / "images/10k/test/t.jpg")
    return tmp_path


def write_config(path, root, *, train="", val="", wrap="{}"):
    dataset = "dict(type='mmstreet.BDD100KSemSeg', data_root={root!r}, split={split!r}, {more})"
    parts = {s: dataset.format(root=str(root), split=s, more=m) for s, m in (("train", train), ("val", val))}
    lines = ["default_scope = 'mmseg'", f"train_dataloader = dict(dataset={wrap.format(parts['train'])})"]
    lines += [f"val_dataloader = dict(dataset={parts['val']})", "test_dataloader = val_dataloader"]
    path.write_text("\n".join(lines))
    return path


def test_a_root_is_listed_by_split(root):
    inventory = inventory_of_root(root)
    assert inventory.images == {"train": 3, "val": 1, "test": 1}
    assert inventory.labels == {"train": 3, "val": 1, "test": 0}
    assert len(inventory.pairs) == 5
    assert inventory.reading.table is BDD100K_SEM19
    assert inventory.orphans == []


def test_files_without_a_partner_are_listed_both_ways(root):
    (root / "labels/sem_seg/masks/train/b.png").unlink()
    write_labels(root / "labels/sem_seg/masks/val/x.png", [[0]])
    inventory = inventory_of_root(root)
    assert orphans(inventory) == [("image without label", "train", "b.jpg"), ("label without image", "val", "x.png")]
    assert len(inventory.pairs) == 4


def test_a_root_without_images_says_what_is_there(tmp_path):
    write_image(tmp_path / "images/train/a.gif")
    (tmp_path / "labels").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no image '\*\.jpg' or '\*\.png' in '.*images/train': .*holds 1 file '\.gif'"):
        inventory_of_root(tmp_path)


def test_pictures_that_are_not_read_are_listed(root):
    for name in ("a.gif", "b.heic", "c.png", "._a.jpg", "notes.txt"):
        (root / "images/10k/train" / name).write_bytes(b"x")
    inventory = inventory_of_root(root)
    assert orphans(inventory) == [("picture that is not read", "train", name) for name in ("a.gif", "b.heic", "c.png")]
    assert "images of this layout end in .jpg" in inventory.orphans[0].message
    assert inventory.images["train"] == 3


def test_a_missing_counterpart_says_what_was_looked_for_and_what_lies_there(root):
    label = root / "labels/sem_seg/masks/train/b.png"
    label.rename(label.with_name("b_color.jpg"))
    (orphan,) = inventory_of_root(root).orphans
    assert f"looked for '{label}': found instead: 'b_color.jpg'; a JPEG changes ids" in orphan.message


def test_a_config_lists_each_data_set_once(root, tmp_path):
    inventory = inventory_of_config(write_config(tmp_path / "c.py", root))
    assert inventory.images == {"train": 3, "val": 1}
    assert inventory.orphans == []


def test_a_config_with_missing_labels_lists_them_all(root, tmp_path):
    for name in "ab":
        (root / f"labels/sem_seg/masks/train/{name}.png").unlink()
    inventory = inventory_of_config(write_config(tmp_path / "c.py", root))
    assert orphans(inventory) == [("image without label", "train", "a.jpg"), ("image without label", "train", "b.jpg")]


def test_list_files_in_a_config_are_followed_and_missing_names_are_listed(root, tmp_path):
    (root / "train.txt").write_text("a\nval/z\nghost\n")
    inventory = inventory_of_config(write_config(tmp_path / "c.py", root, train="ann_file='train.txt'"))
    assert inventory.images == {"train": 2, "val": 1}
    assert orphans(inventory) == [("listed image does not exist", "train", "ghost.jpg")]


def test_data_sets_inside_wrappers_are_found(root, tmp_path):
    config = write_config(tmp_path / "c.py", root, wrap="dict(type='RepeatDataset', times=2, dataset={})")
    assert inventory_of_config(config).images == {"train": 3, "val": 1}


def test_the_loading_step_says_how_files_are_read(root, tmp_path):
    step = "pipeline=[dict(type='mmstreet.LoadLabels', palette='index', unlisted='ignore')]"
    inventory = inventory_of_config(write_config(tmp_path / "c.py", root, train=step, val=step))
    assert (inventory.reading.table.name, inventory.reading.palette, inventory.reading.unlisted) == ("bdd100k_sem19", "index", "ignore")
    with pytest.raises(ValueError, match="read in different ways"):
        inventory_of_config(write_config(tmp_path / "d.py", root, train=step))


@pytest.mark.parametrize(
    ("step", "orientation"),
    [
        ("dict(type='mmstreet.LoadImage')", "stored"),
        ("dict(type='mmstreet.LoadImage', orientation='exif')", "exif"),
        ("dict(type='LoadImageFromFile')", "exif"),
        ("dict(type='LoadImageFromFile', color_type='unchanged')", "stored"),
    ],
)
def test_the_loader_says_what_becomes_of_orientation_tags(step, orientation, root, tmp_path):
    config = write_config(tmp_path / "c.py", root, train=f"pipeline=[{step}]", val=f"pipeline=[{step}]")
    assert inventory_of_config(config).reading.orientation == orientation


def test_a_foreign_data_set_has_to_name_its_table(root, tmp_path):
    foreign = (
        f"dict(type='BaseSegDataset', data_root={str(root)!r}, metainfo=dict(classes=('x', 'y')), pipeline=[{{step}}], "
        "data_prefix=dict(img_path='images/10k/train', seg_map_path='labels/sem_seg/masks/train'))"
    )
    config = tmp_path / "c.py"
    config.write_text(f"train_dataloader = dict(dataset={foreign.format(step='')})")
    with pytest.raises(ValueError, match=r"BaseSegDataset does not say which class table.*LoadLabels', table="):
        inventory_of_config(config)
    config.write_text(f"""train_dataloader = dict(dataset={foreign.format(step="dict(type='mmstreet.LoadLabels', table='camvid11')")})""")
    inventory = inventory_of_config(config)
    assert (inventory.reading.table.name, inventory.images) == ("camvid11", {"train": 3})


def test_a_config_whose_data_are_elsewhere_says_where_it_looked(tmp_path):
    make_root(tmp_path / "bdd", "bdd100k_10k", {"val": ["z"]})
    with pytest.raises(FileNotFoundError, match=r"no image '\*\.jpg' in '.*images/10k/train'.*no folder 'train'"):
        inventory_of_config(write_config(tmp_path / "c.py", tmp_path / "bdd"))


def test_a_config_without_data_says_so(tmp_path):
    (tmp_path / "c.py").write_text("model = dict()")
    with pytest.raises(ValueError, match="no train_dataloader"):
        inventory_of_config(tmp_path / "c.py")
