import pytest

from mmstreet.formats.catalogue import FORMATS, READERS, WRITERS, get_reader, get_writer
from mmstreet.formats.records import FEATURES
from mmstreet.labels import TABLES


@pytest.mark.parametrize("name", FORMATS)
def test_classes_of_a_format_are_there(name, tmp_path):
    if name in READERS:
        reader = get_reader(name)(tmp_path / "a", TABLES[FORMATS[name].table], None)
        assert (reader.path, reader.image_root) == (tmp_path / "a", None)
        assert callable(reader.find_table)
    if name in WRITERS:
        writer = get_writer(name)(tmp_path / "b", TABLES[FORMATS[name].table])
        assert writer.path == tmp_path / "b"
        assert writer.holds <= set(FEATURES)


def test_a_misspelt_format_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="no format 'semantics' is read; did you mean 'semantic'"):
        get_reader("semantics")
