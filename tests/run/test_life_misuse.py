"""Bad calls of what a model lives with: a status, and nothing has changed."""

from __future__ import annotations

from typing import Any

import numpy as np

import mcugrad as mg
from life_models import ARG, EMPTY, LABEL, NULL, OK, RATE, STATE, Api, task
from mcugrad.abi.records import DRIFT, SCHEDULE

F32 = np.float32


def test_bad_schedules_change_nothing() -> None:
    api = Api()
    m, null = api.model, api.ffi.NULL
    good = mg.Schedule("steps", every=3, factor=0.5).record(0.1, 10)
    given = api.ffi.from_buffer(good)
    assert api.c.life_set_schedule(m, given) == STATE
    assert api.c.life_init(m) == OK
    before = api.bytes(m)
    assert [api.c.life_set_schedule(null, given), api.c.life_set_schedule(m, null)] == [NULL] * 2
    nan, infinite = float("nan"), float("inf")
    wrong: list[tuple[dict[str, Any], int]] = [
        *(({"rate": value}, RATE) for value in (-1e-9, nan, infinite)),
        *(({"last": value}, ARG) for value in (-1e-9, nan, infinite)),
        *(({"factor": value}, ARG) for value in (0, -1, 1.01, nan)),
        ({"every": 0}, ARG),
        ({"kind": 4}, ARG),
        ({"kind": 1, "warmup": 10}, ARG),
        ({"kind": 2, "warmup": 2**32 - 1}, ARG),
    ]
    for fields, status in wrong:
        record = good.copy()
        for name, value in fields.items():
            record[name] = value
        assert api.c.life_set_schedule(m, api.ffi.from_buffer(record)) == status, fields
    assert api.bytes(m) == before
    assert api.c.life_set_schedule(m, given) == OK
    assert api.c.life_set_rate(m, nan) == RATE
    schedule = np.frombuffer(api.bytes(m), np.uint8)[task()[0].build.compiled.layout.offsets["schedule"] :]
    assert schedule[: SCHEDULE.itemsize].tobytes() == good.tobytes(), "a bad rate does not end a schedule"


def test_bad_watches_change_nothing() -> None:
    api = Api()
    m, null = api.model, api.ffi.NULL
    y, drift = api.ffi.new("int8_t[]", 4), api.ffi.new("uint32_t[]", DRIFT.itemsize // 4)
    assert api.c.life_watch(m, y, drift) == STATE
    api.c.life_init(m)
    before = api.bytes(m)
    assert [
        api.c.life_watch(null, y, drift),
        api.c.life_watch(m, null, drift),
        api.c.life_watch(m, y, null),
    ] == [NULL] * 3
    assert not any(drift)
    assert api.c.life_watch(m, y, drift) == OK
    assert np.frombuffer(api.bytes(drift), DRIFT)["confidence"][0] == 0.25
    assert api.bytes(m) == before


def test_bad_guards_change_nothing() -> None:
    api = Api()
    m, null, c, ffi = api.model, api.ffi.NULL, api.c, api.ffi
    x, labels = ffi.new("int8_t[]", 2 * 144), ffi.new("uint32_t[]", [1, 2])
    snapshot = ffi.new("uint32_t[]", api.size // 4)
    result = ffi.new("uint32_t[]", 3)
    assert c.life_guard(m, snapshot, x, labels, 2, 0.1, result) == STATE
    assert [c.life_snapshot(m, snapshot), c.life_rollback(m, snapshot)] == [STATE] * 2
    assert c.life_init(m) == OK
    before = api.bytes(m)
    assert c.life_rollback(m, snapshot) == STATE, "nothing was kept yet"
    assert [c.life_snapshot(null, snapshot), c.life_snapshot(m, null)] == [NULL] * 2
    assert [c.life_rollback(null, snapshot), c.life_rollback(m, null)] == [NULL] * 2
    arguments = [m, snapshot, x, labels]
    for i in range(4):
        given = [null if i == j else argument for j, argument in enumerate(arguments)]
        assert c.life_guard(*given, 2, 0.1, result) == NULL
    assert c.life_guard(*arguments, 0, 0.1, result) == ARG
    for margin in (-0.1, float("nan"), float("inf")):
        assert c.life_guard(*arguments, 2, margin, result) == ARG
    labels[1] = 4
    assert c.life_guard(*arguments, 2, 0.1, result) == LABEL
    assert not any(snapshot)
    assert not any(result)
    assert api.bytes(m) == before
    labels[1] = 3
    assert c.life_guard(*arguments, 2, 3e38, null) == OK, "the largest margin"
    assert c.life_guard(*arguments, 2, 0.1, result) == OK
    assert result[0] == 1


def test_bad_replays_change_nothing() -> None:
    api = Api()
    m, null, c, ffi = api.model, api.ffi.NULL, api.c, api.ffi
    x, header, memory = ffi.new("int8_t[]", 144), ffi.new("uint64_t[]", 40), ffi.new("uint32_t[]", 3 * 38)
    assert [c.life_replay_init(null, memory, 114, 0), c.life_replay_init(header, null, 114, 0)] == [NULL] * 2
    assert [c.life_replay_init(header, memory, words, 0) for words in (0, 37)] == [ARG] * 2
    got, label = ffi.new("const int8_t **"), ffi.new("uint32_t *")
    assert c.life_replay_add(header, x, 0) == STATE
    assert c.life_replay_draw(header, got, label) == STATE
    assert c.life_train_replay(m, header, x, 0, null) == STATE
    assert not any(header)
    assert c.life_replay_init(header, memory, 114, 0) == OK
    assert c.life_train_replay(m, header, x, 0, null) == STATE, "the model is not initialised"
    c.life_init(m)
    before = api.bytes(m), api.bytes(header)
    assert c.life_replay_draw(header, got, label) == EMPTY
    assert [
        c.life_replay_draw(*a) for a in ((null, got, label), (header, null, label), (header, got, null))
    ] == [NULL] * 3
    assert [
        c.life_replay_add(null, x, 0),
        c.life_replay_add(header, null, 0),
        c.life_replay_add(header, x, 4),
    ] == [*(NULL, NULL, LABEL)]
    assert [c.life_train_replay(null, header, x, 0, null), c.life_train_replay(m, null, x, 0, null)] == [
        NULL
    ] * 2
    assert [c.life_train_replay(m, header, null, 0, null), c.life_train_replay(m, header, x, 4, null)] == [
        NULL,
        LABEL,
    ]
    assert (api.bytes(m), api.bytes(header)) == before
    x[0] = 77
    assert c.life_train_replay(m, header, x, 3, null) == OK
    assert c.life_replay_draw(header, got, label) == OK
    assert (got[0][0], label[0]) == (77, 3)
