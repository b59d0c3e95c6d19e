import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from app import passwords
from app.passwords import (
    PASSWORD_LENGTH,
    PASSWORD_LENGTH_AT_MOST,
    derive_password,
    hash_new_password,
    hash_password,
    is_outdated,
    is_password,
    make_decoy,
)
from app.store import Refused


def test_a_password_is_known_by_its_hash():
    hashed = hash_password("correct horse")
    assert hashed.startswith("$argon2id$")
    assert "horse" not in hashed
    assert is_password("correct horse", hashed)
    assert not is_password("Correct horse", hashed)
    assert not is_outdated(hashed)


def test_a_decoy_is_a_hash_by_today_s_rules_and_of_no_password():
    decoy = make_decoy()
    assert len(decoy) == len(hash_password(""))
    assert not is_outdated(decoy)
    assert not is_password("", decoy)
    with pytest.raises(VerifyMismatchError):  # it is compared to the end, not refused as malformed
        passwords.hasher.verify(decoy, "")


@pytest.mark.parametrize("hashed", ["", "correct horse", "$argon2id$", "$2b$12$" + "x" * 53])
def test_what_is_no_hash_is_nobodys(hashed):
    assert not is_password("correct horse", hashed)


def test_a_hash_by_older_rules_still_counts_but_is_outdated():
    hashed = PasswordHasher(time_cost=1, memory_cost=64).hash("correct horse")
    assert is_password("correct horse", hashed)
    assert is_outdated(hashed)


def test_a_password_of_any_letters_will_do():
    assert is_password("🌪" * 50, hash_password("🌪" * 50))


def test_a_new_one_must_be_long_but_not_endless():
    assert is_password("x" * PASSWORD_LENGTH, hash_new_password("x" * PASSWORD_LENGTH))
    for length in (0, PASSWORD_LENGTH - 1, PASSWORD_LENGTH_AT_MOST + 1):
        with pytest.raises(Refused, match="characters"):
            hash_new_password("x" * length)


def test_few_are_hashed_at_once():
    assert passwords.AT_ONCE._initial_value == 2


def test_a_password_hangs_on_key_and_name():
    passwords = {derive_password(key, name) for key in ("k" * 32, "q" * 32) for name in ("anna", "bert")}
    assert len(passwords) == 4
    assert derive_password("k" * 32, "anna") in passwords
