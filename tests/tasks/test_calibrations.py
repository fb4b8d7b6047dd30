from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calibrated import calibrate

import xlmr
from xlmr import checkpoint
from xlmr.checkpoint import attachments
from xlmr.config import Config
from xlmr.errors import BadCheckpoint
from xlmr.heads.calibration import Calibration, Projection, Table
from xlmr.tasks.calibrations import NAME, carry, of_pieces, pack, unpack

CONFIG = Config(vocabulary=9, width=8, layers=2, heads=2, inner=8, positions=9)
TABLE = Table(np.ones((9, 4), np.int8), np.array([3, 8], np.uint32), np.ones((2, 4), np.int8), 0.5)
STATES = Projection(2, np.zeros(8, np.float32), np.ones((8, 4), np.float32))


@pytest.mark.parametrize(("table", "states"), [(TABLE, STATES), (TABLE, None), (None, STATES)])
def test_what_is_packed_is_unpacked(table: Table | None, states: Projection | None) -> None:
    found = unpack(pack(Calibration(4, table, states), {}), CONFIG)
    assert (found.size, found.table is None, found.states is None) == (4, table is None, states is None)
    for one, other in ((found.table, table), (found.states, states)):
        for name in getattr(one, "__slots__", ()):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize(
    ("facts", "arrays", "complaint"),
    [
        ({"size": 5}, {}, "pieces is int8"),
        ({"size": 0}, {}, "size is 0, wanted 1 to 1,024"),
        ({"size": 1_025}, {}, "size is 1025, wanted 1 to 1,024"),
        ({"size": "4"}, {}, "size"),
        ({"scale": -1}, {}, "scale is -1, wanted a number above 0"),
        ({"scale": True}, {}, "scale is True"),
        ({"scale": 1e6}, {}, "wanted a number above 0, below 1,000,000"),
        ({"layer": 3}, {}, "layer is 3, wanted 0 to 2"),
        ({"layer": 1.5}, {}, "layer"),
        ({}, {"keys": np.array([8, 8], np.uint32)}, "its keys do not ascend"),
        ({}, {"keys": np.array([8], np.uint32)}, "sequences is int8"),
        ({}, {"pieces": np.ones((9, 4), np.float32)}, "pieces is float32"),
        ({}, {"sequences": np.ones((2, 4), np.int32)}, "sequences is int32"),
        ({}, {"weight": np.ones((7, 4), np.float16)}, "weight is float16"),
        ({}, {"weight": np.full((8, 4), 1e300)}, "weight is float64, wanted float16"),
        ({}, {"centre": np.zeros(8, np.float16)}, "centre is float16, wanted float32"),
        ({}, {"centre": None}, "has no array centre"),
    ],
)
def test_what_does_not_fit_is_refused(facts: dict[str, Any], arrays: dict[str, Any], complaint: str) -> None:
    packed = pack(Calibration(4, TABLE, STATES), {})
    held = {name: array for name, array in {**packed.arrays, **arrays}.items() if array is not None}
    with pytest.raises(BadCheckpoint, match=complaint):
        unpack(replace(packed, arrays=held, facts={**packed.facts, **facts}), CONFIG)


def test_a_calibration_of_nothing_is_refused() -> None:
    with pytest.raises(BadCheckpoint, match="neither rows of pieces nor a projection"):
        unpack(pack(Calibration(4, None, None), {}), CONFIG)


def test_one_of_pieces_alone_goes_along_with_another_encoder(make_checkpoint: Callable[..., Path]) -> None:
    source, model = calibrate(make_checkpoint()), make_checkpoint(seed=9)
    assert carry(checkpoint.open(source), model) == attachments.path_of(model, NAME)
    before, after = (xlmr.load(of, threads=1).embed("le chat") for of in (source, model))
    np.testing.assert_array_equal(before, after)


def test_one_of_the_encoders_states_does_not(make_checkpoint: Callable[..., Path]) -> None:
    model = make_checkpoint(seed=9)
    for source in (calibrate(make_checkpoint(), states=True), make_checkpoint()):
        opened = checkpoint.open(source)
        assert (of_pieces(opened), carry(opened, model)) == (None, None)
    assert not attachments.names(model)
