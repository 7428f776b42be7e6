import pytest

pytest.register_assert_rewrite("tests.e2e.crash.siege")  # or it says only that it is wrong
