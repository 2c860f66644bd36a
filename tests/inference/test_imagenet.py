"""The classifier for ImageNet's classes: weights, preprocessing, pictures of all kinds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from conftest import REAL_DATA, noise
from http_host import http_host
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from visionkit.errors import DataError, UsageError, VisionkitError
from visionkit.inference import image_sources
from visionkit.inference.image_sources import Unusable, find_images, read_names
from visionkit.inference.imagenet import Classifier
from visionkit.inference.network_by_name import load_network
from visionkit.inference.photos import as_rgb, open_photo
from visionkit.visible import visible

ARCH = "squeezenet1_0"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights for `ARCH`."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(torchvision.models.get_model(ARCH, weights=None).state_dict(), file)
    return file


@pytest.fixture(scope="module")
def classifier(weights: Path) -> Classifier:
    return Classifier(ARCH, weights, "cpu", batch=3)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number in range(4):
        Image.fromarray(noise(number, 60 + 7 * number, 50)).save(folder / f"{number}.png")
    Image.fromarray(noise(9, 300, 40)).save(folder / "more" / "wide.jpg")
    return folder


def test_as_torchvision_itself(classifier: Classifier, weights: Path, photos: Path) -> None:
    """The oracle is torchvision's own way, one image at a time."""
    offered = torchvision.models.SqueezeNet1_0_Weights.IMAGENET1K_V1
    model = torchvision.models.squeezenet1_0()
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval()
    files = list(find_images([str(photos)]))
    answers = list(classifier.classify(files, top=3))
    assert [answer.image for answer in answers] == files and len(files) == 5
    for answer in answers:
        inputs = offered.transforms()(Image.open(answer.image).convert("RGB"))
        with torch.no_grad():
            expected = model(inputs[None])[0].softmax(0).topk(3)
        assert [guess.number for guess in answer.top] == expected.indices.tolist()
        assert [guess.probability for guess in answer.top] == pytest.approx(
            expected.values.tolist(), abs=1e-5
        )
        assert [guess.label for guess in answer.top] == [
            offered.meta["categories"][guess.number] for guess in answer.top
        ]


