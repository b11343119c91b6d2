import pytest

from tests.helpers.plain_config import plain_config_text  # noqa: F401


@pytest.fixture(autouse=True)
def _fast(plain_config_text):  # noqa: F811
    pass
