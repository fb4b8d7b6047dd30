import pickle

import pytest

from xlmr import errors
from xlmr.errors import MissingExtra, NotAvailable, XlmrError

EVERY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, XlmrError) and kind is not MissingExtra]


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_keeps_its_message_and_tells_its_kind(kind: type[XlmrError]) -> None:
    error = kind("what went wrong")
    assert str(error) == "what went wrong"
    assert error.kind == kind.__name__
    assert kind.__name__ in str(errors.__doc__)


def test_a_missing_extra_says_how_to_install_it() -> None:
    error = MissingExtra("train", "the torch runtime")
    assert str(error) == "the torch runtime needs packages that are not installed. Run: pip install 'xlmr[train]'"
    assert error.extra == "train"
    assert error.kind == "MissingExtra"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModuleNotFoundError("No module named 'jax'", name="jax"), ""),
        (ModuleNotFoundError("No module named 'opt_einsum'", name="opt_einsum"), ""),
        (ModuleNotFoundError("No module named 'jax.export'", name="jax.export"), "ModuleNotFoundError: No module named 'jax.export'"),
        (ImportError("libhidden.so.12: no such file\n"), "ImportError: libhidden.so.12: no such file"),
        (RuntimeError("jaxlib is version 0.4,\nand more"), "RuntimeError: jaxlib is version 0.4,"),
        (OSError(f"a{'b' * 500}"), f"OSError: a{'b' * 199}"),
        (MissingExtra("train", "the runtime", "ImportError: why"), "ImportError: why"),
        (MissingExtra("train", "the runtime"), ""),
    ],
)
def test_an_extra_that_is_there_and_broken_says_why(error: Exception, reason: str) -> None:
    found = MissingExtra.of("jax", "the JAX runtime", error)
    assert found.reason == reason
    assert ("are not installed. Run: pip" in str(found)) == (not reason)
    assert reason in str(found)
    assert str(found).endswith("un: pip install 'xlmr[jax]'")


@pytest.mark.parametrize("error", [NotAvailable("gone"), MissingExtra("train", "pretraining"), MissingExtra("jax", "all", "why")])
def test_errors_cross_process_borders(error: XlmrError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
