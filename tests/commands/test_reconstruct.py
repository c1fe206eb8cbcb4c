"""`reconstruct` ranks images by their error, shows them beside the originals, and writes over none of them."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest
from PIL import Image
from tiny_decoders import autoencoder

import imgcluster
from imgcluster.commands.reconstruct import reconstruct
from imgcluster.encoders.decoder import Decoder
from imgcluster.encoders.encoder import PixelEncoder
from imgcluster.errors import EncoderError, NoImagesError, UsageError
from tiny_models import TINY, mean_colour


def draw(path, value, channels=3, size=(4, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*size, channels), value, dtype=np.uint8)
    Image.fromarray(pixels if channels == 3 else pixels[:, :, 0]).save(path)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    draw(folder / "dark.png", 10)
    draw(folder / "sub" / "bright.png", 200)
    draw(folder / "sub" / "middle.png", 100)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (folder / "notes.txt").write_text("no image")
    return folder


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_images_are_ranked_by_their_error(images, tmp_path) -> None:
    encoder = autoencoder(tmp_path, gain=0.5)
    summary = reconstruct([images], encoder=encoder, output=tmp_path / "out", device="cpu")
    table = rows(tmp_path / "out" / "reconstruction.csv")
    assert [row["path"] for row in table] == ["sub/bright.png", "sub/middle.png", "dark.png"]
    assert [row["rank"] for row in table] == ["1", "2", "3"]
    errors = [(value / 255 / 2) ** 2 for value in (200, 100, 10)]
    assert [float(row["mse"]) for row in table] == pytest.approx(errors, abs=2e-6)
    assert float(table[0]["psnr"]) == pytest.approx(-10 * np.log10(errors[0]), abs=0.01)
    assert [row["path"] for row in rows(tmp_path / "out" / "skipped.csv")] == ["broken.png"]
    assert (summary.images, summary.skipped, summary.worst) == (3, 1, "sub/bright.png")
    assert summary.mean_mse == pytest.approx(np.mean(errors), abs=1e-6)


def test_progress_counts_the_files_that_were_read(images, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("imgcluster.commands.reconstruct._BATCH", 2)
    for number in range(3):
        (images / f"link-{number}.png").symlink_to("nowhere")
    reports = []
    encoder = autoencoder(tmp_path, gain=0.5)
    reconstruct([images], encoder=encoder, output=tmp_path / "out", device="cpu", on_progress=reports.append)
    # broken.png, dark.png, notes.txt, sub/bright.png, sub/middle.png
    assert [(report.done, report.total) for report in reports] == [(4, 5), (5, 5)]


def test_originals_stand_beside_their_reconstructions(images, tmp_path) -> None:
    encoder = autoencoder(tmp_path, gain=0.5)
    reconstruct([images], encoder=encoder, output=tmp_path / "out", denoised=tmp_path / "clean", device="cpu")
    with Image.open(tmp_path / "out" / "pairs" / "sub" / "bright.png.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (4, 8, 3)
    assert set(np.unique(pixels[:, :4])) == {200}
    assert set(np.unique(pixels[:, 4:])) == {100}
    with Image.open(tmp_path / "clean" / "sub" / "bright.png.png") as picture:
        assert np.array_equal(np.asarray(picture), pixels[:, 4:])


def test_many_images_one_batch_after_the_other(tmp_path) -> None:
    for number in range(70):
        draw(tmp_path / "images" / f"{number:02}.png", number)
    encoder = autoencoder(tmp_path)
    summary = reconstruct([tmp_path / "images"], encoder=encoder, output=tmp_path / "out", device="cpu")
    assert summary.images == 70
    assert summary.mean_mse == pytest.approx(0.0, abs=1e-10)
    assert rows(tmp_path / "out" / "reconstruction.csv")[0]["psnr"] == "100.00"
    assert len(list((tmp_path / "out" / "pairs").iterdir())) == 70


def test_a_colouriser_is_compared_with_the_colours(tmp_path) -> None:
    encoder = autoencoder(tmp_path, channels=1, made=3)
    path = tmp_path / "images" / "a.png"
    path.parent.mkdir()
    Image.new("RGB", (4, 4), (250, 0, 0)).save(path)
    reconstruct([path], encoder=encoder, output=tmp_path / "out", device="cpu")
    grey = round(0.299 * 250)
    with Image.open(tmp_path / "out" / "pairs" / "a.png.png") as picture:
        assert picture.getpixel((0, 0)) == (250, 0, 0)
        assert picture.getpixel((4, 0)) == (grey, grey, grey)


def test_chrominance_joins_the_luminance(tmp_path) -> None:
    encoder = autoencoder(tmp_path, channels=1, made=2, changes={"content": "chrominance"})
    path = tmp_path / "images" / "a.png"
    draw(path, 128)
    reconstruct([path], encoder=encoder, output=tmp_path / "out", device="cpu")
    with Image.open(tmp_path / "out" / "pairs" / "a.png.png") as picture:
        assert max(abs(value - 128) for value in picture.getpixel((4, 0))) <= 2


def test_no_original_is_written_over(tmp_path) -> None:
    draw(tmp_path / "images" / "a.png", 1)
    draw(tmp_path / "images" / "a.png.png", 2)
    before = (tmp_path / "images" / "a.png.png").read_bytes()
    with pytest.raises(UsageError, match=r"a.png.png is one of the images; choose another folder"):
        reconstruct(
            [tmp_path / "images"],
            encoder=autoencoder(tmp_path),
            output=tmp_path / "out",
            denoised=tmp_path / "images",
            device="cpu",
        )
    assert (tmp_path / "images" / "a.png.png").read_bytes() == before


def test_a_folder_that_holds_the_results_can_be_reconstructed_again(images, tmp_path) -> None:
    options = {"encoder": autoencoder(tmp_path), "output": images / "out", "denoised": images, "device": "cpu"}
    reconstruct([images], **options)
    # As after an interruption.
    (images / "out" / "pairs" / "dark.png.png").unlink()
    draw(images / "new.png", 50)
    assert reconstruct([images], **options).images == 4
    paths = [row["path"] for row in rows(images / "out" / "reconstruction.csv")]
    assert sorted(paths) == ["dark.png", "new.png", "sub/bright.png", "sub/middle.png"]
    assert (images / "out" / "pairs" / "dark.png.png").is_file()


def test_results_in_a_folder_of_images_are_warned_of(images, tmp_path, caplog) -> None:
    options = {"encoder": autoencoder(tmp_path), "device": "cpu"}
    reconstruct([images], output=tmp_path / "out", denoised=tmp_path / "clean", **options)
    assert caplog.records == []
    reconstruct([images], output=images / "out", denoised=images, **options)
    warned = [record.getMessage() for record in caplog.records]
    assert [
        str(folder) in text and "--exclude" in text
        for folder, text in zip((images / "out", images), warned, strict=True)
    ] == [True, True]


def test_no_result_is_written_over_another_one(images, tmp_path) -> None:
    options = {"encoder": autoencoder(tmp_path), "output": tmp_path / "out", "device": "cpu"}
    with pytest.raises(UsageError, match=r"png.png would be written twice; .*--denoised"):
        reconstruct([images], denoised=tmp_path / "out" / "pairs", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name", ["out/skipped.csv", "out/reconstruction.csv", "out/pairs/a.png.png", "clean/a.png.png"]
)
def test_files_of_the_user_are_not_replaced(tmp_path, name) -> None:
    draw(tmp_path / "a.png", 128)
    options = {"encoder": autoencoder(tmp_path), "output": tmp_path / "out", "device": "cpu"}
    for _ in range(2):
        reconstruct([tmp_path / "a.png"], denoised=tmp_path / "clean", **options)
    (tmp_path / name).write_text("of the user", encoding="utf-8")
    with pytest.raises(UsageError, match=r"exists and was not written by imgcluster; choose another folder"):
        reconstruct([tmp_path / "a.png"], denoised=tmp_path / "clean", **options)
    assert (tmp_path / name).read_text(encoding="utf-8") == "of the user"


def test_what_imgcluster_wrote_into_a_workspace_is_not_reconstructed(images, tmp_path) -> None:
    encoder = autoencoder(tmp_path)
    imgcluster.embed(images, workspace=images / "imgcluster-out", encoder=encoder, device="cpu")
    draw(images / "imgcluster-out" / "clusters" / "0" / "dark.png", 10)
    assert reconstruct([images], encoder=encoder, output=tmp_path / "out", device="cpu").images == 3


def test_nothing_is_written_into_a_workspace(tmp_path) -> None:
    draw(tmp_path / "a.png", 128)
    encoder = autoencoder(tmp_path)
    imgcluster.embed(tmp_path / "a.png", workspace=tmp_path / "out", encoder=encoder, device="cpu")
    with pytest.raises(UsageError, match=r"out is a workspace; choose another folder"):
        reconstruct([tmp_path / "a.png"], encoder=encoder, output=tmp_path / "out", device="cpu")


def test_without_images_or_decoder_it_says_so(images, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoImagesError, match="no readable image"):
        reconstruct([tmp_path / "empty"], encoder=autoencoder(tmp_path), output=tmp_path / "out", device="cpu")
    plain = mean_colour(tmp_path / "plain.onnx")
    with pytest.raises(EncoderError, match="encoder tiny has no decoder"):
        reconstruct([images], encoder=plain, output=tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_decoder_of_another_version_is_refused(tmp_path) -> None:
    encoder = autoencoder(tmp_path, changes={"version": "2"})
    with pytest.raises(EncoderError, match="another version of encoder auto"):
        Decoder(PixelEncoder(encoder, device="cpu"))


def test_a_decoder_is_found_by_the_new_name_of_its_encoder(tmp_path) -> None:
    encoder = autoencoder(tmp_path).rename(tmp_path / "earlier.onnx")
    (tmp_path / "auto.decoder.onnx").rename(tmp_path / "earlier.decoder.onnx")
    # Beside a later one of the same training.
    autoencoder(tmp_path, changes={"version": "2"})
    assert Decoder(PixelEncoder(encoder, device="cpu")).info.version == "1"


def test_a_missing_decoder_is_named(tmp_path) -> None:
    encoder = autoencoder(tmp_path).rename(tmp_path / "earlier.onnx")
    (tmp_path / "auto.decoder.onnx").unlink()
    with pytest.raises(EncoderError, match=r"decoder of .*earlier\.onnx is missing; .* earlier\.decoder\.onnx"):
        Decoder(PixelEncoder(encoder, device="cpu"))


def test_a_decoder_is_never_taken_from_another_folder(tmp_path) -> None:
    (tmp_path / "stranger").mkdir()
    autoencoder(tmp_path)
    info = dataclasses.replace(TINY, decoder="../auto.decoder.onnx", embedding_size=48)
    encoder = mean_colour(tmp_path / "stranger" / "their.onnx", info)
    with pytest.raises(EncoderError, match="is missing"):
        Decoder(PixelEncoder(encoder, device="cpu"))


def test_a_decoder_decodes_nothing_to_nothing(tmp_path) -> None:
    decoder = Decoder(PixelEncoder(autoencoder(tmp_path), device="cpu"))
    assert decoder.shape == (4, 4, 3)
    assert decoder.decode(np.empty((0, 48), dtype=np.float32)).shape == (0, 4, 4, 3)