@pytest.mark.parametrize("name", ["googlenet", "densenet121", "mnasnet0_5"])
def test_files_are_loaded_as_torchvision_loads_its_own(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same state dict from torchvision's cache and from a file gives the same network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    offered = torchvision.models.get_model_weights(name).DEFAULT
    settings = {"init_weights": False} if name == "googlenet" else {}
    state = torchvision.models.get_model(name, weights=None, **settings).state_dict()
    cached = tmp_path / "hub" / "checkpoints" / offered.url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    torch.save(state, cached)
    save_file(state, tmp_path / "own.safetensors")
    own, downloaded = load_network(name, str(tmp_path / "own.safetensors")), load_network(name)
    inputs = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(own.model(inputs), downloaded.model(inputs), atol=1e-6)
    assert str(offered) in downloaded.origin and "own.safetensors" in own.origin


def test_file_of_a_known_name_has_its_preprocessing(tmp_path: Path) -> None:
    second = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V2
    file = tmp_path / second.url.rpartition("/")[2]
    torch.save(torchvision.models.get_model("mobilenet_v2", weights=None).state_dict(), file)
    network = load_network("mobilenet_v2", str(file))
    assert str(second) in network.origin
    assert repr(network.transform) == repr(second.transforms())
    file.rename(tmp_path / "mine.pth")
    assert "IMAGENET1K_V1" in load_network("mobilenet_v2", str(tmp_path / "mine.pth")).origin


@pytest.mark.parametrize(
    ("arch", "weights", "words"),
    [
        ("resnet5", None, ["resnet5", "resnet50"]),
        ("fasterrcnn_resnet50_fpn", None, ["not a classifier", "'resnet50'"]),
        ("lraspp_mobilenet_v3_large", None, ["not a classifier", "'mobilenet_v3_large'"]),
        ("mc3_18", None, ["not a classifier", "resnet"]),
        ("vgg16", "IMAGENET1K_FEATURES", ["that have classes", "IMAGENET1K_V1"]),
        ("resnet50", "IMAGENET1K_V9", ["IMAGENET1K_V1, IMAGENET1K_V2"]),
        ("resnet50", "missing.pth", ["no such file"]),
        ("timm/resnet5x", None, ["timm has no network", "resnet5"]),
        ("timm/resnet18.nope", None, ["no weights 'nope'", "a1_in1k"]),
        ("vit_base_patch16_clip_224.openai", None, ["do not answer with classes"]),
        ("vit_base_patch14_dinov2", None, ["do not answer with classes"]),
        ("vit_base_patch16_224.bamboo", None, ["115,217 outputs"]),
        ("coatnet_0_224", None, ["no weights for it"]),
    ],
)
def test_refused(arch: str, weights: str | None, words: list[str]) -> None:
    with pytest.raises(UsageError) as raised:
        load_network(arch, weights)
    assert all(word in str(raised.value) for word in words), raised.value


def test_weights_of_another_network_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not the weights of a whole resnet18 with its 1,000 classes"):
        load_network("resnet18", str(weights))
    state = torch.load(weights, weights_only=True)
    state["classifier.1.weight"], state["classifier.1.bias"] = torch.rand(37, 512, 1, 1), torch.rand(37)
    torch.save(state, tmp_path / "pets.pth")
    with pytest.raises(UsageError, match=r"classifier.1.bias is 37 and not 1000, and 1 more"):
        load_network(ARCH, str(tmp_path / "pets.pth"))


def test_weights_that_give_no_numbers(weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights, weights_only=True)
    state["classifier.1.bias"][3] = float("nan")
    torch.save(state, tmp_path / "broken.pth")
    broken = Classifier(ARCH, tmp_path / "broken.pth", "cpu")
    with pytest.raises(VisionkitError, match="gives no numbers"):
        list(broken.classify(Image.new("RGB", (30, 30))))


def test_damaged_weights_in_the_cache_are_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    offered = torchvision.models.get_model_weights(ARCH).DEFAULT
    cached = tmp_path / "hub" / "checkpoints" / offered.url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"cut off")
    with pytest.raises(VisionkitError, match=r"cannot be downloaded or read.*--weights FILE.*checkpoints"):
        load_network(ARCH)


def test_timm_uses_its_own_preprocessing(tmp_path: Path) -> None:
    import timm

    model = timm.create_model("mobilenetv3_small_050", pretrained=False)
    save_file(model.state_dict(), tmp_path / "own.safetensors")
    network = load_network("mobilenetv3_small_050", str(tmp_path / "own.safetensors"))
    config = timm.data.resolve_model_data_config(model)
    picture = Image.fromarray(noise(1, 300, 250))
    assert torch.equal(network.transform(picture), timm.data.create_transform(**config)(picture))
    assert network.name == "timm/mobilenetv3_small_050" and network.labels[281] == "tabby"


def test_timm_names_of_larger_label_sets() -> None:
    import timm

    from visionkit.inference.timm_networks import _labels

    labels = _labels(timm.get_pretrained_cfg("mixer_b16_224.miil_in21k"), "timm/mixer_b16_224.miil_in21k")
    assert len(labels) == 11221 and "tabby, tabby cat" in labels


@pytest.mark.parametrize("name", ["squeezenet1_0", "timm/resnet18"])
def test_both_libraries_and_devices(name: str, tmp_path: Path) -> None:
    if name.startswith("timm/"):
        import timm

        model = timm.create_model("resnet18", pretrained=False)
    else:
        model = torchvision.models.squeezenet1_0()
    torch.save(model.state_dict(), tmp_path / "w.pth")
    classifier = Classifier(name, tmp_path / "w.pth", "cpu")
    [answer] = classifier.classify(Image.new("RGB", (80, 60), "red"), top=2000)
    assert classifier.arch == name and len(answer.top) == 1000
    assert sum(guess.probability for guess in answer.top) == pytest.approx(1, abs=1e-4)
    with pytest.raises(UsageError, match="--device"):
        Classifier(name, tmp_path / "w.pth", "cuda:99")


