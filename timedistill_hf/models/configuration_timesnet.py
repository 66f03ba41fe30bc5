"""Configuration of TimesNet."""

from huggingface_hub.dataclasses import strict

from .configuration_forecaster import ForecasterConfig, check_dropout, check_positive


@strict
class TimesNetConfig(ForecasterConfig):
    r"""Configuration of [`TimesNetForPrediction`] (arXiv 2210.02186); the defaults are the size published for ETTh1.

    Args, beside those of [`ForecasterConfig`]:
        num_input_channels (`int`): channels C; the model is bound to them.
        d_model (`int`): features of a time step.
        ffn_dim (`int`): features between the two inception layers of a block.
        num_hidden_layers (`int`): blocks.
        num_periods (`int`): k, periods that a block folds each window by, at most half of L + S.
        num_kernels (`int`): convolutions of an inception layer, of widths 1, 3, 5, ...
        dropout (`float`): dropout of the embedding, at most 0.99.
    """

    model_type = "timesnet"

    num_input_channels: int = 1
    d_model: int = 16
    ffn_dim: int = 32
    num_hidden_layers: int = 2
    num_periods: int = 5
    num_kernels: int = 6
    dropout: float | int = 0.1

    def validate_architecture(self) -> None:
        sizes = ("num_input_channels", "d_model", "ffn_dim", "num_hidden_layers", "num_periods", "num_kernels")
        check_positive(self, "context_length", "prediction_length", *sizes)
        frequencies = (self.context_length + self.prediction_length) // 2
        if self.num_periods > frequencies:
            raise ValueError(
                f"num_periods={self.num_periods}: expected at most {frequencies}, half of context_length="
                f"{self.context_length} and prediction_length={self.prediction_length} together"
            )
        check_dropout(self, "dropout")
