"""Configuration of LightTS."""

from huggingface_hub.dataclasses import strict

from .configuration_forecaster import ForecasterConfig, check_at_most, check_positive


@strict
class LightTSConfig(ForecasterConfig):
    r"""Configuration of [`LightTSForPrediction`] (arXiv 2207.01186).

    Args, beside those of [`ForecasterConfig`]:
        num_input_channels (`int`): channels C; the model is bound to them, its last block mixes them.
        chunk_length (`int`): time steps that one sample of the window holds, at most `context_length`.
        d_model (`int`): features F of a channel from each of the two samplings.
        bottleneck_ratio (`int`): how many times narrower than its hidden layer the bottleneck of a block is.
    """

    model_type = "light_ts"

    num_input_channels: int = 1
    chunk_length: int = 24
    d_model: int = 128
    bottleneck_ratio: int = 4

    @property
    def num_chunks(self) -> int:
        """Samples of a window; the first ones are filled up where they do not come out even."""
        return -(-self.context_length // self.chunk_length)

    def validate_architecture(self) -> None:
        lengths = ("context_length", "prediction_length", "chunk_length")
        check_positive(self, *lengths, "num_input_channels", "d_model", "bottleneck_ratio")
        check_at_most(self, ("chunk_length", "context_length"), ("bottleneck_ratio", "d_model"))
