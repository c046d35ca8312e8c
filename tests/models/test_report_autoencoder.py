import torch

from omnicxr.models.report_autoencoder import ReportAutoencoder, ReportAutoencoderConfig
from omnicxr.models.tokenizer import END, PAD


def report_model() -> ReportAutoencoder:
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "max_tokens": 12, "latent_tokens": 3, "latent_channels": 8, "width": 32, "heads": 2}
    return ReportAutoencoder(ReportAutoencoderConfig(**sizes, encoder_depth=1, decoder_depth=2)).eval()


def test_report_decoder_is_causal_and_padding_is_ignored() -> None:
    model = report_model()
    ids = torch.randint(3, 50, (2, 9))
    z = torch.randn(2, 3, 8)
    later = ids.clone()
    later[:, 5:] = 7
    assert torch.allclose(model.logits(z, ids)[:, :5], model.logits(z, later)[:, :5], atol=1e-5)
    padded = torch.cat([ids, torch.full((2, 3), PAD)], 1)
    assert torch.allclose(model.moments(ids)[0], model.moments(padded)[0], atol=1e-5)


def test_decode_is_greedy_and_ends() -> None:
    model = report_model()
    z = torch.randn(2, 3, 8)
    ids = model.decode(z)
    assert ids.shape[1] <= 12
    for row, latent in zip(ids, z, strict=True):
        for n in range(1, len(row)):
            if END in row[:n]:
                assert row[n] == PAD
            else:
                assert row[n] == model.logits(latent[None], row[None, :n])[0, -1].argmax()
