from __future__ import annotations

from pathlib import Path

from frontdesk.local.catalogue import PackageSource, WebSource, known_models
from frontdesk.local.models import Description, default_threads, find_model, installed, write_description


def test_every_known_model_says_what_its_files_are() -> None:
    names = [model.name for model in known_models()]

    others = {
        "chat": [],
        "embedding": ["tokenizer.json"],
        "transcription": ["config.json", "tokenizer.json", "vocabulary.txt"],
    }
    assert names[:2] == ["smollm2-135m", "minilm-l6-v2"]
    assert len(names) == len(set(names))
    for model in known_models():
        assert [file.name for file in model.files][1:] == others[model.kind]
        for file in model.files:
            assert file.size_bytes > 0
            assert len(bytes.fromhex(file.sha256)) == 32
            match file.source:
                case PackageSource(requirement=requirement):
                    assert "==" in requirement
                case WebSource(url=url):
                    assert url.startswith("https://")


def test_a_model_that_was_not_pulled_says_how_to_pull_it(tmp_path: Path) -> None:
    model = find_model("smollm2-135m", tmp_path)

    assert model is not None
    assert installed("smollm2-135m", tmp_path) is None
    obstacle = model.obstacle()
    assert obstacle is not None
    assert obstacle.endswith("run `frontdesk models pull smollm2-135m`")


def test_a_file_of_the_wrong_size_is_not_installed(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "smollm2-135m"
    folder.mkdir(parents=True)
    (folder / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF")

    assert installed("smollm2-135m", tmp_path) is None


def test_a_model_pulled_by_address_is_found_by_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "m.gguf").write_bytes(b"GGUF")
    write_description(folder, Description("m.gguf", 4, "ab" * 32, "https://example.com/m.gguf"))

    model = find_model("mine", tmp_path)

    assert model is not None
    assert (model.kind, model.files, model.obstacle()) == ("chat", (folder / "m.gguf",), None)
    assert installed("mine", tmp_path) == folder / "m.gguf"
    assert find_model("yours", tmp_path) is None


def test_settings_go_before_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.gguf"

    model = find_model("smollm2-135m", tmp_path, path=path, threads=7, context_tokens=512, slots=5)

    assert model is not None
    assert (model.files, model.threads, model.context_tokens, model.slots) == ((path,), 7, 512, 5)
    obstacle = model.obstacle()
    assert obstacle is not None
    assert obstacle.endswith(f"there is no {path}; correct `path` in the configuration")


def test_the_model_leaves_cores_to_the_server() -> None:
    assert default_threads() >= 1