def test_faults_keep_their_place(classifier: Classifier, photos: Path) -> None:
    (photos / "text.jpg").write_text("no image")
    (photos / "empty.png").write_bytes(b"")
    whole = (photos / "0.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (1, 900)).save(photos / "line.png")
    names = ["0.png", "text.jpg", "empty.png", "1.png", "cut.png", "gone.png", "more", "line.png", "2.png"]
    answers = list(classifier.classify([photos / name for name in names]))
    assert [Path(answer.image).name for answer in answers] == names
    faults = {Path(answer.image).name: answer.fault for answer in answers if answer.fault}
    assert set(faults) == {"text.jpg", "empty.png", "cut.png", "gone.png", "more", "line.png"}
    assert faults["text.jpg"] == "this is not an image" and "truncated" in str(faults["cut.png"])
    assert all(bool(answer.top) == (answer.fault is None) for answer in answers)


@given(st.lists(st.booleans(), max_size=11), st.integers(1, 4))
@settings(max_examples=12, deadline=None)
def test_every_image_has_one_answer_whatever_the_batch(
    classifier: Classifier, good: list[bool], batch: int
) -> None:
    pictures = [Image.new("RGB", (20, 20 + number)) for number in range(len(good))]
    images = [picture if is_good else Unusable("x", "no") for picture, is_good in zip(pictures, good)]
    classifier.batch, before = batch, classifier.batch
    answers = list(classifier.classify(images, top=1))
    classifier.batch = before
    assert [answer.fault is None for answer in answers] == good
    assert all(len(answer.top) == 1 for answer in answers if answer.fault is None)


def test_images_are_read_as_they_are_needed(classifier: Classifier) -> None:
    """Memory: of endless images, no more than a few batches are taken in advance."""
    taken = 0

    def endless() -> object:
        nonlocal taken
        while True:
            taken += 1
            yield Image.new("RGB", (20, 20))

    answers = classifier.classify(endless())  # type: ignore[arg-type]
    for _ in range(10):
        next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert taken <= 10 + 3 * classifier.batch


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_every_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 1, 64), (48, 1))
    if mode in ("I;16", "I", "F"):
        kinds = {"I;16": (np.uint16, 65535), "I": (np.int32, 90000), "F": (np.float32, 0.5)}
        kind, high = kinds[mode]
        picture = Image.fromarray((ramp * high).astype(kind))
    else:
        picture = Image.fromarray((ramp * 255).astype(np.uint8)).convert("RGB").convert(mode)
    file = tmp_path / "picture.dat"
    # Pillow 12 does not read the TIFF files in YCbCr that it writes
    picture.save(file, "JPEG" if mode == "YCbCr" else "TIFF")
    values = np.asarray(open_photo(file))
    assert values.shape == (48, 64, 3)
    assert values[:, :8].mean() < 30 and values[:, -8:].mean() > 225


