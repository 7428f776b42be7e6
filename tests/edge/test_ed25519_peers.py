"""Our Ed25519 signatures before a verifier of another make: opendkim knows them."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from mta.rules.message.dkimrecord import DkimRecord, KeyKind
from mta.rules.message.signing import SigningKey

from mta.edge.keys import PrivateKey, load_key, new_key
from mta.edge.signer import Draft, signatures

RSA = load_key(Path(__file__).parent.parent.parent / "keys.example" / "example.com.s1.pem")
MESSAGE = b"From: Ann <ann@example.com>\r\nSubject: A  fold\r\n\tand more\r\n\r\nHi  \r\n\r\n"

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not shutil.which("opendkim"), reason="opendkim is not installed"),
]


class Scene:
    """Two keys of a domain, and opendkim, which knows their records."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys: dict[str, PrivateKey] = {
            "s1": RSA,
            "e1": new_key(folder / "e.pem", KeyKind.ED25519),
        }

    def signed(self, content: bytes) -> bytes:
        keys = [
            SigningKey("example.com", selector, key.sign, key.kind)
            for selector, key in self.keys.items()
        ]
        return signatures(Draft(content, keys, int(time.time()))) + content

    def verdict(self, content: bytes) -> str:
        records = [
            DkimRecord("example.com", selector, key.public, key.kind)
            for selector, key in self.keys.items()
        ]
        known = "".join(f"{record.name} {record.value}\n" for record in records)
        (self.folder / "known").write_text(known)
        (self.folder / "conf").write_text(f"Mode v\nTestPublicKeys {self.folder}/known\n")
        (self.folder / "m.eml").write_bytes(content)
        command = ["opendkim", "-t", f"{self.folder}/m.eml", "-x", f"{self.folder}/conf", "-vv"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        return ran.stdout + ran.stderr


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_verifier_of_another_make_says_pass(scene: Scene) -> None:
    del scene.keys["s1"]

    assert "verification (s=e1, d=example.com, 0-bit key) succeeded" in scene.verdict(
        scene.signed(MESSAGE)
    )


def test_it_does_not_harm_the_rsa_signature_beside_it(scene: Scene) -> None:
    assert "(s=s1, d=example.com, 2048-bit key) succeeded" in scene.verdict(scene.signed(MESSAGE))


def test_a_verifier_of_another_make_sees_a_changed_body(scene: Scene) -> None:
    del scene.keys["s1"]

    assert "succeeded" not in scene.verdict(scene.signed(MESSAGE).replace(b"Hi", b"Ho"))
