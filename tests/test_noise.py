"""The noise: known answers, an address for every number, the same bits everywhere."""

import numpy as np
import pytest
import tensorflow as tf

from kerasar.noise import fold_in, threefry, uniforms

# Random123's kat_vectors, Threefry-2x32 with 20 rounds: counter, key, answer.
KNOWN_ANSWERS = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


def words(pair):
    return tuple(tf.constant(word, tf.uint32) for word in pair)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "XLA"])
@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_threefry_gives_the_known_answers(counter, key, answer, compiled):
    run = tf.function(threefry, jit_compile=True) if compiled else threefry
    found = run(words(key), words(counter))
    assert tuple(hex(int(word)) for word in found) == tuple(map(hex, answer))


def grid(seed=7, examples=5, positions=6, draws=4):
    return uniforms(
        tf.constant(seed), tf.range(examples)[:, None], tf.range(positions)[None], draws
    ).numpy()


def test_a_number_depends_on_its_address_only():
    whole = grid(examples=5, positions=6, draws=4)
    np.testing.assert_array_equal(grid(examples=2, positions=3), whole[:2, :3])
    one = uniforms(tf.constant([7]), tf.constant([3]), tf.constant(5), 4)
    np.testing.assert_array_equal(one[0], whole[3, 5])


def test_every_part_of_the_address_matters():
    whole = grid(examples=40, positions=30, draws=5)
    assert len(np.unique(whole)) > 0.999 * whole.size  # 23 bits: a collision or two by chance
    assert (grid(seed=8) != grid(seed=7)).all()


def test_compiled_and_not_give_the_same_bits():
    def draw(seed, examples):
        return uniforms(seed, examples[:, None], tf.range(50)[None], 17)

    arguments = (tf.constant(2**31 - 1), tf.range(40))
    eager = draw(*arguments)
    np.testing.assert_array_equal(tf.function(draw)(*arguments), eager)
    np.testing.assert_array_equal(tf.function(draw, jit_compile=True)(*arguments), eager)


def test_numbers_are_uniform_and_independent():
    u = grid(examples=200, positions=100, draws=10).astype("float64")
    n = u.size
    assert 0 < u.min() and u.max() < 1
    counts = np.bincount((u.ravel() * 100).astype(int), minlength=100)
    chi_square = ((counts - n / 100) ** 2 / (n / 100)).sum()
    assert abs(chi_square - 99) < 5 * np.sqrt(2 * 99)
    for axis in range(3):  # neighbours in example, position and draw
        a, b = np.delete(u, -1, axis), np.delete(u, 0, axis)
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / np.sqrt(a.size)


def test_the_extreme_words_stay_inside_the_open_interval(monkeypatch):
    from kerasar import noise

    for word in (0, 2**32 - 1):
        extreme = tf.constant([word], tf.uint32)
        monkeypatch.setattr(noise, "threefry", lambda *_, w=extreme: (w, w))
        u = noise.uniforms(tf.constant(0), tf.constant(0), tf.constant(0), 1).numpy()
        assert 0 < u < 1
        # What the likelihoods make of them must be finite.
        assert np.isfinite(-np.log(-np.log(u))) and np.isfinite(np.log(u) - np.log1p(-u))


def test_version_0_has_the_seed_itself_and_others_seeds_of_their_own():
    seeds = fold_in(tf.constant(3), tf.range(1000)).numpy()
    assert seeds[0] == 3
    assert len(np.unique(seeds)) == 1000
    other = fold_in(tf.constant(4), tf.range(1000)).numpy()
    assert not set(seeds) & set(other)