def test_transparency_rotation_and_animation(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    assert np.asarray(as_rgb(clear)).min() == 255
    tall = Image.new("RGB", (40, 20))
    exif = tall.getexif()
    exif[0x0112] = 6
    tall.save(tmp_path / "turned.jpg", exif=exif)
    assert open_photo(tmp_path / "turned.jpg").size == (20, 40)
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert np.asarray(open_photo(tmp_path / "moving.gif"))[0, 0].tolist() == [255, 0, 0]
    (tmp_path / "program.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    )
    with pytest.raises(DataError, match="programs"):
        open_photo(tmp_path / "program.png")


def test_what_names_mean(photos: Path) -> None:
    (photos / "notes.txt").write_text("x")
    (photos / ".hidden.png").write_bytes(b"x")
    (photos / "a[1].png").write_bytes(b"x")

    def found(*names: str) -> list[str]:
        return [
            Path(each).relative_to(photos).as_posix() if isinstance(each, str) else each.reason
            for each in find_images(names)
        ]

    everything = ["0.png", "1.png", "2.png", "3.png", "a[1].png", "more/wide.jpg"]
    assert found(str(photos)) == everything
    assert found(f"{photos}/[01].png", f"{photos}/notes.txt") == ["0.png", "1.png", "notes.txt"]
    assert found(f"{photos}/a[1].png") == ["a[1].png"]
    assert found(f"{photos}/**/*.jpg") == ["more/wide.jpg"]
    assert found(f"{photos}/mor*") == ["more/wide.jpg"]
    assert found(f"{photos}/x*", f"{photos}/x") == ["no file matches", "there is no such file"]
    (photos / "none").mkdir()
    assert found(f"{photos}/none")[0].startswith("no images in this folder or below it")
    assert list(find_images(["https://h/x*.png"])) == ["https://h/x*.png"]


@given(st.lists(st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"]), min_size=1)))
def test_lists_of_names(names: list[str]) -> None:
    from io import BytesIO

    wanted = [name for name in names if name.encode().strip()]
    if wanted and wanted[0].startswith("\ufeff"):
        return  # a byte order mark
    assert read_names(BytesIO("\r\n".join(wanted).encode())) == wanted
    assert read_names(BytesIO("".join(f"{name}\0" for name in wanted).encode())) == wanted


@given(st.text())
def test_shown_text_has_no_control_characters(text: str) -> None:
    assert visible(text).isprintable()


def test_images_of_the_web(classifier: Classifier, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (photos / "0.png").read_bytes()
    monkeypatch.setattr(image_sources, "MOST_BYTES", len(content) + 10)
    with http_host() as host:
        good = host.serve("/good", content)
        kept = good.replace("http://", "http://me:secret@")
        page = host.serve("/page.png", b"<html></html>", kind="text/html")
        large = host.serve("/large.png", content + b"x" * 20)
        endless = host.serve("/chunks.png", content * 3, length="chunked")
        urls = [good, page, large, endless, host.url + "/gone.png", "ftp://h/x.png", kept]
        answers = list(classifier.classify(urls))
    [here] = classifier.classify(photos / "0.png")
    assert answers[0].top == here.top and answers[0].image == good
    faults = [answer.fault for answer in answers[1:6]]
    assert faults[0] == "this is not an image" and "larger than" in str(faults[1] and faults[2])
    assert faults[1] == faults[2] and "404" in str(faults[3]) and "only addresses" in str(faults[4])
    assert not any("--data" in str(fault) for fault in faults)
    assert answers[6].image == good and answers[6].fault is None


@pytest.mark.slow
def test_fastai_is_not_imported(weights: Path, photos: Path) -> None:
    code = (
        "import sys\nfrom visionkit.inference.imagenet import Classifier\n"
        f"[answer] = Classifier({ARCH!r}, {str(weights)!r}, 'cpu').classify({str(photos / '0.png')!r})\n"
        "assert len(answer.top) == 5\n"
        "print('LOADED', {'fastai', 'pandas', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.stdout == "LOADED set()\n", done.stderr


@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"the real images are not there ({REAL_DATA})")
@pytest.mark.parametrize(("arch", "least"), [("mobilenet_v2", 0.85), ("squeezenet1_0", 0.8)])
def test_real_photos(arch: str, least: float) -> None:
    breeds = {
        "pug": "pug",
        "samoyed": "Samoyed",
        "Siamese": "Siamese cat",
        "english_setter": "English setter",
    }
    classifier = Classifier(arch, REAL_DATA / "weights" / f"{arch}.pth", "cpu")
    right = []
    for breed, label in breeds.items():
        files = list(find_images([str(REAL_DATA / "pets" / "images" / f"{breed}_*")]))
        right += [answer.top[0].label == label for answer in classifier.classify(files)]
    assert len(right) == 40 and sum(right) / len(right) > least
